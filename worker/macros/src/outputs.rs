//! `#[derive(Outputs)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Result};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let needs_names = || Error::new(input.ident.span(), "named outputs are a struct with named fields: a slot a field");
    let Data::Struct(data) = &input.data else { return Err(needs_names()) };
    let Fields::Named(named) = &data.fields else { return Err(needs_names()) };
    let mut slots = Vec::new();
    let mut writes = Vec::new();
    for field in &named.named {
        let Some(ident) = &field.ident else { continue };
        let ty = &field.ty;
        let mut name = ident.to_string().trim_start_matches("r#").to_owned();
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("output")) {
            name = attribute.parse_args::<LitStr>()?.value();
        }
        slots.push(quote!(::millwork_worker::node::slot::<#ty>(#name)));
        writes.push(quote!(out.slot(#name, self.#ident)?;));
    }
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::millwork_worker::node::Outputs for #ident #type_generics #where_clause {
            fn slots() -> ::std::vec::Vec<::millwork_worker::protocol::metadata::OutputSlot> {
                ::std::vec![#(#slots),*]
            }

            fn write(self, out: &mut ::millwork_worker::node::Emitted) -> ::millwork_worker::Result<()> {
                #(#writes)*
                ::core::result::Result::Ok(())
            }
        }
    })
}

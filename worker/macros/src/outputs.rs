//! `#[derive(Outputs)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Result};

use crate::check;
use crate::text::wire_name;

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let needs_names = || Error::new(input.ident.span(), "named outputs are a struct with named fields: a slot a field");
    let Data::Struct(data) = &input.data else { return Err(needs_names()) };
    let Fields::Named(named) = &data.fields else { return Err(needs_names()) };
    let mut asserts = Vec::new();
    let mut slots = Vec::new();
    let mut writes = Vec::new();
    let mut names = check::Names::default();
    let mut dynamic = None;
    for field in &named.named {
        let Some(ident) = &field.ident else { continue };
        let (name, is_dynamic) = slot(field, ident)?;
        if is_dynamic {
            if dynamic.replace(quote!(out.slots(self.#ident)?;)).is_some() {
                return Err(Error::new(ident.span(), "only one field can be `dynamic`"));
            }
            continue;
        }
        let ty = &field.ty;
        names.take(&name, &wire_name(ident), ident.span())?;
        // The first thing that asks for the trait, at the same place in both functions: so a wrong type is one error.
        asserts
            .push(quote_spanned!(ty.span() => let _ = <#ty as ::millwork_worker::convert::IntoWire>::type_metadata;));
        slots.push(quote_spanned!(ty.span() => ::millwork_worker::node::slot::<#ty>(#name)));
        writes.push(quote_spanned!(ty.span() => out.slot::<#ty>(#name, self.#ident)?;));
    }
    let is_dynamic = dynamic.is_some();
    // The declared slots come first: a key of the others must not take their place.
    writes.extend(dynamic);
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::millwork_worker::node::Outputs for #ident #type_generics #where_clause {
            const DYNAMIC: bool = #is_dynamic;

            fn slots() -> ::std::vec::Vec<::millwork_worker::protocol::metadata::OutputSlot> {
                #(#asserts)*
                ::std::vec![#(#slots),*]
            }

            fn write(self, out: &mut ::millwork_worker::node::Emitted) -> ::millwork_worker::Result<()> {
                #(#asserts)*
                #(#writes)*
                ::core::result::Result::Ok(())
            }
        }
    })
}

/// The name of a slot, and whether it stands for those that are not declared.
fn slot(field: &Field, ident: &Ident) -> Result<(String, bool)> {
    let (mut name, mut is_dynamic) = (wire_name(ident), false);
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("output")) {
        attribute.parse_args_with(|stream: ParseStream<'_>| {
            if stream.peek(LitStr) {
                name = stream.parse::<LitStr>()?.value();
                return Ok(());
            }
            let key: Ident = stream.parse()?;
            if key != "dynamic" {
                let text =
                    format!("an output has no attribute `{key}`: it is #[output(\"name\")] or #[output(dynamic)]");
                return Err(Error::new(key.span(), text));
            }
            check::dynamic(&wire_name(ident), &field.ty, key.span())?;
            is_dynamic = true;
            Ok(())
        })?;
    }
    Ok((name, is_dynamic))
}

//! `#[derive(Union)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "a union is an enum whose variants carry one value each"));
    };
    let mut variants = Vec::new();
    let mut types = Vec::new();
    for variant in &data.variants {
        match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                types.extend(fields.unnamed.iter().map(|field| &field.ty));
            }
            _ => {
                let name = &variant.ident;
                let text =
                    format!("`{name}` must carry one value, as in {name}(String); plain names are a #[derive(Choice)]");
                return Err(Error::new(name.span(), text));
            }
        }
        variants.push(&variant.ident);
    }
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::millwork_worker::convert::FromWire for #ident #type_generics #where_clause {
            fn type_metadata() -> ::millwork_worker::protocol::metadata::TypeMetadata {
                ::millwork_worker::protocol::metadata::TypeMetadata::union_of([
                    #(<#types as ::millwork_worker::convert::FromWire>::type_metadata()),*
                ])
            }

            fn from_wire(
                value: ::millwork_worker::protocol::Value,
                reading: &::millwork_worker::convert::Reading<'_>,
            ) -> ::millwork_worker::Result<Self> {
                ::millwork_worker::convert::Alternatives::new(value, reading)
                    #(.or::<#types>(Self::#variants))*
                    .finish()
            }

            fn to_default(&self) -> ::millwork_worker::protocol::Value {
                match self {
                    #(Self::#variants(value) => ::millwork_worker::convert::FromWire::to_default(value)),*
                }
            }
        }

        impl #impl_generics ::millwork_worker::convert::IntoWire for #ident #type_generics #where_clause {
            fn type_metadata() -> ::millwork_worker::protocol::metadata::TypeMetadata {
                <Self as ::millwork_worker::convert::FromWire>::type_metadata()
            }

            fn into_wire(
                self,
                writing: &mut ::millwork_worker::convert::Writing<'_>,
            ) -> ::millwork_worker::Result<::millwork_worker::protocol::Value> {
                match self {
                    #(Self::#variants(value) => ::millwork_worker::convert::IntoWire::into_wire(value, writing)),*
                }
            }
        }
    })
}

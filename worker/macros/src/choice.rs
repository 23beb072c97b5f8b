//! `#[derive(Choice)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Result};

use crate::check;
use crate::text::snake_case;

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "a choice is an enum of plain variants"));
    };
    let mut names = Vec::new();
    let mut variants = Vec::new();
    let mut taken = check::Names::default();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let text = format!("`{}` must carry nothing: variants with a value are a #[derive(Union)]", variant.ident);
            return Err(Error::new(variant.ident.span(), text));
        }
        let mut name = snake_case(&variant.ident.to_string());
        for attribute in variant.attrs.iter().filter(|a| a.path().is_ident("choice")) {
            name = attribute.parse_args::<LitStr>()?.value();
        }
        taken.take(&name, &variant.ident.to_string(), variant.ident.span())?;
        names.push(name);
        variants.push(&variant.ident);
    }
    let ident = &input.ident;
    let type_name = ident.to_string();
    Ok(quote! {
        impl ::millwork_worker::convert::Choice for #ident {
            const TYPE_NAME: &'static str = #type_name;
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn from_name(name: &str) -> ::core::option::Option<Self> {
                match name {
                    #(#names => ::core::option::Option::Some(Self::#variants),)*
                    _ => ::core::option::Option::None,
                }
            }

            fn name(&self) -> &'static str {
                match self {
                    #(Self::#variants => #names,)*
                }
            }
        }

        impl ::millwork_worker::convert::FromWire for #ident {
            fn type_metadata() -> ::millwork_worker::protocol::metadata::TypeMetadata {
                ::millwork_worker::convert::choice_metadata::<Self>()
            }

            fn from_wire(
                value: ::millwork_worker::protocol::Value,
                _: &::millwork_worker::convert::Reading<'_>,
            ) -> ::millwork_worker::Result<Self> {
                ::millwork_worker::convert::choice_from_wire(value)
            }

            fn to_default(&self) -> ::millwork_worker::protocol::Value {
                ::millwork_worker::protocol::Value::from(::millwork_worker::convert::Choice::name(self))
            }
        }

        impl ::millwork_worker::convert::IntoWire for #ident {
            fn type_metadata() -> ::millwork_worker::protocol::metadata::TypeMetadata {
                ::millwork_worker::convert::choice_metadata::<Self>()
            }

            fn into_wire(
                self,
                _: &mut ::millwork_worker::convert::Writing<'_>,
            ) -> ::millwork_worker::Result<::millwork_worker::protocol::Value> {
                ::core::result::Result::Ok(::millwork_worker::protocol::Value::from(
                    ::millwork_worker::convert::Choice::name(&self),
                ))
            }
        }
    })
}

//! `#[derive(Node)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Field, Fields, LitStr, Result, Token, parenthesized};

use crate::text::{docs, title_case};

#[derive(Default)]
struct NodeArgs {
    node_type: Option<LitStr>,
    title: Option<LitStr>,
    stream: bool,
    quick: bool,
    idempotent: bool,
    settings: Vec<LitStr>,
    vram_gb: Option<Expr>,
}

#[derive(Default)]
struct FieldArgs {
    name: Option<LitStr>,
    /// `Some(None)` is `Default::default()`.
    default: Option<Option<Expr>>,
    min: Option<Expr>,
    max: Option<Expr>,
    dynamic: bool,
}

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let args = node_args(input)?;
    let node_type = args.node_type.as_ref().ok_or_else(|| {
        Error::new(input.ident.span(), "a node needs its type: #[node(\"namespace.path.Name\")] above the struct")
    })?;
    let name = node_type.value();
    if !name.contains('.') || name.split('.').any(|part| part.is_empty() || part.contains(char::is_whitespace)) {
        return Err(Error::new(node_type.span(), "a node type is `namespace.path.Name`: words joined by dots"));
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let title = args.title.as_ref().map_or_else(|| title_case(last), LitStr::value);
    let description = docs(&input.attrs);

    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "only a struct can be a node: its fields are the inputs"));
    };
    let fields: Vec<&Field> = match &data.fields {
        Fields::Named(named) => named.named.iter().collect(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(_) => return Err(Error::new(input.ident.span(), "a node's fields need names")),
    };

    let mut properties = Vec::new();
    let mut reads = Vec::new();
    let mut idents = Vec::new();
    let mut dynamic = quote!(false);
    let mut dynamic_read = None;
    for field in fields {
        let args = field_args(field)?;
        let Some(ident) = &field.ident else { continue };
        idents.push(ident);
        if args.dynamic {
            if dynamic_read.is_some() {
                return Err(Error::new(field.span(), "only one field can be `dynamic`"));
            }
            dynamic = quote!(true);
            dynamic_read = Some(quote!(let #ident = fields.rest();));
            continue;
        }
        let ty = &field.ty;
        let wire =
            args.name.as_ref().map_or_else(|| ident.to_string().trim_start_matches("r#").to_owned(), LitStr::value);
        let doc = docs(&field.attrs);
        let make_default = match &args.default {
            None => quote!(::core::option::Option::None),
            Some(None) => quote!(::core::option::Option::Some(<#ty as ::core::default::Default>::default)),
            Some(Some(Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }))) => {
                quote!(::core::option::Option::Some(|| <#ty as ::core::convert::From<&str>>::from(#text)))
            }
            Some(Some(expr)) => quote!(::core::option::Option::Some(|| -> #ty { #expr })),
        };
        let bound = |expr: &Option<Expr>| match expr {
            Some(expr) => quote!(::core::option::Option::Some((#expr) as f64)),
            None => quote!(::core::option::Option::None),
        };
        let (min, max) = (bound(&args.min), bound(&args.max));
        let spec = format_ident!("spec_{}", ident.to_string().trim_start_matches("r#"));
        properties.push(quote! {
            {
                let #spec: ::millwork_worker::node::FieldSpec<#ty> = ::millwork_worker::node::FieldSpec {
                    name: #wire, description: #doc, default: #make_default, min: #min, max: #max,
                };
                #spec.property()
            }
        });
        reads.push(quote! {
            let #ident = fields.take(&::millwork_worker::node::FieldSpec::<#ty> {
                name: #wire, description: #doc, default: #make_default, min: #min, max: #max,
            })?;
        });
    }
    // What is left over can only be known once the declared fields are taken.
    reads.extend(dynamic_read);

    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let settings = &args.settings;
    let vram = match &args.vram_gb {
        Some(gb) => quote!(::core::option::Option::Some((#gb) as f64)),
        None => quote!(::core::option::Option::None),
    };
    let entry = if args.stream { quote!(streaming) } else { quote!(unary) };
    let (quick, idempotent) = (args.quick, args.idempotent);
    Ok(quote! {
        impl #impl_generics ::millwork_worker::node::Node for #ident #type_generics #where_clause {
            const NODE_TYPE: &'static str = #node_type;

            fn description() -> ::millwork_worker::node::Description {
                ::millwork_worker::node::Description {
                    node_type: #node_type,
                    title: #title,
                    description: #description,
                    properties: ::std::vec![#(#properties),*],
                    settings: &[#(#settings),*],
                    vram_gb: #vram,
                    dynamic: #dynamic,
                    quick: #quick,
                    idempotent: #idempotent,
                }
            }

            fn from_fields(fields: &mut ::millwork_worker::node::Fields<'_>) -> ::millwork_worker::Result<Self> {
                #(#reads)*
                ::core::result::Result::Ok(Self { #(#idents),* })
            }

            fn entry() -> ::millwork_worker::node::Entry {
                ::millwork_worker::node::Entry::#entry::<Self>()
            }
        }
    })
}

fn node_args(input: &DeriveInput) -> Result<NodeArgs> {
    let mut args = NodeArgs::default();
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("node")) {
        attribute.parse_args_with(|stream: syn::parse::ParseStream<'_>| {
            while !stream.is_empty() {
                if stream.peek(LitStr) {
                    args.node_type = Some(stream.parse()?);
                } else {
                    let key: syn::Ident = stream.parse()?;
                    match key.to_string().as_str() {
                        "stream" => args.stream = true,
                        "quick" => args.quick = true,
                        "idempotent" => args.idempotent = true,
                        "title" => {
                            stream.parse::<Token![=]>()?;
                            args.title = Some(stream.parse()?);
                        }
                        "vram_gb" => {
                            stream.parse::<Token![=]>()?;
                            args.vram_gb = Some(stream.parse()?);
                        }
                        "settings" => {
                            let names;
                            parenthesized!(names in stream);
                            args.settings = names
                                .parse_terminated(<LitStr as syn::parse::Parse>::parse, Token![,])?
                                .into_iter()
                                .collect();
                        }
                        _ => {
                            return Err(Error::new(
                                key.span(),
                                "expected the node type, or one of: title, stream, quick, idempotent, settings(…), vram_gb",
                            ));
                        }
                    }
                }
                if !stream.is_empty() {
                    stream.parse::<Token![,]>()?;
                }
            }
            Ok(())
        })?;
    }
    Ok(args)
}

fn field_args(field: &Field) -> Result<FieldArgs> {
    let mut args = FieldArgs::default();
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("node")) {
        attribute.parse_args_with(|stream: syn::parse::ParseStream<'_>| {
            while !stream.is_empty() {
                let key: syn::Ident = stream.parse()?;
                let value = stream.peek(Token![=]);
                if value {
                    stream.parse::<Token![=]>()?;
                }
                match key.to_string().as_str() {
                    "default" => args.default = Some(if value { Some(stream.parse()?) } else { None }),
                    "min" if value => args.min = Some(stream.parse()?),
                    "max" if value => args.max = Some(stream.parse()?),
                    "name" if value => args.name = Some(stream.parse()?),
                    "dynamic" if !value => args.dynamic = true,
                    _ => {
                        return Err(Error::new(
                            key.span(),
                            "expected one of: default, default = …, min = …, max = …, name = \"…\", dynamic",
                        ));
                    }
                }
                if !stream.is_empty() {
                    stream.parse::<Token![,]>()?;
                }
            }
            Ok(())
        })?;
    }
    Ok(args)
}

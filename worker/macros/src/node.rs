//! `#[derive(Node)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, Lit, LitStr, Result, Type};

use crate::args::{FieldArgs, NodeArgs};
use crate::check;
use crate::text::{docs, wire_name};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let args = NodeArgs::of(input)?;
    let node_type = args.node_type.as_ref().ok_or_else(|| {
        Error::new(input.ident.span(), "a node needs its type: #[node(\"namespace.path.Name\")] above the struct")
    })?;
    check::node_type(node_type)?;
    let title = match &args.title {
        Some(title) => quote!(::core::option::Option::Some(#title)),
        None => quote!(::core::option::Option::None),
    };
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
    let mut types = Vec::new();
    let mut asserts = Vec::new();
    let mut bounds = Vec::new();
    let mut names = check::Names::default();
    let mut dynamic = None;
    for field in fields {
        let args = FieldArgs::of(field)?;
        let Some(ident) = &field.ident else { continue };
        let ty = &field.ty;
        check::field(&wire_name(ident), ty, &args)?;
        idents.push(ident);
        if let Some(span) = args.dynamic {
            if dynamic.is_some() {
                return Err(Error::new(span, "only one field can be `dynamic`"));
            }
            dynamic = Some(quote!(let #ident: #ty = __given.rest()?;));
            continue;
        }
        let name = args.name.as_ref().map_or_else(|| wire_name(ident), LitStr::value);
        names.take(&name, &wire_name(ident), args.name.as_ref().map_or(ident.span(), LitStr::span))?;
        if args.min.is_some() || args.max.is_some() {
            bounds.push(quote_spanned!(ty.span() => ::millwork_worker::node::assert_number::<#ty>();));
        }
        // The first thing that asks for the trait, at the same place in both functions: so a wrong type is one error.
        asserts.push(quote_spanned!(ty.span() => let _ = <#ty as ::millwork_worker::convert::FromWire>::STREAMS;));
        types.push(ty);
        let spec = spec(field, &name, &args);
        properties.push(quote_spanned!(ty.span() => ::millwork_worker::node::property::<#ty>(&#spec)));
        reads.push(quote_spanned!(ty.span() => let #ident = __given.take::<#ty>(&#spec)?;));
    }
    let is_dynamic = dynamic.is_some();

    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let settings = &args.settings;
    let vram = match &args.vram_gb {
        Some(gb) => quote!(::core::option::Option::Some((#gb) as f64)),
        None => quote!(::core::option::Option::None),
    };
    let entry = if args.stream { quote!(streaming) } else { quote!(unary) };
    let entry = quote_spanned!(ident.span() => ::millwork_worker::node::Entry::#entry::<Self>());
    let (quick, idempotent) = (args.quick, args.idempotent);
    Ok(quote! {
        impl #impl_generics ::millwork_worker::node::Node for #ident #type_generics #where_clause {
            const NODE_TYPE: &'static str = #node_type;

            fn description() -> ::millwork_worker::node::Description {
                #(#asserts)*
                #(#bounds)*
                ::millwork_worker::node::Description {
                    node_type: #node_type,
                    title: #title,
                    description: #description,
                    properties: ::std::vec![#(#properties),*],
                    settings: &[#(#settings),*],
                    vram_gb: #vram,
                    streams_input: false #(|| <#types as ::millwork_worker::convert::FromWire>::STREAMS)*,
                    dynamic: #is_dynamic,
                    quick: #quick,
                    idempotent: #idempotent,
                }
            }

            fn from_fields(__given: &mut ::millwork_worker::node::Fields<'_>) -> ::millwork_worker::Result<Self> {
                #(#asserts)*
                #(#reads)*
                // What is left over can only be known once the declared fields are taken.
                #dynamic
                ::core::result::Result::Ok(Self { #(#idents),* })
            }

            fn entry() -> ::millwork_worker::node::Entry {
                #entry
            }
        }
    })
}

/// What is said of one field.
fn spec(field: &Field, name: &str, args: &FieldArgs) -> TokenStream {
    let ty: &Type = &field.ty;
    let description = docs(&field.attrs);
    let some = |value: TokenStream| quote!(::core::option::Option::Some(#value));
    let none = || quote!(::core::option::Option::None);
    let default = match &args.default {
        None => none(),
        Some(None) => some(quote_spanned!(ty.span() => <#ty as ::core::default::Default>::default)),
        Some(Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. }))) => {
            some(quote_spanned!(text.span() => || <#ty as ::core::convert::From<&str>>::from(#text)))
        }
        Some(Some(expr)) => some(quote!(|| -> #ty { #expr })),
    };
    let bound = |expr: &Option<Expr>| expr.as_ref().map_or_else(none, |expr| some(quote!((#expr) as f64)));
    let (min, max) = (bound(&args.min), bound(&args.max));
    let model = args.model.as_ref().map_or_else(none, |model| some(quote!(#model)));
    quote_spanned! { ty.span() =>
        ::millwork_worker::node::FieldSpec::<#ty> {
            name: #name, description: #description, default: #default, min: #min, max: #max, model: #model,
        }
    }
}

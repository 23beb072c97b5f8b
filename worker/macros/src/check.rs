//! What is wrong with a node and can be seen without its types: found here, so that the error names the field and the fix.

use std::collections::HashMap;

use proc_macro2::Span;
use syn::{Error, Expr, ExprLit, ExprUnary, GenericArgument, Lit, LitStr, PathArguments, Result, Type, UnOp};

use crate::args::FieldArgs;

/// `namespace.path.Name`.
pub(crate) fn node_type(node_type: &LitStr) -> Result<()> {
    let name = node_type.value();
    if name.contains('.') && name.split('.').all(|part| !part.is_empty() && !part.contains(char::is_whitespace)) {
        return Ok(());
    }
    Err(Error::new(
        node_type.span(),
        format!("{name:?} is no node type: it is `namespace.path.Name`, words joined by dots"),
    ))
}

/// One field.
pub(crate) fn field(name: &str, ty: &Type, args: &FieldArgs) -> Result<()> {
    if args.name.as_ref().is_some_and(|name| name.value().is_empty()) {
        return Err(Error::new(span(&args.name), "the name of a field cannot be empty"));
    }
    if let Some(span) = args.dynamic {
        dynamic(name, ty, span)?;
    }
    if let (Some(span), true) =
        (args.dynamic, args.default.is_some() || args.min.is_some() || args.max.is_some() || args.name.is_some())
    {
        return Err(Error::new(span, format!("`{name}` is `dynamic`, so nothing else can be said of it")));
    }
    let holds_model = holds(ty, "ModelRef");
    if let (Some(model), false) = (&args.model, holds_model) {
        return Err(Error::new(model.span(), format!("`model` is for a `ModelRef`, and `{name}` holds none")));
    }
    if args.model.is_none() && holds_model {
        let text = format!("`{name}` takes a model: say of which sort, as in #[node(model = \"language_model\")]");
        return Err(Error::new_spanned(ty, text));
    }
    range(name, ty, args)
}

/// A field that holds what is not declared.
pub(crate) fn dynamic(name: &str, ty: &Type, span: Span) -> Result<()> {
    if last_segment(ty).is_some_and(|last| last == "Map" || last == "IndexMap") {
        return Ok(());
    }
    let text = format!(
        "`{name}` is `dynamic`, it holds all that is not declared: its type must be `Map` or `IndexMap<String, _>`"
    );
    Err(Error::new(span, text))
}

/// Bounds and a default that are written as numbers.
fn range(name: &str, ty: &Type, args: &FieldArgs) -> Result<()> {
    let (min, max) = (args.min.as_ref().and_then(number), args.max.as_ref().and_then(number));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(Error::new(
            expr_span(&args.max),
            format!("`{name}` can have no value: its min {min} is above its max {max}"),
        ));
    }
    let Some(Some(default)) = &args.default else { return Ok(()) };
    let numeric = last_segment(ty).is_some_and(|last| NUMBERS.contains(&last.as_str()));
    if let (Expr::Lit(ExprLit { lit: Lit::Str(text), .. }), true) = (default, numeric) {
        let text = format!("`{name}` is a number, and its default {:?} is a text", text.value());
        return Err(Error::new_spanned(default, text));
    }
    let Some(value) = number(default) else { return Ok(()) };
    let wrong = match (min, max) {
        (Some(min), _) if value < min => format!("below its min {min}"),
        (_, Some(max)) if value > max => format!("above its max {max}"),
        _ => return Ok(()),
    };
    Err(Error::new_spanned(default, format!("the default of `{name}`, {value}, is {wrong}")))
}

const NUMBERS: &[&str] = &["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "usize", "isize", "f32", "f64"];

/// Names that have been taken, each with what has it.
#[derive(Default)]
pub(crate) struct Names(HashMap<String, String>);

impl Names {
    /// Takes a name for the field or variant `owner`.
    pub(crate) fn take(&mut self, name: &str, owner: &str, span: Span) -> Result<()> {
        match self.0.insert(name.to_owned(), owner.to_owned()) {
            None => Ok(()),
            Some(first) => {
                Err(Error::new(span, format!("`{owner}` goes by the name {name:?}, which is `{first}`'s already")))
            }
        }
    }
}

fn span(text: &Option<LitStr>) -> Span {
    text.as_ref().map_or_else(Span::call_site, LitStr::span)
}

fn expr_span(expr: &Option<Expr>) -> Span {
    expr.as_ref().map_or_else(Span::call_site, syn::spanned::Spanned::span)
}

/// The value of a number that is written out.
fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => int.base10_parse::<f64>().ok(),
        Expr::Lit(ExprLit { lit: Lit::Float(float), .. }) => float.base10_parse().ok(),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|value| -value),
        _ => None,
    }
}

/// The last name of a type's path: `IndexMap` of `indexmap::IndexMap<String, f32>`.
fn last_segment(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

/// Whether a type is that one, or an option or a collection of it.
fn holds(ty: &Type, name: &str) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|segment| {
        let within = match &segment.arguments {
            PathArguments::AngleBracketed(arguments) => arguments.args.iter().any(|argument| match argument {
                GenericArgument::Type(ty) => holds(ty, name),
                _ => false,
            }),
            _ => false,
        };
        segment.ident == name || within
    })
}

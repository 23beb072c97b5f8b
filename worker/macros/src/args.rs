//! What stands in `#[node(…)]`, read and held against what there is to say. What is made of it is in `node`.

use std::fmt::Display;

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, DeriveInput, Error, Expr, Field, Ident, LitStr, Result, Token, parenthesized};

/// The attribute of the struct.
#[derive(Default)]
pub(crate) struct NodeArgs {
    pub(crate) node_type: Option<LitStr>,
    pub(crate) title: Option<LitStr>,
    pub(crate) stream: bool,
    pub(crate) quick: bool,
    pub(crate) idempotent: bool,
    pub(crate) settings: Vec<LitStr>,
    pub(crate) vram_gb: Option<Expr>,
}

/// The attribute of a field.
#[derive(Default)]
pub(crate) struct FieldArgs {
    pub(crate) name: Option<LitStr>,
    /// `Some(None)` is `Default::default()`.
    pub(crate) default: Option<Option<Expr>>,
    pub(crate) min: Option<Expr>,
    pub(crate) max: Option<Expr>,
    pub(crate) model: Option<LitStr>,
    pub(crate) dynamic: Option<Span>,
}

const NODE_KEYS: &[&str] = &["title", "stream", "quick", "idempotent", "settings", "vram_gb"];
const FIELD_KEYS: &[&str] = &["default", "min", "max", "name", "model", "dynamic"];

impl NodeArgs {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let mut args = Self::default();
        each(&input.attrs, |stream| {
            if stream.peek(LitStr) {
                args.node_type = Some(stream.parse()?);
                return Ok(());
            }
            let key: Ident = stream.parse()?;
            match key.to_string().as_str() {
                "stream" => args.stream = true,
                "quick" => args.quick = true,
                "idempotent" => args.idempotent = true,
                "title" => args.title = Some(value(stream, &key)?),
                "vram_gb" => args.vram_gb = Some(value(stream, &key)?),
                "settings" => {
                    let names;
                    parenthesized!(names in stream);
                    args.settings = names.parse_terminated(<LitStr as Parse>::parse, Token![,])?.into_iter().collect();
                }
                _ => return Err(unknown(&key, "a node", NODE_KEYS)),
            }
            Ok(())
        })?;
        Ok(args)
    }
}

impl FieldArgs {
    pub(crate) fn of(field: &Field) -> Result<Self> {
        let mut args = Self::default();
        each(&field.attrs, |stream| {
            let key: Ident = stream.parse()?;
            match key.to_string().as_str() {
                "default" if !stream.peek(Token![=]) => args.default = Some(None),
                "default" => args.default = Some(Some(value(stream, &key)?)),
                "min" => args.min = Some(value(stream, &key)?),
                "max" => args.max = Some(value(stream, &key)?),
                "name" => args.name = Some(value(stream, &key)?),
                "model" => args.model = Some(value(stream, &key)?),
                "dynamic" => args.dynamic = Some(key.span()),
                _ => return Err(unknown(&key, "a field", FIELD_KEYS)),
            }
            Ok(())
        })?;
        Ok(args)
    }
}

/// Reads what is between the commas of every `#[node(…)]`.
fn each(attributes: &[Attribute], mut read: impl FnMut(ParseStream<'_>) -> Result<()>) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("node")) {
        attribute.parse_args_with(|stream: ParseStream<'_>| {
            while !stream.is_empty() {
                read(stream)?;
                if !stream.is_empty() {
                    stream.parse::<Token![,]>()?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What stands behind `key =`.
fn value<T: Parse>(stream: ParseStream<'_>, key: &Ident) -> Result<T> {
    if stream.parse::<Token![=]>().is_err() {
        return Err(Error::new(key.span(), format!("`{key}` needs a value: {key} = …")));
    }
    stream.parse()
}

/// The error for a key that nobody knows.
fn unknown(key: &Ident, on: impl Display, keys: &[&str]) -> Error {
    let text = key.to_string();
    let near = keys
        .iter()
        .filter(|known| strsim::damerau_levenshtein(&text, known) <= 2)
        .min_by_key(|known| strsim::damerau_levenshtein(&text, known));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", keys.join(", ")),
    };
    Error::new(key.span(), format!("{on} has no attribute `{key}`: {hint}"))
}

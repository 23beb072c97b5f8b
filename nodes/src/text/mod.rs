//! `text.*`: templates, patterns, cutting and comparing. What is inside JSON is another namespace.

mod chunk;
mod edit;
mod format;
mod regex;
mod similarity;

use millwork_worker::prelude::*;

/// The nodes of this namespace.
pub(crate) fn package() -> Package {
    package!["text":
        format::Format, edit::Concat, edit::Join, edit::Split, edit::Replace, edit::Slice, edit::Case, edit::Trim,
        edit::Length, regex::Regex, regex::RegexReplace, chunk::Chunk, similarity::Similarity,
    ]
    .idempotent()
}

/// The most bytes that a node lets a text grow to: 64 MiB.
const MAX_TEXT: usize = 64 << 20;

/// Refuses a text that would be too long, before it is made.
fn fits(bytes: Option<usize>) -> Result<()> {
    match bytes {
        Some(bytes) if bytes <= MAX_TEXT => Ok(()),
        Some(bytes) => Err(Error::invalid(format!("the result takes {bytes} bytes; at most {MAX_TEXT} are allowed"))),
        None => Err(Error::invalid(format!("the result is too long to count; at most {MAX_TEXT} bytes are allowed"))),
    }
}

/// A text, a number or a boolean as text.
fn plain(value: Value) -> Result<String> {
    match value {
        Value::Str(text) => Ok(text),
        Value::Int(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Bool(yes) => Ok(yes.to_string()),
        other => Err(Error::invalid(format!("expected a text or a number, got {}", other.type_name()))),
    }
}

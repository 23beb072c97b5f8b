//! Enums of plain variants, written with `#[derive(Choice)]`.

use millwork_protocol::Value;
use millwork_protocol::metadata::TypeMetadata;

use super::mismatch;
use crate::{Error, Result};

/// One of a few names.
pub trait Choice: Sized {
    /// The name of the Rust type.
    const TYPE_NAME: &'static str;
    /// Every name, in order.
    const NAMES: &'static [&'static str];

    /// The variant of that name.
    fn from_name(name: &str) -> Option<Self>;

    /// The name of this variant.
    fn name(&self) -> &'static str;
}

/// The metadata of a choice.
#[must_use]
pub fn choice_metadata<C: Choice>() -> TypeMetadata {
    TypeMetadata::enum_of(C::TYPE_NAME, C::NAMES.iter().copied())
}

/// Reads a choice, in any case of letters.
///
/// # Errors
/// Where it is none of the names, all of which the error lists.
pub fn choice_from_wire<C: Choice>(value: Value) -> Result<C> {
    let Value::Str(text) = &value else { return Err(mismatch(&format!("one of {}", C::NAMES.join(", ")), &value)) };
    C::from_name(text)
        .or_else(|| C::from_name(&text.to_lowercase()))
        .ok_or_else(|| Error::invalid(format!("expected one of {}, got {text:?}", C::NAMES.join(", "))))
}

//! Wire values to Rust types and back: what a node's fields and outputs may be. How a request is read is not known here.

mod asset;
pub mod audio;
mod choice;
mod image;
mod scalar;
pub mod tensor;
mod tensor_wire;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::metadata::TypeMetadata;
use millwork_protocol::{Map, Value, map};

pub use asset::{Asset, AudioBytes, ImageBytes, Model3dBytes, TextAsset, VideoBytes};
pub use audio::Audio;
pub use choice::{Choice, choice_from_wire, choice_metadata};
pub use image::Image;
pub use tensor::{DType, Element, Tensor, TensorError};

use crate::workspace::Workspace;
use crate::{Error, Result};

/// A type that a field can have.
pub trait FromWire: Sized {
    /// The type as `discover` reports it.
    fn type_metadata() -> TypeMetadata;

    /// Reads a value that is not nil.
    ///
    /// # Errors
    /// `invalid_input`, saying what was expected and what was found; the field's name is put in front by the caller.
    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self>;

    /// What a field of this type is where it is not given and has no default; nothing means that it is required.
    fn missing() -> Option<Self> {
        None
    }

    /// This value as the default that `discover` reports.
    fn to_default(&self) -> Value {
        Value::Nil
    }

    /// This value as a number, where the type has ranges.
    fn as_number(&self) -> Option<f64> {
        None
    }
}

/// A type that an output slot can have.
pub trait IntoWire {
    /// The type as `discover` reports it.
    fn type_metadata() -> TypeMetadata;

    /// Writes the value; large bytes of a slot of its own travel as a blob.
    ///
    /// # Errors
    /// Where the value cannot be encoded.
    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value>;
}

/// What reading a value may reach.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Where files that a value names may lie.
    pub workspace: &'a Workspace,
}

impl Reading<'_> {
    /// The path that a `file://` uri or a plain path names, if the workspace allows it.
    ///
    /// # Errors
    /// Where it lies outside.
    pub fn path(&self, path: &Path) -> Result<PathBuf> {
        self.workspace.resolve(path)
    }
}

/// Where a value is being written: a slot of its own, or inside a list or map.
#[derive(Debug)]
pub struct Writing<'a> {
    slot: Option<&'a str>,
    blobs: &'a mut IndexMap<String, Bytes>,
}

impl<'a> Writing<'a> {
    pub(crate) fn slot(slot: &'a str, blobs: &'a mut IndexMap<String, Bytes>) -> Self {
        Self { slot: Some(slot), blobs }
    }

    /// The same place, inside a list or map: media written there carry their bytes inline.
    pub fn nested(&mut self) -> Writing<'_> {
        Writing { slot: None, blobs: self.blobs }
    }

    /// A ref to media: its bytes as the slot's blob, or inline in `data` where it is nested.
    pub fn media(&mut self, kind: &str, bytes: Bytes) -> Map {
        match self.slot {
            Some(slot) => {
                self.blobs.insert(slot.to_owned(), bytes);
                map! { "type" => kind, "uri" => format!("blob://{slot}") }
            }
            None => map! { "type" => kind, "uri" => "", "data" => bytes },
        }
    }
}

/// The error for a value of another type than the field's.
#[must_use]
pub fn mismatch(expected: &str, found: &Value) -> Error {
    let shown = match found {
        Value::Str(text) if text.len() <= 40 => format!("str {text:?}"),
        Value::Int(n) => format!("int {n}"),
        Value::Float(n) => format!("float {n}"),
        Value::Bool(b) => format!("bool {b}"),
        other => other.type_name().to_owned(),
    };
    Error::invalid(format!("expected {expected}, got {shown}"))
}

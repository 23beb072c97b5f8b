//! Wire values to Rust types and back: what a node's fields and outputs may be. How a request is read is not known here.

mod asset;
pub mod audio;
mod choice;
mod collection;
mod dataframe;
mod image;
mod inputs;
mod model_ref;
mod scalar;
pub mod tensor;
mod tensor_wire;
mod union;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::metadata::TypeMetadata;
use millwork_protocol::{Map, Value, map};

pub use asset::{Asset, AudioBytes, ImageBytes, Model3dBytes, TextAsset, VideoBytes};
pub use audio::Audio;
pub use choice::{Choice, choice_from_wire, choice_metadata};
pub use image::Image;
pub use inputs::Inputs;
pub use millwork_protocol::dataframe::{ColumnDef, DataFrame};
pub use model_ref::ModelRef;
pub use tensor::{DType, Element, Tensor, TensorError};
pub use union::Alternatives;

use crate::workspace::Workspace;
use crate::{Error, Result, ResultExt};

/// A type that a field can have.
#[diagnostic::on_unimplemented(
    message = "a field of a node cannot be of the type `{Self}`",
    label = "no value from a host becomes a `{Self}`",
    note = "a field is a bool, a number, a String, Bytes, Value, Image, Audio, Tensor, DataFrame, ModelRef, VideoBytes, TextAsset or Asset; an Option, Vec, array, tuple, Inputs or IndexMap<String, _> of them; or an enum with #[derive(Choice)] or #[derive(Union)]"
)]
pub trait FromWire: Sized {
    /// Whether a field of this type is read bit by bit, as [`Inputs`] are.
    const STREAMS: bool = false;

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

    /// Reads a map of these; `entry` is what errors call one of them.
    ///
    /// # Errors
    /// As [`FromWire::from_wire`], with the key in front.
    fn map_from_wire(map: Map, entry: &str, reading: &Reading<'_>) -> Result<IndexMap<String, Self>> {
        let read = |(key, value)| {
            let value = Self::from_wire(value, reading).context(format!("{entry} `{key}`"))?;
            Ok((key, value))
        };
        map.into_iter().map(read).collect()
    }
}

/// A type whose values lie between a `min` and a `max`.
#[diagnostic::on_unimplemented(
    message = "`min` and `max` are for fields that are a number, and `{Self}` is none",
    label = "take `min` and `max` away, or check it in `validate`"
)]
pub trait Number: FromWire {}

/// A type that an output slot can have.
#[diagnostic::on_unimplemented(
    message = "an output of a node cannot be of the type `{Self}`",
    label = "no `{Self}` can be sent to a host",
    note = "an output is a bool, a number, a String, Bytes, Value, Map, Image, Audio, Tensor, DataFrame, VideoBytes, TextAsset or Asset; an Option, Vec, array, tuple or IndexMap<String, _> of them; an enum with #[derive(Choice)] or #[derive(Union)]; or, for several slots, a struct with #[derive(Outputs)]"
)]
pub trait IntoWire {
    /// The type as `discover` reports it.
    fn type_metadata() -> TypeMetadata;

    /// Writes the value; large bytes of a slot of its own travel as a blob.
    ///
    /// # Errors
    /// Where the value cannot be encoded.
    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value>;

    /// Writes a map of these.
    ///
    /// # Errors
    /// As [`IntoWire::into_wire`].
    fn map_into_wire(map: IndexMap<String, Self>, writing: &mut Writing<'_>) -> Result<Map>
    where
        Self: Sized,
    {
        let mut nested = writing.nested();
        map.into_iter().map(|(key, item)| Ok((key, item.into_wire(&mut nested)?))).collect()
    }
}

/// What reading a value may reach.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// Where files that a value names may lie.
    workspace: &'a Workspace,
    /// The field that is read, empty outside of one.
    field: &'a str,
}

impl<'a> Reading<'a> {
    /// What reading a value may reach: files of the workspace.
    #[must_use]
    pub fn new(workspace: &'a Workspace) -> Self {
        Self { workspace, field: "" }
    }

    pub(crate) fn field(&self, field: &'a str) -> Self {
        Self { field, ..*self }
    }

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

    /// Without a slot: media carry their bytes inline.
    pub(crate) fn inline(blobs: &'a mut IndexMap<String, Bytes>) -> Self {
        Self { slot: None, blobs }
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

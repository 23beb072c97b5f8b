//! What is known of a node's values before it runs: which there are, and what each is.

use indexmap::IndexMap;
use millwork_package::manifest::{FieldType, Format, ItemType};
use millwork_worker::onnx::{Dim, ValueInfo};

/// Values that are there at some point of a node, by name.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    values: IndexMap<String, Known>,
    /// Something that makes values could not be loaded: a name that is not here may still be one.
    pub(crate) is_partial: bool,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    Text,
    Number,
    Bool,
    Numbers,
    Texts,
    Image,
    Audio,
    /// Its shape, where that is known.
    Tensor(Option<Vec<Dim>>),
    Buffer(Format),
    /// Labels or boxes, for hosts.
    Maps,
    /// Made by something that could not be loaded.
    Anything,
}

impl Known {
    pub(crate) fn of_field(ty: FieldType, items: ItemType) -> Self {
        match ty {
            FieldType::Str | FieldType::Enum => Self::Text,
            FieldType::Int | FieldType::Float => Self::Number,
            FieldType::Bool => Self::Bool,
            FieldType::List if items == ItemType::Str => Self::Texts,
            FieldType::List => Self::Numbers,
            FieldType::Image => Self::Image,
            FieldType::Audio => Self::Audio,
            FieldType::Tensor => Self::Tensor(None),
        }
    }

    pub(crate) fn of_model(info: &ValueInfo) -> Self {
        Self::Tensor(info.shape.clone())
    }

    /// What it is, for people.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Numbers => "a list of numbers",
            Self::Texts => "a list of texts",
            Self::Image => "a picture",
            Self::Audio => "a sound",
            Self::Tensor(_) => "a tensor",
            Self::Buffer(_) => "a buffer",
            Self::Maps => "a list of maps",
            Self::Anything => "a value",
        }
    }

    /// Whether it can be read as a picture.
    pub(crate) fn is_picture(&self) -> bool {
        matches!(self, Self::Image | Self::Anything | Self::Buffer(Format::Rgba32f | Format::Rgba8 | Format::R32f))
    }

    /// What an expression may ask of it.
    pub(crate) fn attributes(&self) -> &'static [&'static str] {
        match self {
            Self::Image => &["width", "height"],
            Self::Audio => &["length", "rate"],
            Self::Tensor(_) => &["length", "shape"],
            Self::Buffer(_) => &["width", "height", "length"],
            Self::Numbers | Self::Texts => &["length"],
            Self::Text | Self::Number | Self::Bool | Self::Maps | Self::Anything => &[],
        }
    }

    /// Whether it means something in an expression by itself: a number does, and a list in `list[0]`.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Text | Self::Number | Self::Bool | Self::Numbers | Self::Texts | Self::Anything)
    }
}

impl Scope {
    pub(crate) fn add(&mut self, name: &str, known: Known) {
        self.values.insert(name.to_owned(), known);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Known> {
        self.values.get(name)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.values.keys().map(String::as_str).collect()
    }
}

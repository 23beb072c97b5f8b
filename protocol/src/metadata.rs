//! What a node says about itself in `discover`: its fields, its outputs and their types. How nodes are run is not known here.

use crate::message::macros::message;
use crate::{Map, Value};

message! {
    /// The type of a field or an output.
    pub struct TypeMetadata {
        /// `str`, `int`, `list`, `image`, …: the constructors of this struct name the common ones.
        pub kind: String as "type",
        /// Whether nil is a value of it.
        pub optional: bool = sparse,
        /// The values of an `enum`.
        pub values: Vec<Value> = sparse,
        /// What a `list`, `dict`, `tuple` or `union` is made of.
        pub type_args: Vec<TypeMetadata> = sparse,
        /// The name of an `enum`, or of a type that only its own package knows.
        pub type_name: Option<String>,
    }
}

/// The type that takes any value.
impl Default for TypeMetadata {
    fn default() -> Self {
        Self::any()
    }
}

macro_rules! plain_types {
    ($($(#[$doc:meta])* $name:ident = $kind:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name() -> Self {
            Self::new($kind)
        }
    )*};
}

impl TypeMetadata {
    /// The type of this name, with nothing more said about it.
    pub fn new(kind: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            optional: false,
            values: Vec::new(),
            type_args: Vec::new(),
            type_name: None,
            extra: Map::new(),
        }
    }

    plain_types! {
        /// Any value.
        any = "any",
        /// Nothing: a node without a result.
        none = "none",
        /// Text.
        str = "str",
        /// A whole number.
        int = "int",
        /// A number.
        float = "float",
        /// `true` or `false`.
        bool = "bool",
        /// Raw bytes.
        bytes = "bytes",
        /// A map with any keys and values.
        dict = "dict",
        /// A list of anything.
        list = "list",
        /// A picture.
        image = "image",
        /// A sound.
        audio = "audio",
        /// A film.
        video = "video",
        /// A document of text, as an asset.
        text = "text",
        /// A 3D model.
        model_3d = "model_3d",
        /// A file of any sort.
        asset = "asset",
        /// Rows and named columns.
        dataframe = "dataframe",
        /// A tensor, [`crate::tensor`].
        np_array = "np_array",
    }

    /// A list whose elements are all of one type.
    #[must_use]
    pub fn list_of(element: Self) -> Self {
        Self { type_args: vec![element], ..Self::list() }
    }

    /// A map from keys of one type to values of another.
    #[must_use]
    pub fn dict_of(key: Self, value: Self) -> Self {
        Self { type_args: vec![key, value], ..Self::dict() }
    }

    /// A list of fixed length with a type for each place.
    #[must_use]
    pub fn tuple_of(elements: impl IntoIterator<Item = Self>) -> Self {
        Self { type_args: elements.into_iter().collect(), ..Self::new("tuple") }
    }

    /// A value of any one of these types.
    #[must_use]
    pub fn union_of(types: impl IntoIterator<Item = Self>) -> Self {
        Self { type_args: types.into_iter().collect(), ..Self::new("union") }
    }

    /// One of these values.
    #[must_use]
    pub fn enum_of<V: Into<Value>>(name: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self { type_name: Some(name.into()), values: values.into_iter().map(Into::into).collect(), ..Self::new("enum") }
    }

    /// The same type, or nil.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

message! {
    /// One field of a node.
    #[derive(Default)]
    pub struct PropertyMetadata {
        /// The key under which its value travels in `fields`.
        pub name: String,
        /// What it takes.
        pub ty: TypeMetadata as "type",
        /// Its value where none is given.
        pub default: Option<Value>,
        /// What it is for.
        pub description: Option<String>,
    }
}

message! {
    /// One output of a node.
    #[derive(Default)]
    pub struct OutputSlot {
        /// The key under which its value travels in `outputs`.
        pub name: String,
        /// What it gives.
        pub ty: TypeMetadata as "type",
        /// Whether it gives more than one value, one after the other.
        pub stream: bool = sparse,
        /// What the values of a stream are to each other, where its node says so.
        pub stream_kind: Option<String>,
    }
}

message! {
    /// A node as `discover` reports it.
    #[derive(Default)]
    pub struct NodeMetadata {
        /// `namespace.path.Name`.
        pub node_type: String,
        /// Its name for people.
        pub title: String = default,
        /// What it does.
        pub description: String = default,
        /// Its fields, in the order they are shown.
        pub properties: Vec<PropertyMetadata> = default,
        /// Its outputs, in the order they are shown.
        pub outputs: Vec<OutputSlot> = default,
        /// The secrets and settings that it cannot run without.
        pub required_settings: Vec<String> = default,
        /// Models that suit it, as the host's model lists have them.
        pub recommended_models: Vec<Value> = default,
        /// Whether it gives its outputs bit by bit: run it with `execute.stream`.
        pub is_streaming_output: bool = default,
        /// Whether it takes its inputs bit by bit.
        pub is_streaming_input: bool = default,
        /// Whether it takes fields that it does not declare.
        pub is_dynamic: bool = default,
        /// GPU memory that it needs, in GiB; left out where that is not known.
        pub requires_vram_gb: Option<f64>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map;

    #[test]
    fn a_node_travels_without_loss() {
        let travelled = map! {
            "node_type" => "acme.image.Blur",
            "title" => "Blur",
            "description" => "Blurs.",
            "properties" => Value::List(vec![
                map! { "name" => "image", "type" => map! { "type" => "image" } }.into(),
                map! {
                    "name" => "sigma",
                    "type" => map! { "type" => "float", "optional" => true },
                    "default" => 2.0,
                    "description" => "Width.",
                    "min" => 0.0,
                    "max" => 100.0,
                }.into(),
            ]),
            "outputs" => Value::List(vec![
                map! { "name" => "output", "type" => map! { "type" => "image" }, "stream" => true }.into(),
            ]),
            "required_settings" => vec!["TOKEN"],
            "recommended_models" => Vec::<Value>::new(),
            "is_streaming_output" => true,
            "is_streaming_input" => false,
            "is_dynamic" => false,
            "requires_vram_gb" => 1.5,
            "layout" => "wide",
        };
        let node = NodeMetadata::from_map(travelled.clone()).unwrap();
        assert_eq!(node.properties[1].extra, map! { "min" => 0.0, "max" => 100.0 });
        assert_eq!(node.extra, map! { "layout" => "wide" });
        assert_eq!(node.to_value(), Value::Map(travelled));
    }

    #[test]
    fn a_peer_may_send_every_key_of_a_type() {
        let sent = map! {
            "type" => "enum",
            "optional" => false,
            "values" => vec!["a", "b"],
            "type_args" => Vec::<Value>::new(),
            "type_name" => "Letter",
        };
        let read = TypeMetadata::from_map(sent).unwrap();
        assert_eq!(read, TypeMetadata::enum_of("Letter", ["a", "b"]));
        assert_eq!(
            TypeMetadata::list_of(TypeMetadata::int().optional()).into_map(),
            map! {
                "type" => "list",
                "type_args" => Value::List(vec![map! { "type" => "int", "optional" => true }.into()]),
            }
        );
    }

    #[test]
    fn errors_name_the_path() {
        let bad = map! { "node_type" => "a.B", "outputs" => Value::List(vec![map! { "name" => "x" }.into()]) };
        let error = NodeMetadata::from_map(bad).unwrap_err();
        assert_eq!(error.to_string(), "outputs[0].type: expected map, got nothing");
    }
}

//! From a [`Value`] to a Rust type and back, key by key. Which keys a message has is declared with `message!`.

use std::borrow::Cow;

use bytes::Bytes;
use indexmap::IndexMap;
use schemars::{Schema, SchemaGenerator, json_schema};
use thiserror::Error;

use crate::{Map, Value};

/// A value of a type that its place does not take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: expected {expected}, got {found}", if path.is_empty() { "value" } else { path })]
pub struct TypeError {
    /// Where it stands, as `nodes[3].properties[0].name`; empty for the value itself.
    pub path: String,
    /// What belongs there.
    pub expected: Cow<'static, str>,
    /// The type of what is there, or `nothing`.
    pub found: Cow<'static, str>,
}

impl TypeError {
    /// An error about the value itself.
    #[must_use]
    pub fn new(expected: impl Into<Cow<'static, str>>, found: &Value) -> Self {
        Self { path: String::new(), expected: expected.into(), found: found.type_name().into() }
    }

    /// An error about a key that has to be there.
    #[must_use]
    pub fn missing(key: &str, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { path: key.to_owned(), expected: expected.into(), found: "nothing".into() }
    }

    /// The same error, seen from the map that holds the value under `key`.
    #[must_use]
    pub fn under(mut self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }

    /// The same error, seen from the list that holds the value at `index`.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        self.under(&format!("[{index}]"))
    }
}

/// A type that stands in a message.
pub trait Field: Sized {
    /// What it is called in an error: `str`, `list`, …
    const EXPECTED: &'static str;

    /// What a key that is not there, or nil, means; nothing where the key is required.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }

    /// Whether the key is left out on output.
    fn is_absent(&self) -> bool {
        false
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where the value, or one inside it, has another type.
    fn from_value(value: Value) -> Result<Self, TypeError>;

    /// Writes it.
    fn into_value(self) -> Value;

    /// Its JSON Schema.
    fn schema(generator: &mut SchemaGenerator) -> Schema;

    /// Its JSON Schema as the value of a key, which is left out instead of being nil.
    #[must_use]
    fn key_schema(generator: &mut SchemaGenerator) -> Schema {
        Self::schema(generator)
    }
}

macro_rules! scalar {
    ($($type:ty, $expected:literal, $schema:tt, |$value:ident| $read:expr;)*) => {$(
        impl Field for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value($value: Value) -> Result<Self, TypeError> {
                $read.ok_or_else(|| TypeError::new($expected, &$value))
            }

            fn into_value(self) -> Value {
                self.into()
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}
scalar! {
    bool, "bool", { "type": "boolean" }, |v| v.as_bool();
    i64, "int", { "type": "integer" }, |v| v.as_i64();
    u32, "int from 0 to 4294967295", { "type": "integer", "minimum": 0, "maximum": u32::MAX },
        |v| v.as_i64().and_then(|n| u32::try_from(n).ok());
    u64, "int from 0", { "type": "integer", "minimum": 0 }, |v| v.as_i64().and_then(|n| u64::try_from(n).ok());
    f64, "number", { "type": "number" }, |v| v.as_f64();
}

impl Field for String {
    const EXPECTED: &'static str = "str";

    fn from_value(value: Value) -> Result<Self, TypeError> {
        match value {
            Value::Str(text) => Ok(text),
            other => Err(TypeError::new(Self::EXPECTED, &other)),
        }
    }

    fn into_value(self) -> Value {
        Value::Str(self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl Field for Bytes {
    const EXPECTED: &'static str = "bytes";

    fn from_value(value: Value) -> Result<Self, TypeError> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            // Old encoders have no type of their own for bytes.
            Value::Str(text) => Ok(Bytes::from(text)),
            other => Err(TypeError::new(Self::EXPECTED, &other)),
        }
    }

    fn into_value(self) -> Value {
        Value::Bytes(self)
    }

    // JSON has no bytes, so the schema takes anything and says what it is.
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "$comment": "MessagePack bin" })
    }
}

/// A value may always be left out: nil is one.
impl Field for Value {
    const EXPECTED: &'static str = "any value";

    fn absent() -> Option<Self> {
        Some(Self::Nil)
    }

    fn is_absent(&self) -> bool {
        self.is_nil()
    }

    fn from_value(value: Value) -> Result<Self, TypeError> {
        Ok(value)
    }

    fn into_value(self) -> Value {
        self
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

impl<T: Field> Field for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn from_value(value: Value) -> Result<Self, TypeError> {
        if value.is_nil() { Ok(None) } else { T::from_value(value).map(Some) }
    }

    fn into_value(self) -> Value {
        self.map_or(Value::Nil, T::into_value)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [T::schema(generator), { "type": "null" }] })
    }

    fn key_schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Field> Field for Vec<T> {
    const EXPECTED: &'static str = "list";

    fn from_value(value: Value) -> Result<Self, TypeError> {
        let Value::List(items) = value else { return Err(TypeError::new(Self::EXPECTED, &value)) };
        items.into_iter().enumerate().map(|(i, item)| T::from_value(item).map_err(|e| e.at(i))).collect()
    }

    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(T::into_value).collect())
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::schema(generator) })
    }
}

/// Entries that are nil where `T` has no nil count as not given.
impl<T: Field> Field for IndexMap<String, T> {
    const EXPECTED: &'static str = "map";

    fn from_value(value: Value) -> Result<Self, TypeError> {
        let Value::Map(map) = value else { return Err(TypeError::new(Self::EXPECTED, &value)) };
        let read = |(key, value): (String, Value)| match T::from_value(value) {
            Ok(value) => Ok((key, value)),
            Err(error) => Err(error.under(&key)),
        };
        map.into_iter().filter(|(_, value)| !value.is_nil() || T::absent().is_some()).map(read).collect()
    }

    fn into_value(self) -> Value {
        Value::Map(self.into_iter().map(|(key, value)| (key, value.into_value())).collect())
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": T::schema(generator) })
    }
}

/// One thing, or a list of them: what the wire has for texts to embed and for the blobs of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum OneOrMany<T> {
    /// One, bare.
    One(T),
    /// A list, which may be empty or have one element.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All of them, in order.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T: Field> Field for OneOrMany<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: Value) -> Result<Self, TypeError> {
        match value {
            many @ Value::List(_) => Vec::from_value(many).map(Self::Many),
            one => T::from_value(one)
                .map(Self::One)
                .map_err(|e| TypeError { expected: format!("{} or a list of it", e.expected).into(), ..e }),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::One(one) => one.into_value(),
            Self::Many(many) => many.into_value(),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [T::schema(generator), Vec::<T>::schema(generator)] })
    }
}

/// Takes the value under the first of `keys` that is there and not nil; the others go too.
fn take(map: &mut Map, keys: &[&str]) -> Option<Value> {
    keys.iter().fold(None, |found, key| {
        let here = map.shift_remove(*key).filter(|value| !value.is_nil());
        found.or(here)
    })
}

/// Reads a key that its type may require.
pub(crate) fn read<T: Field>(map: &mut Map, keys: &[&str]) -> Result<T, TypeError> {
    let name = keys.first().copied().unwrap_or_default();
    match take(map, keys) {
        Some(value) => T::from_value(value).map_err(|e| e.under(name)),
        None => T::absent().ok_or_else(|| TypeError::missing(name, T::EXPECTED)),
    }
}

/// Reads a key that has a default.
pub(crate) fn read_or_default<T: Field + Default>(map: &mut Map, keys: &[&str]) -> Result<T, TypeError> {
    read::<Option<T>>(map, keys).map(Option::unwrap_or_default)
}

/// Reads a key whose value counts as absent where it has another type.
pub(crate) fn read_lenient<T: Field + Default>(map: &mut Map, keys: &[&str]) -> T {
    read_or_default(map, keys).unwrap_or_default()
}

/// Whether a value is its type's default.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Builds the schema of one message.
pub(crate) struct ObjectSchema {
    description: &'static str,
    properties: serde_json::Map<String, serde_json::Value>,
    required: Vec<&'static str>,
}

impl ObjectSchema {
    pub(crate) fn new(description: &'static str) -> Self {
        Self { description, properties: serde_json::Map::new(), required: Vec::new() }
    }

    pub(crate) fn property(&mut self, key: &'static str, mut schema: Schema, doc: &'static str, required: bool) {
        // A schema that takes anything is `true`, and takes a description as an object.
        schema.ensure_object().insert("description".to_owned(), unwrapped(doc).into());
        self.properties.insert(key.to_owned(), schema.to_value());
        if required {
            self.required.push(key);
        }
    }

    pub(crate) fn finish(self) -> Schema {
        let mut schema = json_schema!({ "type": "object", "description": unwrapped(self.description) });
        if !self.properties.is_empty() {
            schema.insert("properties".to_owned(), self.properties.into());
        }
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), self.required.into());
        }
        schema
    }
}

/// Doc lines as one line of text.
pub(crate) fn unwrapped(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

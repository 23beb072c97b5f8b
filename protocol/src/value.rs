//! One MessagePack value in memory. Decoding and encoding live in [`crate::codec`]; what a value means to a node does not.

use bytes::Bytes;
use indexmap::IndexMap;

/// A map with string keys, in the order they travelled.
pub type Map = IndexMap<String, Value>;

/// Anything that can stand in a payload.
///
/// Extension types arrive as [`Value::Nil`]; unsigned integers beyond `i64` as [`Value::Float`], since no host reads
/// them exactly; a `str` that is not UTF-8 (old encoders sent bytes so) as [`Value::Bytes`].
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `nil`, JavaScript's `undefined`, and every extension type.
    #[default]
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A double.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes; where they are large, a slice of the frame they came in.
    Bytes(Bytes),
    /// A list.
    List(Vec<Value>),
    /// A map.
    Map(Map),
}

impl Value {
    /// The name of this value's type in error texts.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// Whether this is [`Value::Nil`].
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The whole number: an integer, or a float without a fraction (JavaScript encoders send those).
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            // -2^63 is exact as a double, and so is 2^63, which does not fit.
            Self::Float(f) if f.fract() == 0.0 && (i64::MIN as f64..-(i64::MIN as f64)).contains(f) => Some(*f as i64),
            _ => None,
        }
    }

    /// The number, whole or not.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(i) => Some(*i as f64),
            Self::Float(f) => Some(*f),
            _ => None,
        }
    }

    /// The bytes, also those that an old encoder sent as text.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(b) => Some(b),
            Self::Str(s) => Some(s.as_bytes()),
            _ => None,
        }
    }

    /// The bytes by value, without a copy where they were bytes.
    #[must_use]
    pub fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Bytes(b) => Some(b),
            Self::Str(s) => Some(Bytes::from(s)),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if this is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The entries by value, if this is a map.
    #[must_use]
    pub fn into_map(self) -> Option<Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value under `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// This value as JSON. Bytes become `{"$bytes": LENGTH}`: they are for files, not for terminals; NaN and infinities become null.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Nil => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Int(i) => Json::from(*i),
            Self::Float(f) => Json::from(*f),
            Self::Str(s) => Json::from(s.as_str()),
            Self::Bytes(b) => serde_json::json!({ "$bytes": b.len() }),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(map) => Json::Object(map.iter().map(|(k, v)| (k.clone(), v.to_json())).collect()),
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Nil,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(n) => n.as_i64().map_or_else(|| Self::Float(n.as_f64().unwrap_or(f64::NAN)), Self::Int),
            Json::String(s) => Self::Str(s),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Json::Object(map) => Self::Map(map.into_iter().map(|(k, v)| (k, Self::from(v))).collect()),
        }
    }
}

macro_rules! from {
    ($($source:ty => |$v:ident| $make:expr;)*) => {$(
        impl From<$source> for Value {
            fn from($v: $source) -> Self {
                $make
            }
        }
    )*};
}
from! {
    bool => |v| Self::Bool(v);
    i32 => |v| Self::Int(v.into());
    i64 => |v| Self::Int(v);
    u32 => |v| Self::Int(v.into());
    u64 => |v| i64::try_from(v).map_or(Self::Float(v as f64), Self::Int);
    usize => |v| i64::try_from(v).map_or(Self::Float(v as f64), Self::Int);
    f32 => |v| Self::Float(v.into());
    f64 => |v| Self::Float(v);
    &str => |v| Self::Str(v.to_owned());
    String => |v| Self::Str(v);
    Bytes => |v| Self::Bytes(v);
    Map => |v| Self::Map(v);
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

/// A [`Map`] written as `map! { "key" => value, … }`.
#[macro_export]
macro_rules! map {
    ($($key:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut map = $crate::Map::new();
        $(map.insert(::std::string::String::from($key), $crate::Value::from($value));)*
        map
    }};
}

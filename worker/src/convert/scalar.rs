//! Numbers, text, booleans, bytes, lists, maps, options, and `any`.

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::metadata::TypeMetadata;
use millwork_protocol::{Map, Value};

use super::{FromWire, IntoWire, Reading, Writing, mismatch};
use crate::{Error, Result, ResultExt};

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl FromWire for $ty {
            fn type_metadata() -> TypeMetadata {
                TypeMetadata::int()
            }

            fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
                let whole = value.as_i64().ok_or_else(|| mismatch("an int", &value))?;
                <$ty>::try_from(whole).map_err(|_| {
                    Error::invalid(format!("must be between {} and {}, got {whole}", <$ty>::MIN, <$ty>::MAX))
                })
            }

            fn to_default(&self) -> Value {
                Value::Int(i64::try_from(*self).unwrap_or(i64::MAX))
            }

            fn as_number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        }

        impl IntoWire for $ty {
            fn type_metadata() -> TypeMetadata {
                TypeMetadata::int()
            }

            fn into_wire(self, _: &mut Writing<'_>) -> Result<Value> {
                Ok(i64::try_from(self).map_or(Value::Float(self as f64), Value::Int))
            }
        }
    )*};
}
integers!(u8, i32, u32, i64, u64, usize);

macro_rules! floats {
    ($($ty:ty),*) => {$(
        impl FromWire for $ty {
            fn type_metadata() -> TypeMetadata {
                TypeMetadata::float()
            }

            fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
                value.as_f64().map(|n| n as $ty).ok_or_else(|| mismatch("a float", &value))
            }

            fn to_default(&self) -> Value {
                // Through the shortest decimal form, so that 0.1f32 is reported as 0.1.
                Value::Float(self.to_string().parse().unwrap_or(f64::from(*self)))
            }

            fn as_number(&self) -> Option<f64> {
                Some(f64::from(*self))
            }
        }

        impl IntoWire for $ty {
            fn type_metadata() -> TypeMetadata {
                TypeMetadata::float()
            }

            fn into_wire(self, _: &mut Writing<'_>) -> Result<Value> {
                Ok(Value::Float(f64::from(self)))
            }
        }
    )*};
}
floats!(f32, f64);

impl FromWire for bool {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::bool()
    }

    fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
        value.as_bool().ok_or_else(|| mismatch("a bool", &value))
    }

    fn to_default(&self) -> Value {
        Value::Bool(*self)
    }
}

impl IntoWire for bool {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::bool()
    }

    fn into_wire(self, _: &mut Writing<'_>) -> Result<Value> {
        Ok(Value::Bool(self))
    }
}

impl FromWire for String {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::str()
    }

    fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
        match value {
            Value::Str(text) => Ok(text),
            // Text that a host sent as a blob.
            Value::Bytes(bytes) => String::from_utf8(bytes.into()).invalid("expected UTF-8 text"),
            other => Err(mismatch("a str", &other)),
        }
    }

    fn to_default(&self) -> Value {
        Value::from(self.as_str())
    }
}

impl IntoWire for String {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::str()
    }

    fn into_wire(self, _: &mut Writing<'_>) -> Result<Value> {
        Ok(Value::Str(self))
    }
}

impl FromWire for Bytes {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::bytes()
    }

    fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Str(text) => Ok(Bytes::from(text)),
            other => Err(mismatch("bytes", &other)),
        }
    }
}

impl IntoWire for Bytes {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::bytes()
    }

    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        Ok(match writing.slot {
            Some(_) => Value::Map(writing.media("asset", self)),
            None => Value::Bytes(self),
        })
    }
}

impl FromWire for Value {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::any()
    }

    fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
        Ok(value)
    }

    fn missing() -> Option<Self> {
        Some(Value::Nil)
    }

    fn to_default(&self) -> Value {
        self.clone()
    }
}

impl IntoWire for Value {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::any()
    }

    /// As it is, except that a media ref with its bytes inline gets them as the slot's blob.
    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        match (writing.slot, self) {
            (Some(slot), Value::Map(mut map)) if is_ref_with_bytes(&map) => {
                if let Some(Value::Bytes(bytes)) = map.shift_remove("data") {
                    writing.blobs.insert(slot.to_owned(), bytes);
                    map.insert("uri".to_owned(), Value::from(format!("blob://{slot}")));
                }
                Ok(Value::Map(map))
            }
            (_, other) => Ok(other),
        }
    }
}

/// A map that is `{type, uri, data: bytes}`: what a blob becomes in a field.
fn is_ref_with_bytes(map: &Map) -> bool {
    matches!(map.get("data"), Some(Value::Bytes(_))) && map.contains_key("type") && map.contains_key("uri")
}

impl FromWire for Map {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::dict()
    }

    fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
        match value {
            Value::Map(map) => Ok(map),
            other => Err(mismatch("a dict", &other)),
        }
    }

    fn to_default(&self) -> Value {
        Value::Map(self.clone())
    }
}

impl IntoWire for Map {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::dict()
    }

    fn into_wire(self, _: &mut Writing<'_>) -> Result<Value> {
        Ok(Value::Map(self))
    }
}

impl<T: FromWire> FromWire for Vec<T> {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::list_of(T::type_metadata())
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        match value {
            Value::List(items) => items
                .into_iter()
                .enumerate()
                .map(|(i, item)| T::from_wire(item, reading).context(format!("element {i}")))
                .collect(),
            other => Err(mismatch("a list", &other)),
        }
    }

    fn to_default(&self) -> Value {
        Value::List(self.iter().map(T::to_default).collect())
    }
}

impl<T: IntoWire> IntoWire for Vec<T> {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::list_of(T::type_metadata())
    }

    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        let mut nested = writing.nested();
        self.into_iter().map(|item| item.into_wire(&mut nested)).collect::<Result<_>>().map(Value::List)
    }
}

impl<T: FromWire> FromWire for IndexMap<String, T>
where
    T: NotValue,
{
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::dict_of(TypeMetadata::str(), T::type_metadata())
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        match value {
            Value::Map(map) => map
                .into_iter()
                .map(|(key, item)| {
                    let item = T::from_wire(item, reading).context(format!("entry {key:?}"))?;
                    Ok((key, item))
                })
                .collect(),
            other => Err(mismatch("a dict", &other)),
        }
    }
}

impl<T: IntoWire> IntoWire for IndexMap<String, T>
where
    T: NotValue,
{
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::dict_of(TypeMetadata::str(), T::type_metadata())
    }

    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        let mut nested = writing.nested();
        let entries = self.into_iter().map(|(key, item)| Ok((key, item.into_wire(&mut nested)?)));
        entries.collect::<Result<_>>().map(Value::Map)
    }
}

/// Types that a typed map can hold; a map of [`Value`] is [`Map`], which has its own form.
pub trait NotValue {}
impl NotValue for super::Tensor {}
impl NotValue for super::Image {}
impl NotValue for String {}
impl NotValue for f64 {}
impl NotValue for i64 {}
impl NotValue for bool {}

impl<T: FromWire> FromWire for Option<T> {
    fn type_metadata() -> TypeMetadata {
        T::type_metadata().optional()
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        T::from_wire(value, reading).map(Some)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }

    fn to_default(&self) -> Value {
        self.as_ref().map_or(Value::Nil, T::to_default)
    }

    fn as_number(&self) -> Option<f64> {
        self.as_ref().and_then(T::as_number)
    }
}

impl<T: IntoWire> IntoWire for Option<T> {
    fn type_metadata() -> TypeMetadata {
        T::type_metadata().optional()
    }

    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        self.map_or(Ok(Value::Nil), |value| value.into_wire(writing))
    }
}

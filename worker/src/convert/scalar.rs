//! Numbers, text, booleans, bytes, and `any`. What is made of others is in `collection`.

use bytes::Bytes;
use millwork_protocol::asset::AssetRef;
use millwork_protocol::metadata::TypeMetadata;
use millwork_protocol::{Map, Value};

use super::{Asset, FromWire, IntoWire, Number, Reading, Writing, mismatch};
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

        impl Number for $ty {}

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
integers!(u8, i8, u16, i16, u32, i32, u64, i64, usize, isize);

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

        impl Number for $ty {}

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

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        let utf8 = |bytes: Bytes| String::from_utf8(bytes.into()).invalid("expected UTF-8 text");
        match value {
            Value::Str(text) => Ok(text),
            // Text that a host sent as a blob.
            Value::Bytes(bytes) => utf8(bytes),
            reference if AssetRef::is_ref(&reference) => utf8(Asset::read(reference, "text", reading)?.bytes),
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

impl IntoWire for &str {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::str()
    }

    fn into_wire(self, _: &mut Writing<'_>) -> Result<Value> {
        Ok(Value::from(self))
    }
}

impl FromWire for Bytes {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::bytes()
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Str(text) => Ok(Bytes::from(text)),
            reference if AssetRef::is_ref(&reference) => Ok(Asset::read(reference, "bytes", reading)?.bytes),
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

    fn map_from_wire(map: Map, _: &str, _: &Reading<'_>) -> Result<Map> {
        Ok(map)
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

    fn map_into_wire(map: Map, _: &mut Writing<'_>) -> Result<Map> {
        Ok(map)
    }
}

/// A map that is `{type, uri, data: bytes}`: what a blob becomes in a field.
fn is_ref_with_bytes(map: &Map) -> bool {
    matches!(map.get("data"), Some(Value::Bytes(_))) && map.contains_key("type") && map.contains_key("uri")
}

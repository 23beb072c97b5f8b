//! Rust types to [`Value`].

use serde::Serialize;
use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

use super::TypedError;
use crate::{Map, Value};

type Result<T = Value> = std::result::Result<T, TypedError>;

/// Writes one value.
pub(super) struct Writer;

/// A list under way, and the variant that it belongs to.
pub(super) struct Items(Vec<Value>, Option<&'static str>);

/// A map under way, the key whose value comes next, and the variant that it belongs to.
pub(super) struct Entries(Map, Option<String>, Option<&'static str>);

/// What a variant carries stands under its name.
fn variant(name: Option<&str>, content: Value) -> Value {
    match name {
        Some(name) => Value::Map(Map::from_iter([(name.to_owned(), content)])),
        None => content,
    }
}

macro_rules! plain {
    ($($method:ident($source:ty);)*) => {$(
        fn $method(self, value: $source) -> Result {
            Ok(Value::from(value))
        }
    )*};
}

macro_rules! whole {
    ($($method:ident($source:ty);)*) => {$(
        fn $method(self, value: $source) -> Result {
            Ok(Value::Int(value.into()))
        }
    )*};
}

impl Serializer for Writer {
    type Ok = Value;
    type Error = TypedError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    plain! {
        serialize_bool(bool);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_str(&str);
    }

    whole! {
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
    }

    fn serialize_char(self, value: char) -> Result {
        Ok(Value::Str(value.to_string()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result {
        Ok(Value::Bytes(bytes::Bytes::copy_from_slice(value)))
    }

    fn serialize_none(self) -> Result {
        Ok(Value::Nil)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        Ok(Value::Nil)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        Ok(Value::Nil)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result {
        Ok(Value::from(name))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result {
        value.serialize(self).map(|value| variant(Some(name), value))
    }

    // Lengths are what a type claims, and grow with what it has.
    fn serialize_seq(self, _: Option<usize>) -> Result<Items> {
        Ok(Items(Vec::new(), None))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items> {
        Ok(Items(Vec::new(), None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items> {
        Ok(Items(Vec::new(), None))
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, name: &'static str, _: usize) -> Result<Items> {
        Ok(Items(Vec::new(), Some(name)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries> {
        Ok(Entries(Map::new(), None, None))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries> {
        Ok(Entries(Map::new(), None, None))
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, name: &'static str, _: usize) -> Result<Entries> {
        Ok(Entries(Map::new(), None, Some(name)))
    }
}

macro_rules! items {
    ($($kind:ident: $add:ident;)*) => {$(
        impl $kind for Items {
            type Ok = Value;
            type Error = TypedError;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.0.push(value.serialize(Writer)?);
                Ok(())
            }

            fn end(self) -> Result {
                Ok(variant(self.1, Value::List(self.0)))
            }
        }
    )*};
}

items! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

macro_rules! entries {
    ($($kind:ident)*) => {$(
        impl $kind for Entries {
            type Ok = Value;
            type Error = TypedError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
                self.0.insert(key.to_owned(), value.serialize(Writer)?);
                Ok(())
            }

            fn end(self) -> Result {
                Ok(variant(self.2, Value::Map(self.0)))
            }
        }
    )*};
}

entries! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = TypedError;

    /// Keys are texts; numbers and truth values are written as one.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.1 = Some(match key.serialize(Writer)? {
            Value::Str(text) => text,
            Value::Int(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            other => return Err(TypedError::custom(format!("the key of a map is a {}", other.type_name()))),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let key = self.1.take().ok_or_else(|| TypedError::custom("a value came before its key"))?;
        self.0.insert(key, value.serialize(Writer)?);
        Ok(())
    }

    fn end(self) -> Result {
        Ok(Value::Map(self.0))
    }
}

//! Options, lists, arrays, tuples and maps of other types. Lists that a node reads one by one are in `inputs`.

use indexmap::IndexMap;
use millwork_protocol::metadata::TypeMetadata;
use millwork_protocol::{Map, Value};

use super::{FromWire, IntoWire, Number, Reading, Writing, mismatch};
use crate::{Error, Result, ResultExt};

impl<T: FromWire> FromWire for Option<T> {
    const STREAMS: bool = T::STREAMS;

    fn type_metadata() -> TypeMetadata {
        T::type_metadata().optional()
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        // A field's nil does not come here, a list's does.
        if value.is_nil() { Ok(None) } else { T::from_wire(value, reading).map(Some) }
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

impl<T: Number> Number for Option<T> {}

impl<T: IntoWire> IntoWire for Option<T> {
    fn type_metadata() -> TypeMetadata {
        T::type_metadata().optional()
    }

    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        self.map_or(Ok(Value::Nil), |value| value.into_wire(writing))
    }
}

impl<T: FromWire> FromWire for Vec<T> {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::list_of(T::type_metadata())
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        match value {
            Value::List(items) => {
                items.into_iter().enumerate().map(|(place, item)| element(place, item, reading)).collect()
            }
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

impl<T: FromWire, const N: usize> FromWire for [T; N] {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::tuple_of((0..N).map(|_| T::type_metadata()))
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        let items = of_length(value, N)?;
        let items: Vec<T> =
            items.into_iter().enumerate().map(|(place, item)| element(place, item, reading)).collect::<Result<_>>()?;
        // Its length has been checked.
        Self::try_from(items).map_err(|_| Error::failed("a list changed its length"))
    }

    fn to_default(&self) -> Value {
        Value::List(self.iter().map(T::to_default).collect())
    }
}

impl<T: IntoWire, const N: usize> IntoWire for [T; N] {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::tuple_of((0..N).map(|_| T::type_metadata()))
    }

    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        Vec::from(self).into_wire(writing)
    }
}

macro_rules! tuples {
    ($($len:literal: $($name:ident $place:tt),+;)*) => {$(
        impl<$($name: FromWire),+> FromWire for ($($name,)+) {
            fn type_metadata() -> TypeMetadata {
                TypeMetadata::tuple_of([$($name::type_metadata()),+])
            }

            fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
                let mut items = of_length(value, $len)?.into_iter();
                Ok(($(element::<$name>($place, items.next().unwrap_or_default(), reading)?,)+))
            }

            fn to_default(&self) -> Value {
                Value::List(vec![$(self.$place.to_default()),+])
            }
        }

        impl<$($name: IntoWire),+> IntoWire for ($($name,)+) {
            fn type_metadata() -> TypeMetadata {
                TypeMetadata::tuple_of([$($name::type_metadata()),+])
            }

            fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
                let mut nested = writing.nested();
                Ok(Value::List(vec![$(self.$place.into_wire(&mut nested)?),+]))
            }
        }
    )*};
}
tuples! {
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
}

fn element<T: FromWire>(place: usize, item: Value, reading: &Reading<'_>) -> Result<T> {
    T::from_wire(item, reading).context(format!("element {place}"))
}

fn of_length(value: Value, len: usize) -> Result<Vec<Value>> {
    match value {
        Value::List(items) if items.len() == len => Ok(items),
        Value::List(items) => Err(Error::invalid(format!("expected a list of {len}, got one of {}", items.len()))),
        other => Err(mismatch(&format!("a list of {len}"), &other)),
    }
}

/// A map whose values are `any` says nothing more of them.
fn dict_of(value: TypeMetadata) -> TypeMetadata {
    if value == TypeMetadata::any() { TypeMetadata::dict() } else { TypeMetadata::dict_of(TypeMetadata::str(), value) }
}

impl<T: FromWire> FromWire for IndexMap<String, T> {
    fn type_metadata() -> TypeMetadata {
        dict_of(T::type_metadata())
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        match value {
            Value::Map(map) => T::map_from_wire(map, "entry", reading),
            other => Err(mismatch("a dict", &other)),
        }
    }

    fn to_default(&self) -> Value {
        Value::Map(self.iter().map(|(key, value)| (key.clone(), value.to_default())).collect::<Map>())
    }
}

impl<T: IntoWire> IntoWire for IndexMap<String, T> {
    fn type_metadata() -> TypeMetadata {
        dict_of(T::type_metadata())
    }

    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        T::map_into_wire(self, writing).map(Value::Map)
    }
}

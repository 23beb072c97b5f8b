//! Secrets on the wire: values that travel, and are never printed.

use std::fmt;

use indexmap::IndexMap;
use schemars::{Schema, SchemaGenerator};

use super::convert::{Field, TypeError};
use crate::Value;

/// Secrets by name. Printing them for debugging shows the names alone.
#[derive(Clone, PartialEq, Default)]
pub struct Secrets(pub IndexMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Field for Secrets {
    const EXPECTED: &'static str = "map";

    fn from_value(value: Value) -> Result<Self, TypeError> {
        Field::from_value(value).map(Self)
    }

    fn into_value(self) -> Value {
        self.0.into_value()
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        IndexMap::<String, String>::schema(generator)
    }
}

/// One secret. Printing it for debugging shows that there is one.
#[derive(Clone, PartialEq, Default)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Field for Token {
    const EXPECTED: &'static str = "str";

    fn from_value(value: Value) -> Result<Self, TypeError> {
        Field::from_value(value).map(Self)
    }

    fn into_value(self) -> Value {
        Value::Str(self.0)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        String::schema(generator)
    }
}

//! Values of more than one type: a number or a name, a file or a list. Read through [`toml::Value`], so that an error has the
//! place of the value and says what belongs there.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A number, or arithmetic over fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Expression {
    /// What is computed, as it is written.
    Text(String),
    /// A number or a boolean, as a text.
    Literal(String),
}

impl Expression {
    /// What is computed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Literal(text) => text,
        }
    }
}

/// A uniform's value: one expression, or one for each component of a vector.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Uniform {
    /// A scalar.
    One(Expression),
    /// A vector.
    Vector(Vec<Expression>),
}

/// One number for all channels or one each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Numbers {
    /// For all.
    One(f32),
    /// For each.
    Each(Vec<f32>),
}

impl Numbers {
    /// As a list.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Each(numbers) => numbers,
        }
    }
}

/// A file of lines, or the lines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Lines {
    /// The file.
    File(String),
    /// The lines.
    List(Vec<String>),
}

/// A number, or the field that holds it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Param {
    /// The number.
    Number(f64),
    /// The field.
    Field(String),
}

/// As large as a picture, or so large.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Size {
    /// The picture.
    Like(String),
    /// Width and height.
    Pixels([u32; 2]),
}

macro_rules! loose_schemas {
    ($($type:ident: $schema:tt)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

loose_schemas! {
    Expression: { "type": ["string", "number", "boolean"] }
    Uniform: { "type": ["string", "number", "boolean", "array"], "items": { "type": ["string", "number", "boolean"] } }
    Numbers: { "type": ["number", "array"], "items": { "type": "number" } }
    Lines: { "type": ["string", "array"], "items": { "type": "string" } }
    Param: { "type": ["number", "string"] }
    Size: { "type": ["string", "array"], "items": { "type": "integer", "minimum": 1 }, "minItems": 2, "maxItems": 2 }
}

/// The error for a value of another type.
fn expected(what: &str, found: &toml::Value) -> String {
    format!("expected {what}, got {}", found.type_str())
}

fn number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

impl TryFrom<toml::Value> for Expression {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match &value {
            toml::Value::String(text) => Ok(Self::Text(text.clone())),
            toml::Value::Integer(number) => Ok(Self::Literal(number.to_string())),
            toml::Value::Float(number) => Ok(Self::Literal(number.to_string())),
            toml::Value::Boolean(value) => Ok(Self::Literal(value.to_string())),
            other => Err(expected("a number or an expression", other)),
        }
    }
}

impl TryFrom<toml::Value> for Uniform {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Array(items) => {
                items.into_iter().map(Expression::try_from).collect::<Result<_, _>>().map(Self::Vector)
            }
            other => Expression::try_from(other).map(Self::One),
        }
    }
}

impl TryFrom<toml::Value> for Numbers {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let each =
            || -> Option<Vec<f32>> { value.as_array()?.iter().map(|item| number(item).map(|n| n as f32)).collect() };
        let one = number(&value).map(|number| Self::One(number as f32));
        one.or_else(|| each().map(Self::Each)).ok_or_else(|| expected("a number or a list of numbers", &value))
    }
}

impl TryFrom<toml::Value> for Lines {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let file = value.as_str().map(|file| Self::File(file.to_owned()));
        file.or_else(|| texts(&value).map(Self::List)).ok_or_else(|| expected("a file or a list of texts", &value))
    }
}

impl TryFrom<toml::Value> for Param {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let field = || value.as_str().map(|field| Self::Field(field.to_owned()));
        number(&value)
            .map(Self::Number)
            .or_else(field)
            .ok_or_else(|| expected("a number or the name of a field", &value))
    }
}

impl TryFrom<toml::Value> for Size {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let side = |item: &toml::Value| item.as_integer().and_then(|side| u32::try_from(side).ok());
        let pixels = || match value.as_array()?.as_slice() {
            [width, height] => Some(Self::Pixels([side(width)?, side(height)?])),
            _ => None,
        };
        let like = value.as_str().map(|picture| Self::Like(picture.to_owned()));
        like.or_else(pixels).ok_or_else(|| expected("the name of a picture or [width, height]", &value))
    }
}

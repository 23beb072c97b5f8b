//! What a package.toml says, as plain data. How it is read is in `read`; whether files and models bear it out is not known here.

mod choices;
mod input;
mod loose;
mod node;
mod output;

use std::collections::BTreeMap;
use std::path::PathBuf;

use millwork_protocol::Value;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

pub use choices::*;
pub use input::{Input, Mel, Samples};
pub use loose::{Expression, Lines, Numbers, Param, Size, Uniform};
pub use node::{Buffer, Fallback, Field, FieldType, ItemType, Node, NodeHead, Step};
pub use output::Output;

use crate::problem::{Place, Problem};
use crate::source::Source;

/// A package.toml whose `[package]` table is whole.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The folder that it lies in.
    pub folder: PathBuf,
    /// What `[package]` says.
    pub head: Head,
    /// The program, where the package is one.
    pub program: Option<Program>,
    /// The nodes that are well formed.
    pub nodes: Vec<Node>,
    /// Everything else.
    pub problems: Vec<Problem>,
    pub(crate) source: Source,
}

impl Manifest {
    /// The place of something in package.toml.
    pub fn place<T>(&self, of: &Spanned<T>) -> Place {
        self.source.place(&of.span())
    }

    /// Whether `node_type` is in one of the package's namespaces.
    #[must_use]
    pub fn has_namespace_of(&self, node_type: &str) -> bool {
        let first = node_type.split('.').next().unwrap_or_default();
        self.head.namespaces.iter().any(|namespace| namespace == first)
    }
}

/// `[package]`, checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Head {
    /// What it is called.
    pub name: String,
    /// Where it says so.
    pub place: Place,
    /// Its version.
    pub version: semver::Version,
    /// What it is for.
    pub description: String,
    /// First segments of its node types.
    pub namespaces: Vec<String>,
    /// Environment variables without which it does not load.
    pub settings: Vec<String>,
}

/// `[program]`: a command that speaks the bridge protocol.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Program {
    /// The program and its arguments, as they are written.
    pub command: Vec<String>,
    /// Where `command` stands.
    pub place: Place,
    /// How to come by the program.
    pub build: Option<String>,
    /// Every other key: those of a worker's settings.
    pub settings: toml::Table,
    /// Where each key stands.
    pub places: BTreeMap<String, Place>,
}

/// `[package]` as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "package")]
pub(crate) struct HeadTable {
    /// What it is called: letters a to z, digits, - and _.
    #[schemars(with = "String", regex(pattern = "^[a-z][a-z0-9_-]{0,63}$"))]
    pub(crate) name: Spanned<String>,
    /// Its version, such as 1.2.0.
    #[schemars(with = "String")]
    pub(crate) version: Spanned<String>,
    /// What it is for.
    #[serde(default)]
    pub(crate) description: String,
    /// The versions of Millwork that it works with, such as >=0.1.
    #[schemars(with = "Option<String>")]
    pub(crate) millwork: Option<Spanned<String>>,
    /// First segments of its node types; without it, the name.
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) namespaces: Option<Vec<Spanned<String>>>,
    /// Environment variables without which it does not load.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) settings: Vec<Spanned<String>>,
}

/// A field's default as it travels.
#[must_use]
pub fn to_value(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::Int(*number),
        toml::Value::Float(number) => Value::Float(*number),
        toml::Value::Boolean(value) => Value::Bool(*value),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(items) => Value::List(items.iter().map(to_value).collect()),
        toml::Value::Table(table) => {
            Value::Map(table.iter().map(|(key, value)| (key.clone(), to_value(value))).collect())
        }
    }
}

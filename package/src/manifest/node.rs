//! A node: its fields, steps, buffers and fallback. Its outputs are in `output`, the inputs of its models in `input`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::choices::Format;
use super::input::Input;
use super::loose::{Expression, Uniform};
use super::output::Output;

/// One node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Node {
    /// What it is.
    pub head: NodeHead,
    /// Its fields, in order.
    pub fields: Vec<Field>,
    /// Buffers of its shaders.
    pub buffers: Vec<Buffer>,
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// What it gives, in order.
    pub outputs: Vec<Output>,
    /// What does the same without a GPU.
    pub fallback: Option<Fallback>,
}

/// `[[node]]` without what lies in it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeHead {
    /// namespace.path.Name, in one of the package's namespaces.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub node_type: Spanned<String>,
    /// Without it, made from the name.
    pub title: Option<String>,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// GPU memory that it needs, in GiB.
    pub vram_gb: Option<f64>,
}

/// One field of a node.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What hosts and the rest of the node call it.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// What it holds.
    #[serde(rename = "type")]
    pub ty: FieldType,
    /// What hosts show.
    #[serde(default)]
    pub description: String,
    /// Its value where none is given; without it the field is required.
    #[schemars(with = "Option<serde_json::Value>")]
    pub default: Option<Spanned<toml::Value>>,
    /// Whether it may be left out.
    #[serde(default)]
    pub optional: bool,
    /// Smallest value.
    #[schemars(with = "Option<f64>")]
    pub min: Option<Spanned<f64>>,
    /// Largest value.
    #[schemars(with = "Option<f64>")]
    pub max: Option<Spanned<f64>>,
    /// The texts that an enum may be.
    #[schemars(with = "Option<Vec<String>>")]
    pub values: Option<Spanned<Vec<String>>>,
    /// What a list is made of.
    #[schemars(with = "Option<ItemType>")]
    pub items: Option<Spanned<ItemType>>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// A text.
    Str,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// True or false.
    Bool,
    /// One of some texts.
    Enum,
    /// Numbers or texts.
    List,
    /// A picture.
    Image,
    /// A sound.
    Audio,
    /// A tensor.
    Tensor,
}

/// What a list is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ItemType {
    /// Numbers.
    #[default]
    Float,
    /// Whole numbers.
    Int,
    /// Texts.
    Str,
}

/// One step of a node: a model or a shader.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The model.
    #[schemars(with = "Option<String>")]
    pub onnx: Option<Spanned<String>>,
    /// The shader.
    #[schemars(with = "Option<String>")]
    pub wgsl: Option<Spanned<String>>,
    /// The shader's entry point.
    #[schemars(with = "Option<String>")]
    pub entry: Option<Spanned<String>>,
    /// Invocations along x, y and z.
    #[schemars(with = "Option<Vec<Expression>>")]
    pub dispatch: Option<Spanned<Vec<Spanned<Expression>>>>,
    /// Which buffer each storage variable of the shader is.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub bind: Option<BTreeMap<Spanned<String>, Spanned<String>>>,
    /// A value for each member of the shader's uniform struct.
    #[schemars(with = "Option<BTreeMap<String, Uniform>>")]
    pub uniforms: Option<BTreeMap<Spanned<String>, Spanned<Uniform>>>,
    /// What each input of the model is.
    #[serde(skip)]
    pub inputs: Vec<Input>,
    /// Values made from the model's outputs.
    #[serde(skip)]
    pub outputs: Vec<Output>,
}

/// A buffer of a node's shaders.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    /// What it is called.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Filled from this value.
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<String>>,
    /// As large as this buffer or picture.
    #[schemars(with = "Option<String>")]
    pub like: Option<Spanned<String>>,
    /// Pixels in a row.
    #[schemars(with = "Option<Expression>")]
    pub width: Option<Spanned<Expression>>,
    /// Rows.
    #[schemars(with = "Option<Expression>")]
    pub height: Option<Spanned<Expression>>,
    /// Elements.
    #[schemars(with = "Option<Expression>")]
    pub length: Option<Spanned<Expression>>,
    /// What its elements are.
    #[schemars(with = "Option<Format>")]
    pub format: Option<Spanned<Format>>,
}

/// A stock node that does the same without a GPU.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Its type.
    #[schemars(with = "String")]
    pub node: Spanned<String>,
    /// Its fields: names or expressions.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Expression>")]
    pub fields: BTreeMap<Spanned<String>, Spanned<Expression>>,
    /// Which of its outputs each output of this node is.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub outputs: BTreeMap<Spanned<String>, Spanned<String>>,
}

//! What a model says about itself, as plain data.

use std::fmt;

use super::supported::UnsupportedOperator;
use crate::convert::DType;

/// What a model says about itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The file name, or what the caller called the bytes.
    pub name: String,
    /// The graph's own name.
    pub graph_name: String,
    /// Tensors that a run must be given, in the model's order.
    pub inputs: Vec<ValueInfo>,
    /// Tensors that a run returns, in the model's order.
    pub outputs: Vec<ValueInfo>,
    /// Operator set versions by domain; the standard domain is `ai.onnx`.
    pub opsets: Vec<(String, i64)>,
    /// Version of the file format.
    pub ir_version: i64,
    /// The program that wrote the file, and its version.
    pub producer: String,
    /// The author's key-value pairs (`metadata_props`).
    pub metadata: Vec<(String, String)>,
    /// Operators and how often each occurs, subgraphs included, the most frequent first.
    pub operators: Vec<OperatorCount>,
    /// Operators that keep the model from running here; empty if nothing does.
    pub unsupported: Vec<UnsupportedOperator>,
    /// Elements of all weights.
    pub parameters: u64,
    /// Bytes of all weights, external data included.
    pub parameter_bytes: u64,
}

/// A named input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValueInfo {
    /// Its name in the graph.
    pub name: String,
    /// The element type, if it is one that a [`Tensor`](crate::convert::Tensor) can have.
    pub dtype: Option<DType>,
    /// The element type's name in any case: `float32`, `bfloat16`, `string`.
    pub dtype_name: String,
    /// One entry an axis; `None` when the model does not even say how many.
    pub shape: Option<Vec<Dim>>,
}

/// The length of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Always this long.
    Fixed(usize),
    /// Any length, the same wherever the name occurs.
    Symbol(String),
    /// Any length.
    Unknown,
}

/// How often an operator occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperatorCount {
    /// `Conv`, `Gemm`, ….
    pub op_type: String,
    /// `ai.onnx` for the standard ones.
    pub domain: String,
    /// Occurrences.
    pub count: usize,
}

impl ValueInfo {
    /// A value of a known type and shape.
    #[must_use]
    pub fn new(name: impl Into<String>, dtype: DType, shape: Vec<Dim>) -> Self {
        ValueInfo { name: name.into(), dtype: Some(dtype), dtype_name: dtype.name().into(), shape: Some(shape) }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(length) => write!(f, "{length}"),
            Dim::Symbol(name) => f.write_str(name),
            Dim::Unknown => f.write_str("?"),
        }
    }
}

/// `float32 [N, 3, 224, 224]`
impl fmt::Display for ValueInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            None => write!(f, "{} of any shape", self.dtype_name),
            Some(dims) => {
                let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
                write!(f, "{} [{}]", self.dtype_name, dims.join(", "))
            }
        }
    }
}

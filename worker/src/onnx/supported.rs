//! Which operators this build computes, and computes right.

use std::collections::HashSet;
use std::fmt;

use tract_onnx::pb::NodeProto;

/// The standard domain, written out: in files it is usually the empty string.
pub(super) const STANDARD: &str = "ai.onnx";

/// What tract has of onnxruntime's own domain. It looks operators up by name alone, and so would take that domain's
/// `Attention`, which has other inputs, for the standard one.
const MICROSOFT: [&str; 14] = [
    "BiasGelu",
    "FastGelu",
    "GatherBlockQuantized",
    "Gelu",
    "GroupQueryAttention",
    "MatMulNBits",
    "MultiHeadAttention",
    "QuickGelu",
    "Range",
    "RotaryEmbedding",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "Trilu",
];

/// An operator that keeps a model from running here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsupportedOperator {
    /// The node's name, or that of its first output.
    pub node: String,
    /// The operator.
    pub op_type: String,
    /// Its domain; `ai.onnx` for the standard ones.
    pub domain: String,
    /// Why, if it is not simply absent.
    pub reason: Option<&'static str>,
}

impl fmt::Display for UnsupportedOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnsupportedOperator { node, op_type, domain, reason } = self;
        write!(f, "node {node:?} (operator {op_type}, domain {domain}) is not supported by this build")?;
        reason.map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// The check, with the names that tract knows.
pub(super) struct Supported {
    known: HashSet<String>,
}

impl Supported {
    pub(super) fn new() -> Self {
        let known = tract_onnx::onnx().op_register.0.into_keys().collect();
        Supported { known }
    }

    /// `None` if the node will run.
    pub(super) fn refuse(&self, node: &NodeProto) -> Option<UnsupportedOperator> {
        let domain = domain_of(node);
        let known = match domain {
            "ai.onnx" | "ai.onnx.ml" => self.known.contains(&node.op_type),
            "com.microsoft" => MICROSOFT.contains(&node.op_type.as_str()) && self.known.contains(&node.op_type),
            _ => false,
        };
        let reason = if known { Some(known_to_be_wrong(node)?) } else { None };
        let (op_type, domain) = (node.op_type.clone(), domain.to_owned());
        Some(UnsupportedOperator { node: name_of(node), op_type, domain, reason })
    }
}

/// What tract 0.23.9 accepts and computes wrongly, measured with the operator tests of onnx 1.23.
fn known_to_be_wrong(node: &NodeProto) -> Option<&'static str> {
    let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
    match node.op_type.as_str() {
        "RNN" | "GRU" | "LSTM" => {
            let direction = attribute("direction")?;
            (direction.s != b"forward" && !direction.s.is_empty())
                .then_some("reverse and bidirectional layers would be computed wrongly")
        }
        "Attention" => {
            let is_windowed = |name: &str| attribute(name).is_some_and(|window| window.i >= 0);
            if is_windowed("left_window_size") || is_windowed("right_window_size") {
                return Some("the window of attention would be left out");
            }
            let causal = attribute("is_causal").is_some_and(|causal| causal.i != 0);
            let past = node.input.get(4).is_some_and(|input| !input.is_empty());
            (causal && past).then_some("causal attention with a past would be computed wrongly")
        }
        "BitShift" => Some("a shift by as many bits as there are, or more, would be computed wrongly"),
        "Celu" | "Swish" => attribute("alpha")
            .is_some_and(|alpha| alpha.f != 1.0)
            .then_some("with an alpha other than 1 it would be computed wrongly"),
        "Einsum" => {
            let equation = String::from_utf8_lossy(&attribute("equation")?.s).replace([' ', '.'], "");
            let operands: Vec<&str> = equation.split("->").next()?.split(',').collect();
            let repeats = |operand: &&str| operand.chars().enumerate().any(|(at, axis)| operand[..at].contains(axis));
            (operands.len() > 1 && operands.iter().any(repeats))
                .then_some("the diagonal of one of several inputs would be left out")
        }
        "SpaceToDepth" => attribute("mode")
            .is_some_and(|mode| mode.s != b"DCR" && !mode.s.is_empty())
            .then_some("its `mode` would be left out"),
        _ => None,
    }
}

pub(super) fn domain_of(node: &NodeProto) -> &str {
    if node.domain.is_empty() { STANDARD } else { &node.domain }
}

/// As tract names it: unnamed nodes go by their first output.
pub(super) fn name_of(node: &NodeProto) -> String {
    let output = || node.output.iter().find(|output| !output.is_empty());
    if node.name.is_empty() { output().cloned().unwrap_or_default() } else { node.name.clone() }
}

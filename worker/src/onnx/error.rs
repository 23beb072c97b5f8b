//! What can go wrong with a model, said so that its author knows what to change.

use super::supported::UnsupportedOperator;

/// Why a model did not load or run. Every variant names the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file cannot be read.
    #[error("cannot read model {model}: {reason}")]
    Read {
        /// The file.
        model: String,
        /// The operating system's words.
        reason: String,
    },
    /// The bytes are no ONNX model, or only the beginning of one.
    #[error("{model} is not a readable ONNX model: {reason}")]
    NotOnnx {
        /// The file, or what the caller calls the bytes.
        model: String,
        /// What is wrong with them.
        reason: String,
    },
    /// Operators that this build does not have, or would compute wrongly: all of them.
    #[error("model {model} cannot run here: {}", listed(.operators))]
    Unsupported {
        /// The model.
        model: String,
        /// In the order of the graph.
        operators: Vec<UnsupportedOperator>,
    },
    /// Weights that should lie beside the model do not.
    #[error("model {model}: external data of tensor {tensor:?} in {location:?}: {reason}")]
    ExternalData {
        /// The model.
        model: String,
        /// The tensor.
        tensor: String,
        /// The file, relative to the model's folder.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The graph is not well formed, or tract cannot read it.
    #[error("model {model} cannot be loaded: {reason}")]
    Load {
        /// The model.
        model: String,
        /// Which part, and why.
        reason: String,
    },
    /// tract cannot prepare the model for the shapes that were asked for.
    #[error("model {model} cannot be prepared for inputs {shapes}: {reason}")]
    Plan {
        /// The model.
        model: String,
        /// Names and shapes of the inputs.
        shapes: String,
        /// Which part, and why.
        reason: String,
    },
    /// An input is not what the model asks for.
    #[error("model {model}: {reason}")]
    Input {
        /// The model.
        model: String,
        /// Which input, what was expected and what was given.
        reason: String,
    },
    /// The request that it was for was cancelled.
    #[error("Cancelled")]
    Cancelled,
    /// The computation failed.
    #[error("model {model} failed: {reason}")]
    Run {
        /// The model.
        model: String,
        /// Where, and why.
        reason: String,
    },
}

impl OnnxError {
    /// True when other input would have helped: a file that is none, a tensor of the wrong shape.
    #[must_use]
    pub fn is_invalid_input(&self) -> bool {
        !matches!(self, OnnxError::Run { .. } | OnnxError::Cancelled)
    }

    /// As a node's error: `invalid_input`, `cancelled`, or `failed` for a run that broke.
    #[must_use]
    pub fn into_error(self) -> crate::Error {
        if self == OnnxError::Cancelled {
            return crate::Error::cancelled();
        }
        if self.is_invalid_input() { crate::Error::invalid(self) } else { crate::Error::failed(self) }
    }

    pub(super) fn threads(reason: String) -> Self {
        OnnxError::Run { model: "(any)".into(), reason }
    }
}

fn listed(operators: &[UnsupportedOperator]) -> String {
    const SHOWN: usize = 8;
    let mut list: Vec<String> = operators.iter().take(SHOWN).map(ToString::to_string).collect();
    if operators.len() > SHOWN {
        list.push(format!("and {} more", operators.len() - SHOWN));
    }
    list.join("; ")
}

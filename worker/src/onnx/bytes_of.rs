//! What a model occupies in memory: its constants, packed ones too. Buffers of a run are not in it.

use std::collections::HashSet;
use std::fmt::{Debug, Display};
use std::sync::Arc;

use tract_onnx::tract_core::internal::{Fact, Graph, Op, Tensor};
use tract_onnx::tract_core::ops::konst::Const;

/// For a node, its facts and its edges; measured on small models, where it matters.
const PER_NODE: u64 = 2048;

/// Bytes of a graph. Weights that two graphs share are counted in both: either may outlive the other.
pub(super) fn graph<F, O>(graph: &Graph<F, O>) -> u64
where
    F: Fact + Clone + 'static,
    O: Debug + Display + AsRef<dyn Op> + AsMut<dyn Op> + Clone + 'static,
{
    let mut seen = HashSet::new();
    let constants = graph.nodes().iter().filter_map(|node| node.op_as::<Const>()).map(Const::val);
    let distinct = constants.filter(|tensor| seen.insert(Arc::as_ptr(tensor)));
    distinct.map(|constant| tensor(constant)).sum::<u64>() + PER_NODE * graph.nodes().len() as u64
}

fn tensor(tensor: &Tensor) -> u64 {
    let plain = (tensor.len() * tensor.datum_type().size_of()) as u64;
    match tensor.exotic_fact() {
        Ok(Some(packed)) => {
            packed.mem_size().to_i64().ok().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(plain)
        }
        _ => plain,
    }
}

//! Lengths that only a run tells: how many frames the durations of a voice add up to, how many elements a mask keeps.
//!
//! tract names such a length, takes the first operator in its order that gives something of it for the one that finds it out,
//! and puts everything else that needs it behind. An operator that is told the length, such as a second `Range` up to the first
//! one's, may come first. Then the run fails, because the length is needed before it is known. Marked as followers, such
//! operators are never taken for the first.

use std::collections::HashSet;

use tract_onnx::tract_core::internal::*;

/// An operator that does not find out the lengths of its results.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Follower(Box<dyn TypedOp>);

impl Op for Follower {
    fn name(&self) -> StaticName {
        self.0.name()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        self.0.info()
    }

    fn required_bound_symbols(&self, inputs: &[&TypedFact]) -> TVec<Symbol> {
        self.0.required_bound_symbols(inputs)
    }

    op_as_typed_op!();
}

impl EvalOp for Follower {
    not_out_of_plan!();

    fn eval(&self, cx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.0.eval(cx, inputs)
    }
}

impl TypedOp for Follower {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}

/// Marks the followers of an optimised model, which nothing may rewrite afterwards.
pub(super) fn mark_followers(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        // What has a body or no inputs is told nothing from outside.
        let is_plain = !node.inputs.is_empty() && !node.op.name().contains("Scan");
        if !is_plain || !node.op.mints_runtime_symbols() {
            continue;
        }
        let mut told = HashSet::new();
        for input in model.node_input_facts(id)? {
            told.extend(node.op.required_bound_symbols(&[input]));
            told.extend(input.uniform_tdim.iter().flat_map(TDim::symbols));
        }
        let mut lengths = node.outputs.iter().flat_map(|output| output.fact.shape.iter()).flat_map(TDim::symbols);
        if !told.is_empty() && lengths.all(|length| told.contains(&length)) {
            let follower = Follower(node.op.clone());
            model.node_mut(id).op = Box::new(follower);
        }
    }
    Ok(())
}

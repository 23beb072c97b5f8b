//! Arithmetic of floating-point numbers in the place of tract's own, where that is slow. A BERT of 6 × 384 takes 0.55 of the time,
//! a token of SmolLM-135M 0.5 of it.
//!
//! - `product` and `convolution` go through the crate gemm, which has better blocks for the caches, and splits them better among
//!   threads; what a run's shapes mean for strides they work out with each run;
//! - `gemm` checks the strides and calls gemm, or `vector` where there is only one row or column;
//! - `broadcast` is what goes number by number, where tract has no kernel for the shapes;
//! - `fresh` is memory for results.
//!
//! Products of a vector and weights stay tract's: it keeps weights in the order in which they are read.

mod broadcast;
mod convolution;
mod fresh;
mod gemm;
mod product;
#[cfg(test)]
mod tests;
mod vector;

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::Conv;
use tract_onnx::tract_core::ops::einsum::EinSum;

use broadcast::Broadcast;
use convolution::Convolution;
use product::Product;

/// Fewer rows or columns than this are too few.
const LEAST: usize = 4;

/// Replaces the products of a decluttered model, where this processor has the instructions.
pub(super) fn replace_products(model: &mut TypedModel) -> TractResult<()> {
    if !has_instructions() {
        return Ok(());
    }
    for id in model.eval_order()? {
        let node = model.node(id);
        let inputs = model.node_input_facts(id)?;
        let op: Option<Box<dyn TypedOp>> = if let Some(einsum) = node.op_as::<EinSum>() {
            Product::of(einsum, &inputs).map(|op| Box::new(op) as _)
        } else if let Some(conv) = node.op_as::<Conv>() {
            Convolution::of(conv, &inputs).map(|op| Box::new(op) as _)
        } else {
            None
        };
        let patch = op.map(|op| TypedModelPatch::replace_single_op(model, node, &node.inputs, op)).transpose()?;
        drop(inputs);
        if let Some(patch) = patch {
            patch.apply(model)?;
        }
    }
    Ok(())
}

/// Replaces arithmetic number by number in an optimised model, where tract has found no kernel for it.
pub(super) fn replace_broadcasts(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        let Some(op) = node.op_as::<TypedBinOp>() else { continue };
        let op = Broadcast::of(op, &model.node_input_facts(id)?);
        if let Some(op) = op {
            TypedModelPatch::replace_single_op(model, node, &node.inputs, op)?.apply(model)?;
        }
    }
    Ok(())
}

/// gemm has nothing but plain arithmetic for older processors, and tract has.
fn has_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

fn is_plain(fact: &TypedFact) -> bool {
    fact.datum_type == f32::datum_type() && fact.is_plain()
}

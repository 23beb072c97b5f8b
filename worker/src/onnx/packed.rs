//! Weights in the order of tract's kernels, made with the plan.
//!
//! tract does that itself, but not for large weights that two operators share, such as the embeddings of a language model that
//! are also its last layer: it put those in order again with every run, and for SmolLM-135M that was half of the time of a token.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::matmul::pack::OptMatMulPack;

/// Packs the constants of an optimised model.
pub(super) fn pack_constants(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        let &[input] = &*node.inputs else { continue };
        let Some(weights) = model.outlet_fact(input)?.konst.clone() else { continue };
        if !node.op_is::<OptMatMulPack>() {
            continue;
        }
        let Some(mut packed) = node.op.eval_out_of_plan(tvec!(weights.into_tvalue()))? else { continue };
        let fact = node.outputs[0].fact.exotic_fact.clone();
        let constant = Const::new_with_opt_exotic_fact(packed.remove(0).into_arc_tensor(), fact)?;
        let mut patch = TypedModelPatch::default();
        let packed = patch.wire_node(&node.name, constant, &[])?;
        patch.shunt_outside(model, id.into(), packed[0])?;
        patch.apply(model)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tract_onnx::tract_core::ops::array::Gather;
    use tract_onnx::tract_core::ops::einsum::EinSum;

    use super::*;

    /// Embeddings that are also the last layer, larger than what tract packs for two.
    fn tied() -> TypedModel {
        let weights: Vec<f32> = (0..1100 * 1000).map(|at| (at % 13) as f32 - 6.0).collect();
        let mut model = TypedModel::default();
        let weights = model.add_const("weights", Tensor::from_shape(&[1100, 1000], &weights).unwrap()).unwrap();
        let token = model.add_source("token", i64::fact([1])).unwrap();
        let row = model.wire_node("row", Gather::new(0), &[weights, token]).unwrap()[0];
        let last = EinSum::new("mk,nk->mn".parse().unwrap(), f32::datum_type());
        let logits = model.wire_node("logits", last, &[row, weights]).unwrap();
        model.select_output_outlets(&logits).unwrap();
        model
    }

    #[test]
    fn weights_that_two_share_are_packed_with_the_plan() {
        let mut model = tied().into_optimized().unwrap();
        let packs_weights = |model: &TypedModel| {
            let packs = model.nodes().iter().filter(|node| node.op_is::<OptMatMulPack>());
            packs.filter(|node| model.outlet_fact(node.inputs[0]).unwrap().konst.is_some()).count()
        };
        assert_eq!(packs_weights(&model), 1, "tract does it itself by now: this file can go");
        let run = |model: TypedModel| {
            let token = tensor1(&[17i64]).into_tvalue();
            model.into_runnable().unwrap().run(tvec!(token)).unwrap().remove(0)
        };
        let expected = run(model.clone());
        pack_constants(&mut model).unwrap();
        assert_eq!(packs_weights(&model), 0);
        assert_eq!(*run(model), *expected);
    }
}

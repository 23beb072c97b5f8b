//! `k - Conv(x)` and `k / Conv(x)` as `k + -Conv(x)` and `k · 1/Conv(x)`.
//!
//! tract 0.23.9 takes a difference or quotient by channel into the weights of its convolution, whichever side that is on, and
//! subtracts and divides in the wrong order where the convolution comes second: every number is wrong then.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::Conv;
use tract_onnx::tract_core::ops::math::{Div, Sub, add, mul, neg, recip};

/// Rewrites them in a model that is not decluttered yet.
pub(super) fn rewrite(model: &mut TypedModel) -> TractResult<()> {
    for id in model.eval_order()? {
        let node = model.node(id);
        let Some(op) = node.op_as::<TypedBinOp>() else { continue };
        let (is_difference, is_quotient) = (op.0.is::<Sub>(), op.0.is::<Div>());
        if !(is_difference || is_quotient) || !is_of_convolution(model, node.inputs[1]) {
            continue;
        }
        let mut patch = TypedModelPatch::default();
        let taps = patch.taps(model, &node.inputs)?;
        let turned = if is_difference { neg() } else { recip() };
        let turned = patch.wire_node(format!("{}.turned", node.name), turned, &taps[1..])?;
        let joined = if is_difference { add() } else { mul() };
        let joined = patch.wire_node(&node.name, joined, &[taps[0], turned[0]])?;
        patch.shunt_outside(model, id.into(), joined[0])?;
        patch.apply(model)?;
    }
    Ok(())
}

/// Whether it is what a convolution gives, with its axes named or ordered anew perhaps.
fn is_of_convolution(model: &TypedModel, mut outlet: OutletId) -> bool {
    loop {
        let node = model.node(outlet.node);
        if let Some(conv) = node.op_as::<Conv>() {
            // Of quantized ones tract takes nothing in, and whole numbers have no reciprocal.
            return conv.q_params.is_none();
        }
        match &*node.inputs {
            [input] if node.op_is::<AxisOp>() => outlet = *input,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::tract_core::ops::cnn::{KernelFormat, PaddingSpec, PoolSpec};
    use tract_onnx::tract_core::ops::math::{div, sub};
    use tract_onnx::tract_core::ops::nn::DataFormat;

    use super::*;

    fn numbers(shape: &[usize], first: f32) -> Tensor {
        let numbers: Vec<f32> =
            (0..shape.iter().product()).map(|at: usize| first + (at * 7919 % 31) as f32 / 8.0).collect();
        Tensor::from_shape(shape, &numbers).unwrap()
    }

    /// `k - Conv(x)` or `k / Conv(x)`.
    fn model(op: TypedBinOp, channels: usize) -> TypedModel {
        let mut model = TypedModel::default();
        let x = model.add_source("x", f32::fact([1, 2, 5, 5])).unwrap();
        let weights = model.add_const("weights", numbers(&[channels, 2, 3, 3], 0.5)).unwrap();
        let bias = model.add_const("bias", numbers(&[channels], 1.0)).unwrap();
        let k = model.add_const("k", numbers(&[1, channels, 1, 1], 2.0)).unwrap();
        let pool = PoolSpec::new(DataFormat::NCHW, tvec!(3, 3), PaddingSpec::Valid, None, None, 2, channels);
        let conv = Conv { pool_spec: pool, kernel_fmt: KernelFormat::OIHW, group: 1, q_params: None };
        let conv = model.wire_node("conv", conv, &[x, weights, bias]).unwrap()[0];
        let result = model.wire_node("result", op, &[k, conv]).unwrap();
        model.select_output_outlets(&result).unwrap();
        model
    }

    fn run(model: TypedModel) -> TValue {
        model.into_runnable().unwrap().run(tvec!(numbers(&[1, 2, 5, 5], 1.0).into_tvalue())).unwrap().remove(0)
    }

    #[test]
    fn what_comes_second_is_turned_round() {
        let mut is_tract_wrong = false;
        for (op, channels) in [(sub(), 1), (sub(), 3), (div(), 1), (div(), 3)] {
            let model = model(op, channels);
            let expected = run(model.clone());
            let mut rewritten = model.clone();
            rewrite(&mut rewritten).unwrap();
            run(rewritten.into_optimized().unwrap()).close_enough(&expected, Approximation::Approximate).unwrap();
            let alone = run(model.into_optimized().unwrap());
            is_tract_wrong |= alone.close_enough(&expected, Approximation::Approximate).is_err();
        }
        assert!(is_tract_wrong, "tract does it right by now: this file can go");
    }
}

//! The greatest and least of nothing but infinities.
//!
//! tract begins with the least finite number, and so calls that the greatest of a row of −∞, which is what attention masks are
//! made of. Results that are that number are looked at again.

use tract_onnx::tract_core::internal::tract_ndarray::{ArrayD, ArrayViewD, Axis};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};

/// `ReduceMax` and `ReduceMin` of floating-point numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Extreme(Reduce);

impl Op for Extreme {
    fn name(&self) -> StaticName {
        self.0.name()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        self.0.info()
    }

    op_as_typed_op!();
}

impl EvalOp for Extreme {
    op_out_of_plan!();

    fn eval(&self, cx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = inputs[0].clone();
        let found = self.0.eval(cx, inputs)?;
        let is_max = self.0.reducer == Reducer::Max;
        match input.datum_type() {
            DatumType::F32 => {
                let (begin, end) = if is_max { (f32::MIN, f32::NEG_INFINITY) } else { (f32::MAX, f32::INFINITY) };
                self.again(found, input.to_plain_array_view()?, begin, end)
            }
            DatumType::F16 => {
                let (begin, end) = if is_max { (f16::MIN, f16::NEG_INFINITY) } else { (f16::MAX, f16::INFINITY) };
                self.again(found, input.to_plain_array_view()?, begin, end)
            }
            _ => Ok(found),
        }
    }
}

impl Extreme {
    /// What was found, or, where it may be no more than what tract begins with, what is found beginning from `end`.
    fn again<T: Datum + Copy + PartialOrd>(
        &self,
        found: TVec<TValue>,
        input: ArrayViewD<'_, T>,
        begin: T,
        end: T,
    ) -> TractResult<TVec<TValue>> {
        if found[0].to_plain_array_view::<T>()?.iter().all(|one| *one != begin) {
            return Ok(found);
        }
        let is_max = self.0.reducer == Reducer::Max;
        let better = |best: &T, one: &T| if (is_max && one > best) || (!is_max && one < best) { *one } else { *best };
        let reduce = |all: ArrayD<T>, axis: &usize| all.fold_axis(Axis(*axis), end, better).insert_axis(Axis(*axis));
        Ok(tvec!(self.0.axes.iter().fold(input.to_owned(), reduce).into_tensor().into()))
    }
}

impl TypedOp for Extreme {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}

/// Replaces the reductions of an optimised model.
pub(super) fn look_again(model: &mut TypedModel) {
    for node in model.nodes_mut() {
        let is_extreme = |reduce: &&Reduce| matches!(reduce.reducer, Reducer::Max | Reducer::Min);
        if let Some(reduce) = node.op_as::<Reduce>().filter(is_extreme) {
            node.op = Box::new(Extreme(reduce.clone()));
        }
    }
}

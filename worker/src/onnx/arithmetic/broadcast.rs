//! Sums, differences and products of numbers of two tensors, of which one is repeated along some axes: masks of
//! attention, rotated positions, what a normalisation multiplies with. Where it cannot tell before a run that their shapes fit
//! its kernels, tract calls a function for each number.

use tract_linalg::multithread::par_chunks_mut;
use tract_onnx::tract_core::broadcast::multi_broadcast;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::math::{Add, Mul, Sub};

use super::product::strides;
use super::{fresh, is_plain};

/// An operator of two inputs of floating-point numbers, number by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broadcast {
    op: TypedBinOp,
    arithmetic: Arithmetic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
}

/// An axis of the result: its length, and how far its numbers lie apart in a and b; 0 where one is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    len: usize,
    a: usize,
    b: usize,
}

impl Axis {
    const ONE: Axis = Axis { len: 1, a: 0, b: 0 };
}

impl Broadcast {
    /// The same number by number, where it is one of the three: tract makes quotients products with a reciprocal.
    pub(super) fn of(op: &TypedBinOp, inputs: &[&TypedFact]) -> Option<Self> {
        let is_float = op.1.is_none_or(|result| result == f32::datum_type());
        if !is_float || !inputs.iter().all(|fact| is_plain(fact)) {
            return None;
        }
        let arithmetic = if op.0.is::<Add>() {
            Arithmetic::Add
        } else if op.0.is::<Sub>() {
            Arithmetic::Sub
        } else if op.0.is::<Mul>() {
            Arithmetic::Mul
        } else {
            return None;
        };
        Some(Broadcast { op: op.clone(), arithmetic })
    }
}

/// The axes of the result that are longer than 1, from the outermost; those that are one in both inputs are one.
fn axes(shape: &[usize], a: &[usize], b: &[usize]) -> Vec<Axis> {
    let stride = |len: usize, stride: usize| if len == 1 { 0 } else { stride };
    let (of_a, of_b) = (strides(a), strides(b));
    let mut axes: Vec<Axis> = vec![];
    for at in (0..shape.len()).filter(|at| shape[*at] != 1) {
        let axis = Axis { len: shape[at], a: stride(a[at], of_a[at]), b: stride(b[at], of_b[at]) };
        match axes.last_mut().filter(|last| last.a == axis.a * axis.len && last.b == axis.b * axis.len) {
            Some(last) => *last = Axis { len: last.len * axis.len, ..axis },
            None => axes.push(axis),
        }
    }
    axes
}

/// Computes the rows of `c` that follow its row `first`, with `b`. `a` is what `c` holds already, unless it is given.
#[allow(unsafe_code, reason = "instructions that not every processor has")]
fn compute(how: Arithmetic, axes: &[Axis], first: usize, a: Option<&[f32]>, b: &[f32], c: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if super::has_instructions() {
        // SAFETY: this processor has them.
        return unsafe { with_avx2(how, axes, first, a, b, c) };
    }
    plain(how, axes, first, a, b, c);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2(how: Arithmetic, axes: &[Axis], first: usize, a: Option<&[f32]>, b: &[f32], c: &mut [f32]) {
    plain(how, axes, first, a, b, c);
}

#[inline(always)]
fn plain(how: Arithmetic, axes: &[Axis], first: usize, a: Option<&[f32]>, b: &[f32], c: &mut [f32]) {
    match how {
        Arithmetic::Add => rows(axes, first, a, b, c, |a, b| a + b),
        Arithmetic::Sub => rows(axes, first, a, b, c, |a, b| a - b),
        Arithmetic::Mul => rows(axes, first, a, b, c, |a, b| a * b),
    }
}

#[inline(always)]
fn rows(axes: &[Axis], first: usize, a: Option<&[f32]>, b: &[f32], c: &mut [f32], op: impl Fn(f32, f32) -> f32) {
    let (row, outer) = axes.split_last().unwrap_or((&Axis::ONE, &[]));
    for (number, c) in c.chunks_exact_mut(row.len).enumerate() {
        let (mut rest, mut at) = (first + number, [0; 2]);
        for axis in outer.iter().rev() {
            let index = rest % axis.len;
            rest /= axis.len;
            at = [at[0] + index * axis.a, at[1] + index * axis.b];
        }
        match (a, row.a) {
            (None, _) => {}
            (Some(a), 0) => c.fill(a[at[0]]),
            (Some(a), _) => c.copy_from_slice(&a[at[0]..][..row.len]),
        }
        if row.b == 0 {
            let b = b[at[1]];
            c.iter_mut().for_each(|c| *c = op(*c, b));
        } else {
            c.iter_mut().zip(&b[at[1]..][..row.len]).for_each(|(c, b)| *c = op(*c, *b));
        }
    }
}

impl Op for Broadcast {
    fn name(&self) -> StaticName {
        format!("Broadcast{:?}", self.arithmetic).into()
    }

    op_as_typed_op!();
}

impl EvalOp for Broadcast {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (mut a, mut b) = args_2!(inputs);
        ensure!(a.rank() == b.rank());
        let shape = multi_broadcast(&[a.shape(), b.shape()])?;
        let can_hold = |input: &TValue| input.shape() == &*shape && input.is_exclusive();
        let is_commutative = matches!(self.arithmetic, Arithmetic::Add | Arithmetic::Mul);
        if is_commutative && !can_hold(&a) && can_hold(&b) {
            std::mem::swap(&mut a, &mut b);
        }
        let axes = axes(&shape, a.shape(), b.shape());
        let row = axes.last().map_or(1, |axis| axis.len);
        let others = b.try_as_plain_ram()?;
        let others = others.as_slice()?;
        let compute = |a: Option<&[f32]>, c: &mut [f32]| match c.len() {
            0 => Ok(()),
            count => par_chunks_mut(c, row, count, |first, c| {
                compute(self.arithmetic, &axes, first, a, others, c);
                Ok(())
            }),
        };
        // The memory of an input that nothing else needs is at hand, where new memory is not.
        let result = if can_hold(&a) {
            let mut result = a.into_tensor();
            compute(None, result.try_as_plain_ram_mut()?.as_slice_mut()?)?;
            result
        } else {
            let a = a.try_as_plain_ram()?;
            let a = a.as_slice()?;
            fresh::filled(&shape, |c| compute(Some(a), c))?
        };
        Ok(tvec!(result.into_tvalue()))
    }
}

impl TypedOp for Broadcast {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.op.output_facts(inputs)
    }

    as_op!();
}

//! Sums of products over axes of two tensors, whichever way those lie.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::einsum::EinSum;

use super::gemm::{Axis, Products};
use super::{LEAST, fresh, is_plain};

/// An `EinSum` of two inputs of floating-point numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product(EinSum);

/// Which of a, b and the result have an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    M,
    N,
    K,
    Outer,
}

impl Role {
    fn of(a: bool, b: bool, c: bool) -> Option<Self> {
        match (a, b, c) {
            (true, false, true) => Some(Role::M),
            (false, true, true) => Some(Role::N),
            (true, true, false) => Some(Role::K),
            (true, true, true) => Some(Role::Outer),
            _ => None,
        }
    }
}

impl Product {
    /// The same as a product, where it is one, and not of a vector and weights.
    pub(super) fn of(einsum: &EinSum, inputs: &[&TypedFact]) -> Option<Self> {
        let [a, b] = inputs else { return None };
        let is_float = einsum.q_params.is_none() && einsum.operating_dt == f32::datum_type();
        if !is_float || !is_plain(a) || !is_plain(b) {
            return None;
        }
        // A length that is not known is large.
        let len =
            |fact: &TypedFact, at: &[usize]| at.first().map(|at| fact.shape[*at].to_usize().unwrap_or(usize::MAX));
        let mut longest = [1; 3];
        for axis in einsum.axes.iter_all_axes() {
            let (in_a, in_b, in_c) = (&axis.inputs[0], &axis.inputs[1], &axis.outputs[0]);
            if [in_a, in_b, in_c].iter().any(|places| places.len() > 1) {
                return None;
            }
            let lens = [len(a, in_a), len(b, in_b)].map(|len| len.filter(|len| *len > 1));
            let Some(len) = lens.iter().flatten().copied().max() else { continue };
            let role = Role::of(lens[0].is_some(), lens[1].is_some(), !in_c.is_empty())?;
            if let Some(longest) = longest.get_mut(role as usize) {
                *longest = len.max(*longest);
            }
        }
        let [rows, columns, _] = longest;
        let is_product = match (rows, columns) {
            (1, columns) => columns >= LEAST && b.konst.is_none(),
            (rows, 1) => rows >= LEAST && a.konst.is_none(),
            (rows, columns) => rows >= LEAST && columns >= LEAST,
        };
        // Few terms too: tract 0.23.9 leaves places of their results unwritten where those lie 64 bytes apart.
        is_product.then(|| Product(einsum.clone()))
    }

    /// The shape of the result, and what to compute for inputs of these shapes.
    pub(super) fn plan(&self, a: &[usize], b: &[usize]) -> Option<(TVec<usize>, Products)> {
        let mapping = &self.0.axes;
        let mut shape: TVec<usize> = tvec![1; mapping.rank(InOut::Out(0))];
        let mut places = vec![];
        for axis in mapping.iter_all_axes() {
            let (in_a, in_b, in_c) = (axis.inputs[0].first(), axis.inputs[1].first(), axis.outputs[0].first());
            let lens = [in_a.map(|at| a[*at]), in_b.map(|at| b[*at])];
            let len = lens.iter().flatten().copied().max().unwrap_or(1);
            // One that is 1 long in one of them is repeated there.
            if lens.iter().flatten().any(|one| *one != len && *one != 1) {
                return None;
            }
            if let Some(at) = in_c {
                shape[*at] = len;
            }
            let whole = |shape: &[usize], at: Option<&usize>| at.copied().filter(|at| shape[*at] == len);
            places.push((len, whole(a, in_a), whole(b, in_b), in_c.copied()));
        }
        let strides = [strides(a), strides(b), strides(&shape)];
        let mut axes: [Vec<Axis>; 4] = Default::default();
        for (len, in_a, in_b, in_c) in places.into_iter().filter(|(len, ..)| *len != 1) {
            let role = Role::of(in_a.is_some(), in_b.is_some(), in_c.is_some())?;
            let stride = |side: usize, at: Option<usize>| at.map_or(0, |at| strides[side][at]);
            axes[role as usize].push(Axis { len, a: stride(0, in_a), b: stride(1, in_b), c: stride(2, in_c) });
        }
        let [m, n, k, mut outer] = axes.map(merged);
        let [m, n] = [m, n].map(|axes| {
            let (longest, others) = longest(axes);
            outer.extend(others);
            longest
        });
        let (k, terms) = longest(k);
        Some((shape, Products::new([m, n, k], outer, terms)?))
    }
}

/// Of a tensor in the order of its axes.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    strides
}

/// An axis that lies within another one in all three is the end of that one.
fn merged(mut axes: Vec<Axis>) -> Vec<Axis> {
    axes.sort_by_key(|axis| std::cmp::Reverse((axis.a, axis.b, axis.c)));
    let mut merged: Vec<Axis> = vec![];
    for axis in axes {
        let is_around = |around: &Axis| {
            let pairs = [(around.a, axis.a), (around.b, axis.b), (around.c, axis.c)];
            pairs.iter().all(|(outer, inner)| *outer == inner * axis.len)
        };
        match merged.last_mut().filter(|last| is_around(last)) {
            Some(last) => *last = Axis { len: last.len * axis.len, ..axis },
            None => merged.push(axis),
        }
    }
    merged
}

/// The longest axis, and the others.
fn longest(mut axes: Vec<Axis>) -> (Axis, Vec<Axis>) {
    match (0..axes.len()).max_by_key(|at| axes[*at].len) {
        Some(at) => (axes.remove(at), axes),
        None => (Axis::NONE, axes),
    }
}

impl Op for Product {
    fn name(&self) -> StaticName {
        "Product".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        self.0.info()
    }

    op_as_typed_op!();
}

impl EvalOp for Product {
    op_out_of_plan!();

    fn eval(&self, cx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        // What has no elements at all, for one, is no product.
        let Some((shape, products)) = self.plan(inputs[0].shape(), inputs[1].shape()) else {
            return self.0.eval(cx, inputs);
        };
        let (a, b) = (inputs[0].try_as_plain_ram()?, inputs[1].try_as_plain_ram()?);
        let (a, b) = (a.as_slice()?, b.as_slice()?);
        let result = fresh::filled(&shape, |c| {
            products.compute(a, b, c, false);
            Ok(())
        })?;
        Ok(tvec!(result.into_tvalue()))
    }
}

impl TypedOp for Product {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}

//! `tensor.*`: arithmetic, shapes and files of tensors, as NumPy does them. Models and GPU kernels are other namespaces.

mod axes;
mod binary;
mod create;
mod file;
mod layout;
mod matmul;
mod normalize;
mod npy;
mod number;
mod operand;
mod reduce;
mod slice;
mod stats;
mod topk;
mod unary;

use millwork_worker::prelude::*;

/// The nodes of this namespace.
pub(crate) fn package() -> Package {
    package!["tensor":
        create::Create, create::FromList, create::Range, create::Linspace, create::Random,
        binary::Add, binary::Subtract, binary::Multiply, binary::Divide, binary::Power, binary::Minimum, binary::Maximum,
        binary::Compare, binary::Where,
        unary::Abs, unary::Negate, unary::Exp, unary::Log, unary::Sqrt, unary::Round, unary::Clip, unary::Cast, unary::ToList,
        matmul::MatMul, matmul::CosineSimilarity,
        reduce::Reduce, normalize::Softmax, normalize::Normalize, topk::TopK, stats::Stats,
        layout::Reshape, layout::Transpose, layout::Concat, layout::Stack, layout::Split, slice::Slice,
        file::Save, file::Load,
    ]
    .idempotent()
}

/// The most bytes that one tensor may take: 1 GiB.
const MAX_BYTES: usize = 1 << 30;

/// How many elements a tensor of this shape has, refused above 1 GiB.
fn size(shape: &[usize], dtype: DType) -> Result<usize> {
    // Axes of 0 last, so that an absurd shape without elements is refused too.
    let elements = shape.iter().filter(|n| **n > 0).try_fold(1usize, |all, n| all.checked_mul(*n));
    match elements.and_then(|n| n.checked_mul(dtype.itemsize())) {
        Some(bytes) if bytes <= MAX_BYTES => Ok(shape.iter().product()),
        bytes => {
            let bytes = bytes.map_or_else(|| "more bytes than can be counted".to_owned(), |n| format!("{n} bytes"));
            Err(Error::invalid(format!(
                "a {dtype} tensor of shape {shape:?} takes {bytes}; at most {MAX_BYTES} are allowed"
            )))
        }
    }
}

#[cfg(test)]
mod testing {
    use millwork_worker::convert::Element;
    use millwork_worker::node::Emitted;

    use super::*;

    /// A tensor for a field.
    pub(super) fn tensor<T: Element>(shape: &[usize], elements: &[T]) -> Value {
        Tensor::from_slice(shape, elements).unwrap().into()
    }

    /// The tensor in a slot.
    pub(super) fn slot(emitted: &Emitted, slot: &str) -> Tensor {
        Tensor::try_from(emitted.outputs[slot].clone()).unwrap()
    }

    /// The tensor of the only slot.
    pub(super) fn output(emitted: &Emitted) -> Tensor {
        slot(emitted, "output")
    }

    /// Its elements as numbers.
    pub(super) fn floats(tensor: &Tensor) -> Vec<f64> {
        tensor.to_array_as::<f64>().unwrap().into_iter().collect()
    }

    /// Asserts that all elements are within `tolerance`, or both NaN.
    #[track_caller]
    pub(super) fn assert_close(tensor: &Tensor, expected: &[f64], tolerance: f64) {
        let found = floats(tensor);
        let close = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= tolerance || a.is_nan() && b.is_nan();
        assert!(
            found.len() == expected.len() && found.iter().zip(expected).all(close),
            "found {found:?}, expected {expected:?}"
        );
    }
}

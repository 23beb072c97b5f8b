//! Memory for results, which is not zeroed first: of large ones the pages are then touched by all threads, and once.

use tract_onnx::tract_core::internal::*;

/// A tensor of this shape, every element of which `fill` writes. It must not read any before.
#[allow(unsafe_code, reason = "tensors without contents")]
pub(super) fn filled(shape: &[usize], fill: impl FnOnce(&mut [f32]) -> TractResult<()>) -> TractResult<Tensor> {
    // SAFETY: every bit pattern is a number, and `fill` overwrites whatever there is.
    let mut tensor = unsafe { Tensor::uninitialized::<f32>(shape)? };
    fill(tensor.try_as_plain_ram_mut()?.as_slice_mut()?)?;
    Ok(tensor)
}

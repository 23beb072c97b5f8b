//! The stock kernels, each in WGSL and once more on the CPU. Plain functions over arrays; the nodes are elsewhere.
//!
//! Every kernel states how far the two may be apart, and `gpu.SelfTest` measures it. A long computation is cut into
//! steps of some tenths of a second, so that a cancel is honoured between them; and since software drivers silently
//! stop an invocation after 65,535 loop iterations, no loop comes near that.

pub(super) mod convolve;
pub(super) mod mandelbrot;
pub(super) mod matmul;
pub(super) mod reduce;
pub(super) mod selftest;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use millwork_worker::gpu::GpuInfo;

/// Multiply-adds that one step may take: a few tenths of a second on either kind of adapter.
fn step_budget(info: &GpuInfo) -> usize {
    if info.software { 400_000_000 } else { 40_000_000_000 }
}

/// Cuts `rows`, each of that `cost` in multiply-adds, into bands that keep to the budget, and into at least `least`.
fn bands(rows: usize, cost: usize, budget: usize, least: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let height = (budget / cost.max(1)).min(rows / least.max(1)).max(1);
    (0..rows).step_by(height).map(move |first| first..(first + height).min(rows))
}

/// The words of a uniform buffer.
fn words(words: &[u32]) -> Bytes {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Little-endian bytes of `values`.
fn to_bytes(values: impl IntoIterator<Item = f32>) -> Bytes {
    let values = values.into_iter();
    let mut bytes = Vec::with_capacity(4 * values.size_hint().0);
    values.for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes.into()
}

/// The values of little-endian `bytes`.
fn to_floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

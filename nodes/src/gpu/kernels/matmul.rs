//! Matrix product in f32.

use std::borrow::Cow;

use millwork_worker::gpu::{Buffer, Control, Gpu, GpuError, Job, Kernel, Step};
use ndarray::{Array2, ArrayView2, s};

use super::{bands, step_budget, to_bytes, to_floats, words};

/// Largest difference of the two paths, relative to the largest value of the product: two orders of summation.
pub(crate) const TOLERANCE: f32 = 1e-5;

/// Values of k per step.
const DEPTH: usize = 8192;
/// Side of a workgroup's tile, in blocks of four.
const TILE: usize = 16;

/// `a · b` for `a` of m × k and `b` of k × n.
pub(crate) fn cpu(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    a.dot(&b)
}

/// `a · b` for `a` of m × k and `b` of k × n, on the GPU.
pub(crate) fn gpu(
    gpu: &Gpu,
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    control: &Control<'_>,
) -> Result<Array2<f32>, GpuError> {
    let entry = if gpu.require()?.software { "direct" } else { "tiled" };
    gpu_by(entry, gpu, a, b, control)
}

/// The same by an entry point of the shader: `direct`, or `tiled` through workgroup memory.
pub(super) fn gpu_by(
    entry: &'static str,
    gpu: &Gpu,
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    control: &Control<'_>,
) -> Result<Array2<f32>, GpuError> {
    let info = gpu.require()?;
    let (rows, columns, depth) = (a.nrows(), b.ncols(), a.ncols());
    if rows == 0 || columns == 0 || depth == 0 {
        return Ok(Array2::zeros((rows, columns)));
    }
    let (row_blocks, col_blocks) = (rows.div_ceil(4), columns.div_ceil(4));
    let kernel = Kernel { source: Cow::Borrowed(include_str!("matmul.wgsl")), entry: Some(Cow::Borrowed(entry)) };
    let mut steps = Vec::new();
    for first in (0..depth).step_by(DEPTH) {
        let last = (first + DEPTH).min(depth);
        // Bands of whole tiles.
        let cost = 16 * TILE * col_blocks * (last - first);
        for band in bands(row_blocks.div_ceil(TILE), cost, step_budget(&info), 1) {
            let blocks = band.start * TILE..(band.end * TILE).min(row_blocks);
            let params = [row_blocks, col_blocks, first, last, blocks.start, blocks.end].map(|n| n as u32);
            let workgroups = [col_blocks.div_ceil(TILE) as u32, band.len() as u32, 1];
            steps.push(Step::new(kernel.clone(), 0..3, workgroups).params(words(&params)));
        }
    }
    let product = Buffer::Output((16 * 4 * row_blocks * col_blocks) as u64);
    let buffers = vec![Buffer::Input(packed(a.t())), Buffer::Input(packed(b)), product];
    let results = gpu.run(Job { buffers, steps }, control)?;
    let padded = to_floats(results.first().map_or(&[], Vec::as_slice));
    Array2::from_shape_vec((4 * row_blocks, 4 * col_blocks), padded)
        .map(|padded| padded.slice(s![..rows, ..columns]).to_owned())
        .map_err(|error| GpuError::Internal(error.to_string()))
}

/// The rows of `matrix`, each padded with zeros to a multiple of four.
fn packed(matrix: ArrayView2<'_, f32>) -> bytes::Bytes {
    let columns = matrix.ncols();
    let padding = columns.next_multiple_of(4) - columns;
    let mut padded = Array2::zeros((matrix.nrows(), columns + padding));
    padded.slice_mut(s![.., ..columns]).assign(&matrix);
    to_bytes(padded)
}

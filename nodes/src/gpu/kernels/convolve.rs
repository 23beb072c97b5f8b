//! Sliding a kernel over a plane of pixels: correlation, the kernel is not flipped (as in image processing and ONNX).

use millwork_worker::gpu::{Buffer, Control, Gpu, GpuError, Job, Kernel, Step};
use ndarray::{Array3, ArrayView2, ArrayView3};

use super::{bands, step_budget, to_bytes, to_floats, words};

/// Largest difference of the two paths, relative to the largest value of the result: fused and separate roundings.
pub(crate) const TOLERANCE: f32 = 1e-5;

/// Largest side of a kernel, so that its two loops stay below 65,535 rounds together.
pub(crate) const MAX_SIDE: usize = 255;

/// What stands beyond the edge of the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Zeros: `00|abcd|00`.
    Zero,
    /// The edge: `aa|abcd|dd`.
    Clamp,
    /// The plane mirrored at its edge, which is not repeated: `cb|abcd|cb`.
    Mirror,
    /// The plane again: `cd|abcd|ab`.
    Wrap,
}

impl Edge {
    pub(crate) const ALL: [Self; 4] = [Self::Zero, Self::Clamp, Self::Mirror, Self::Wrap];

    /// The place that stands for place `i` of `n`; `n` is 1 or more.
    fn at(self, i: isize, n: usize) -> Option<usize> {
        let n = n as isize;
        let place = match self {
            _ if (0..n).contains(&i) => i,
            Self::Zero => return None,
            Self::Clamp => i.clamp(0, n - 1),
            Self::Mirror => {
                let period = (2 * (n - 1)).max(1);
                let j = i.abs() % period;
                j.min(period - j)
            }
            Self::Wrap => i.rem_euclid(n),
        };
        Some(place as usize)
    }
}

/// Why `kernel` cannot be used, if so.
pub(crate) fn refuse(kernel: ArrayView2<'_, f32>) -> Option<String> {
    let (height, width) = kernel.dim();
    let good = |side: usize| side % 2 == 1 && side <= MAX_SIDE;
    (!good(height) || !good(width))
        .then(|| format!("a kernel of {width} × {height}: both sides must be odd and at most {MAX_SIDE}"))
}

/// `image` is height × width × channels; so is the result. `kernel` is one that [`refuse`] has nothing against.
pub(crate) fn cpu(
    image: ArrayView3<'_, f32>,
    kernel: ArrayView2<'_, f32>,
    edge: Edge,
    control: &Control<'_>,
) -> Result<Array3<f32>, GpuError> {
    let (height, width, channels) = image.dim();
    let image = image.as_standard_layout();
    let rows: Vec<_> = image.as_slice().unwrap_or_default().chunks_exact((width * channels).max(1)).collect();
    let (mid_v, mid_u) = ((kernel.nrows() / 2) as isize, (kernel.ncols() / 2) as isize);
    let mut result = Array3::zeros((height, width, channels));
    for (y, mut out) in result.outer_iter_mut().enumerate() {
        if (control.cancelled)() {
            return Err(GpuError::Cancelled);
        }
        let Some(out) = out.as_slice_mut() else { continue };
        for ((v, u), &weight) in kernel.indexed_iter() {
            let Some(from) = edge.at(y as isize + v as isize - mid_v, height).and_then(|y| rows.get(y)) else {
                continue;
            };
            let shift = u as isize - mid_u;
            // Where the shifted row is there, in one run; then the places beyond its ends.
            let first = (-shift).clamp(0, width as isize) as usize;
            let last = (width as isize - shift).clamp(first as isize, width as isize) as usize;
            if first < last {
                let start = (first as isize + shift) as usize;
                let inside = &from[start * channels..(start + last - first) * channels];
                out[first * channels..last * channels].iter_mut().zip(inside).for_each(|(o, i)| *o += weight * i);
            }
            for x in (0..first).chain(last..width) {
                if let Some(there) = edge.at(x as isize + shift, width) {
                    let there = &from[there * channels..(there + 1) * channels];
                    out[x * channels..(x + 1) * channels].iter_mut().zip(there).for_each(|(o, i)| *o += weight * i);
                }
            }
        }
        (control.progress)(y + 1, height);
    }
    Ok(result)
}

/// The same on the GPU.
pub(crate) fn gpu(
    gpu: &Gpu,
    image: ArrayView3<'_, f32>,
    kernel: ArrayView2<'_, f32>,
    edge: Edge,
    control: &Control<'_>,
) -> Result<Array3<f32>, GpuError> {
    let info = gpu.require()?;
    let (height, width, channels) = image.dim();
    if image.is_empty() {
        return Ok(Array3::zeros(image.dim()));
    }
    let wgsl = Kernel::new(include_str!("convolve.wgsl"));
    let cost = width * channels * kernel.len();
    let columns = (width * channels).div_ceil(64);
    let max_rows = info.limits.max_workgroups as usize;
    let steps = bands(height, cost, step_budget(&info), height.div_ceil(max_rows)).map(|rows| {
        let (kernel_height, kernel_width) = kernel.dim();
        let params = [width, height, channels, kernel_width, kernel_height, edge as usize, rows.start, rows.end];
        let workgroups = [columns as u32, rows.len() as u32, 1];
        Step::new(wgsl.clone(), 0..3, workgroups).params(words(&params.map(|n| n as u32)))
    });
    let buffers = vec![
        Buffer::Input(to_bytes(image.iter().copied())),
        Buffer::Input(to_bytes(kernel.iter().copied())),
        Buffer::Output(4 * image.len() as u64),
    ];
    let results = gpu.run(Job { buffers, steps: steps.collect() }, control)?;
    let values = to_floats(results.first().map_or(&[], Vec::as_slice));
    Array3::from_shape_vec(image.dim(), values).map_err(|error| GpuError::Internal(error.to_string()))
}

//! Sum, smallest, largest and mean of many values.

use bytes::Bytes;
use millwork_worker::gpu::{Buffer, Control, Gpu, GpuError, Job, Kernel, Step};

use super::{to_floats, words};

/// Largest difference of the two paths: relative to the sum of magnitudes for sum and mean. Smallest and largest are
/// exact.
pub(crate) const TOLERANCE: f32 = 1e-5;

/// What the values become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Their sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Sum over count.
    Mean,
}

impl Op {
    pub(crate) const ALL: [Self; 4] = [Self::Sum, Self::Min, Self::Max, Self::Mean];

    /// Folds values in f64.
    fn fold(self, values: impl Iterator<Item = f32>) -> f64 {
        let values = values.map(f64::from);
        match self {
            Self::Sum | Self::Mean => values.sum(),
            Self::Min => values.fold(f64::INFINITY, |a, b| if b.is_nan() { b } else { a.min(b) }),
            Self::Max => values.fold(f64::NEG_INFINITY, |a, b| if b.is_nan() { b } else { a.max(b) }),
        }
    }
}

/// Values that one job folds, and how many each round leaves of them.
const CHUNK: usize = 1 << 24;
const KEPT: [usize; 3] = [65_536, 256, 1];

/// One value from one or more, summed in f64. NaN stays NaN.
pub(crate) fn cpu(values: &[f32], op: Op) -> f32 {
    if values.iter().any(|value| value.is_nan()) {
        return f32::NAN;
    }
    let folded = op.fold(values.iter().copied());
    (if op == Op::Mean { folded / values.len() as f64 } else { folded }) as f32
}

/// The same on the GPU, from little-endian f32. Shaders may assume that there are no infinities and no NaN, so none
/// may be in `values`.
pub(crate) fn gpu(gpu: &Gpu, values: &Bytes, op: Op, control: &Control<'_>) -> Result<f32, GpuError> {
    let info = gpu.require()?;
    let chunk = CHUNK.min((info.limits.max_storage_binding / 4) as usize);
    let count = values.len() / 4;
    let mut partial = Vec::new();
    let chunks = count.div_ceil(chunk);
    for (i, first) in (0..count).step_by(chunk).enumerate() {
        let given = chunk.min(count - first);
        let part = values.slice(4 * first..4 * (first + given));
        let control = Control { progress: &|_, _| {}, ..*control };
        partial.extend(gpu.run(job(part, given, op), &control)?.iter().flat_map(|bytes| to_floats(bytes)));
        (control.progress)(i + 1, chunks);
    }
    let folded = op.fold(partial.into_iter());
    Ok((if op == Op::Mean { folded / count as f64 } else { folded }) as f32)
}

fn job(values: Bytes, count: usize, op: Op) -> Job {
    let kernel = Kernel::new(include_str!("reduce.wgsl"));
    let code = match op {
        Op::Sum | Op::Mean => 0,
        Op::Min => 1,
        Op::Max => 2,
    };
    let mut job = Job { buffers: vec![Buffer::Input(values)], steps: Vec::new() };
    let mut given = count;
    for kept in KEPT.into_iter().filter(|kept| *kept < count || *kept == 1) {
        let source = job.buffers.len() - 1;
        let bytes = 4 * kept as u64;
        job.buffers.push(if kept == 1 { Buffer::Output(bytes) } else { Buffer::Scratch(bytes) });
        let params = words(&[given, kept, code].map(|n| n as u32));
        job.steps.push(Step::new(kernel.clone(), source..source + 2, [kept.div_ceil(64) as u32, 1, 1]).params(params));
        given = kept;
    }
    job
}

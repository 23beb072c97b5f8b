//! A job: buffers, and the steps that run over them. Plain data, checked against the device's limits before
//! anything is allocated.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::error::GpuError;
use super::info::GpuLimits;
use super::shader::{Access, EntryPoint};

/// Buffers, and the steps that run over them in order.
///
/// Each step is one submission, and the service looks for a cancel between two of them. So a long computation is
/// cut into steps of at most some hundred milliseconds, say one for each band of rows.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// The buffers, which the steps share.
    pub buffers: Vec<Buffer>,
    /// The dispatches, in order.
    pub steps: Vec<Step>,
}

/// A storage buffer of a job.
#[derive(Clone, Debug)]
pub enum Buffer {
    /// Filled before the first step. Shaders only read it.
    Input(Bytes),
    /// Filled before the first step and read back after the last.
    InOut(Bytes),
    /// That many bytes, zero before the first step and read back after the last.
    Output(u64),
    /// That many bytes, zero before the first step, never read back: what one step leaves for the next.
    Scratch(u64),
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Step {
    /// What runs.
    pub kernel: Kernel,
    /// What `@group(0) @binding(i)` is, in order of `i`.
    pub bind: Vec<Bind>,
    /// Workgroups along x, y, z; each 1 or more.
    pub workgroups: [u32; 3],
}

/// A shader and its entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// WGSL.
    pub source: Cow<'static, str>,
    /// The entry point's name. `None` takes the only one.
    pub entry: Option<Cow<'static, str>>,
}

/// What is bound at one place.
#[derive(Clone, Debug)]
pub enum Bind {
    /// The job's buffer with that index.
    Buffer(usize),
    /// A small read-only buffer of this step alone: `var<uniform>` or `var<storage, read>`.
    Params(Bytes),
}

impl Kernel {
    /// The only compute entry point of a shader that is part of the program.
    pub const fn new(source: &'static str) -> Self {
        Self { source: Cow::Borrowed(source), entry: None }
    }
}

impl Step {
    /// Binds the job's buffers with these indices in order, from `@binding(0)` on.
    pub fn new(kernel: Kernel, buffers: Range<usize>, workgroups: [u32; 3]) -> Self {
        Self { kernel, bind: buffers.map(Bind::Buffer).collect(), workgroups }
    }

    /// Binds `params` at the next place.
    pub fn params(mut self, params: impl Into<Bytes>) -> Self {
        self.bind.push(Bind::Params(params.into()));
        self
    }
}

impl Buffer {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Input(bytes) | Self::InOut(bytes) => bytes.len() as u64,
            Self::Output(bytes) | Self::Scratch(bytes) => *bytes,
        }
    }

    /// True when it is read back after the last step.
    pub fn comes_back(&self) -> bool {
        matches!(self, Self::InOut(_) | Self::Output(_))
    }
}

impl Job {
    /// Checks every size that does not depend on the shaders.
    pub(super) fn check(&self, limits: &GpuLimits) -> Result<(), GpuError> {
        let largest = limits.max_buffer.min(limits.max_storage_binding);
        let mut total = 0u64;
        for (i, buffer) in self.buffers.iter().enumerate() {
            let bytes = buffer.bytes();
            if bytes > largest {
                return Err(GpuError::TooLarge { what: format!("buffer {i}"), bytes, limit: largest });
            }
            // What is read back exists twice.
            total = total.saturating_add(if buffer.comes_back() { 2 * bytes } else { bytes });
        }
        if total > limits.max_job {
            return Err(GpuError::TooLarge { what: "the job".to_owned(), bytes: total, limit: limits.max_job });
        }
        for step in &self.steps {
            for (axis, count) in ['x', 'y', 'z'].into_iter().zip(step.workgroups) {
                if count == 0 || count > limits.max_workgroups {
                    return Err(GpuError::Workgroups { axis, count, limit: limits.max_workgroups });
                }
            }
        }
        Ok(())
    }
}

impl Step {
    /// The access for each place of `bind`, once it is sure that shader, step and job go together.
    pub(super) fn accesses(&self, entry: &EntryPoint, job: &Job, limits: &GpuLimits) -> Result<Vec<Access>, GpuError> {
        let given = self.bind.len();
        if let Some(beyond) = entry.bindings.iter().find(|binding| binding.index as usize >= given) {
            return Err(GpuError::Binding(format!(
                "`{}` is @binding({}), and only {given} are given (0 to {})",
                beyond.name,
                beyond.index,
                given.saturating_sub(1)
            )));
        }
        let mut taken = vec![false; job.buffers.len()];
        let mut accesses = Vec::with_capacity(given);
        for (i, bind) in self.bind.iter().enumerate() {
            let used = entry.bindings.iter().find(|binding| binding.index as usize == i);
            let access = used.map_or(Access::Read, |binding| binding.access);
            let name = used.map_or("?", |binding| binding.name.as_str());
            match bind {
                Bind::Buffer(index) => {
                    let (Some(buffer), Some(taken)) = (job.buffers.get(*index), taken.get_mut(*index)) else {
                        return Err(GpuError::Binding(format!("@binding({i}) is buffer {index}, which is not there")));
                    };
                    if std::mem::replace(taken, true) {
                        return Err(GpuError::Binding(format!(
                            "buffer {index} is bound twice, again at @binding({i})"
                        )));
                    }
                    if matches!(buffer, Buffer::Input(_)) && access == Access::ReadWrite {
                        return Err(GpuError::Binding(format!(
                            "`{name}` at @binding({i}) is an input: declare it var<storage, read>"
                        )));
                    }
                    let limit = limits.max_uniform_binding;
                    if access == Access::Uniform && buffer.bytes() > limit {
                        let what = format!("the uniform buffer `{name}`");
                        return Err(GpuError::TooLarge { what, bytes: buffer.bytes(), limit });
                    }
                }
                Bind::Params(params) => {
                    if access == Access::ReadWrite {
                        return Err(GpuError::Binding(format!(
                            "`{name}` at @binding({i}) holds parameters: declare it var<uniform> or var<storage, read>"
                        )));
                    }
                    let (bytes, limit) = (params.len() as u64, limits.max_uniform_binding);
                    if bytes > limit {
                        return Err(GpuError::TooLarge { what: "the parameters".to_owned(), bytes, limit });
                    }
                }
            }
            accesses.push(access);
        }
        Ok(accesses)
    }
}

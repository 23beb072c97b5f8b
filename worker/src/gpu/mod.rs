//! The GPU service: compute shaders in WGSL, run on one device that all nodes share. It draws nothing and keeps no
//! tensors on the device between jobs.
//!
//! The device is opened when the first node asks for it, and lives on a thread of its own. Callers wait for that
//! thread and never for the driver: a compile, a dispatch or a read-back that hangs costs them their timeout, no more.
//! A device with work in flight cannot be dropped without blocking, so when a job is still running [`GRACE`] after its
//! deadline the thread is left to itself and [`Gpu::wedged`] turns true: the process has to be replaced.
//!
//! `MILLWORK_GPU` chooses the adapter: `off`, `software` (one that runs on the processor, for tests), `auto` (the
//! default: discrete, integrated, virtual, then software), or a part of an adapter's name, in any case.

mod choice;
mod device;
mod error;
mod faults;
mod info;
mod job;
mod pipelines;
mod reflect;
mod service;
mod shader;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use choice::Choice;
pub use device::GRACE;
pub use error::GpuError;
pub use info::{GpuInfo, GpuLimits, GpuState};
pub use job::{Bind, Buffer, Job, Kernel, Step};
pub use shader::{Access, Binding, EntryPoint, Holds, Location, MAX_SOURCE, Member, Scalar, Shader, ShaderError};

use service::Service;

/// All buffers of one job together, bytes.
pub const MAX_JOB_BYTES: u64 = 2 << 30;

/// How the caller of [`Gpu::run`] keeps hold of its job.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Longest time for the job, from its first step to the last byte read back. Waiting for its turn and opening
    /// the device do not count.
    pub timeout: Duration,
    /// Asked every few hundredths of a second; once it says true, `run` returns [`GpuError::Cancelled`] at once and no
    /// further step starts.
    pub cancelled: &'a dyn Fn() -> bool,
    /// Told `(done, total)` after each step.
    pub progress: &'a dyn Fn(usize, usize),
}

impl Control<'static> {
    /// No cancel, no progress.
    pub fn timeout(timeout: Duration) -> Self {
        Self { timeout, cancelled: &|| false, progress: &|_, _| {} }
    }
}

/// The GPU of this process. Cheap to clone; all clones share the device.
///
/// ```no_run
/// use std::time::Duration;
/// use millwork_worker::gpu::{Buffer, Control, Gpu, Job, Kernel, Step};
///
/// let double = Kernel::new(
///     "@group(0) @binding(0) var<storage, read_write> data: array<f32>;
///      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
///          if id.x < arrayLength(&data) { data[id.x] *= 2.0; }
///      }",
/// );
/// let numbers: Vec<u8> = [1.0f32, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
/// let job = Job {
///     buffers: vec![Buffer::InOut(numbers.into())],
///     steps: vec![Step::new(double, 0..1, [1, 1, 1])],
/// };
/// let doubled = Gpu::from_env().run(job, &Control::timeout(Duration::from_secs(10)))?;
/// # Ok::<(), millwork_worker::gpu::GpuError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gpu(Arc<Service>);

impl Gpu {
    /// The service with the adapter of that choice. Starts nothing.
    pub fn new(choice: Choice) -> Self {
        Self(Service::new(choice))
    }

    /// The service with the adapter that `MILLWORK_GPU` names. Starts nothing.
    pub fn from_env() -> Self {
        Self::new(Choice::from_env())
    }

    /// What is known so far. Starts nothing.
    pub fn peek(&self) -> GpuState {
        self.0.state()
    }

    /// Opens the device, if nobody has yet, and says what it is: [`GpuState::Ready`] or [`GpuState::Unavailable`].
    pub fn info(&self) -> GpuState {
        self.0.start()
    }

    /// What [`Gpu::info`] says when there is an adapter.
    ///
    /// # Errors
    /// [`GpuError::Unavailable`].
    pub fn require(&self) -> Result<GpuInfo, GpuError> {
        match self.info() {
            GpuState::Ready(info) => Ok(info),
            GpuState::Unavailable { reason } => Err(GpuError::Unavailable { reason }),
            GpuState::NotStarted => Err(GpuError::Unavailable { reason: "it was not started".to_owned() }),
        }
    }

    /// Runs `job` and returns the bytes of its [`Buffer::InOut`] and [`Buffer::Output`] buffers, in order.
    /// Jobs take turns. Blocks: call it from the compute pool.
    ///
    /// # Errors
    /// See [`GpuError`]. A failed job leaves nothing behind.
    pub fn run(&self, job: Job, control: &Control<'_>) -> Result<Vec<Vec<u8>>, GpuError> {
        self.0.run(job, control)
    }

    /// True when a job hangs on the device. Nothing but the end of this process helps: dropping the device would block.
    pub fn wedged(&self) -> bool {
        self.0.wedged()
    }
}

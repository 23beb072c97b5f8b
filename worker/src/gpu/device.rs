//! One opened device: how the adapter is chosen, and how a job runs on it. Lives on the GPU thread and nowhere else.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Choice;
use super::error::GpuError;
use super::faults::Faults;
use super::info::GpuInfo;
use super::job::{Bind, Buffer, Job, Step};
use super::pipelines::{Pipeline, Pipelines};

/// How long a step that is under way at the deadline may still take before the device counts as hung.
pub const GRACE: Duration = Duration::from_secs(1);

pub(super) struct Device {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: GpuInfo,
    faults: Arc<Faults>,
    pipelines: Pipelines,
}

/// What a running job is told from outside, and tells.
pub(super) trait Watch {
    /// True once nobody waits for the job any more.
    fn cancelled(&self) -> bool;
    /// `done` steps have ended.
    fn step(&self, done: usize);
}

/// A job's failure, and whether work is still in flight on the device.
pub(super) struct Failure {
    pub(super) error: GpuError,
    pub(super) hung: bool,
}

impl<E: Into<GpuError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), hung: false }
    }
}

impl Device {
    /// Opens the adapter that `choice` means; the reason when there is none.
    pub(super) fn open(choice: &Choice) -> Result<Self, String> {
        if matches!(choice, Choice::Off) {
            return Err("it is switched off (MILLWORK_GPU=off)".to_owned());
        }
        let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL;
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            // No debug layers: their presence and their output must not depend on the build profile.
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
        adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        });
        let Some(adapter) = adapters.iter().find(|adapter| choice.takes(&adapter.get_info())) else {
            let names: Vec<_> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
            return Err(if names.is_empty() {
                "no Vulkan or Metal driver offers an adapter".to_owned()
            } else {
                format!("no adapter matches MILLWORK_GPU={choice}; there are: {}", names.join(", "))
            });
        };

        let wanted = wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP | wgpu::Features::SUBGROUP_BARRIER;
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("millwork"),
            required_features: adapter.features() & wanted,
            required_limits: limits(&adapter.limits()),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request)
            .map_err(|error| format!("{} cannot be opened: {error}", adapter.get_info().name))?;
        let faults = Faults::watch(&device);
        let info = GpuInfo::new(&adapter.get_info(), &device);
        Ok(Self { device, queue, info, faults, pipelines: Pipelines::default() })
    }

    pub(super) fn info(&self) -> &GpuInfo {
        &self.info
    }

    /// The error of every job on it, if it has gone away.
    pub(super) fn lost(&self) -> Option<GpuError> {
        self.faults.take().filter(|error| matches!(error, GpuError::DeviceLost(_)))
    }

    /// Pretends that the device went away.
    #[cfg(test)]
    pub(super) fn lose(&self) {
        self.device.destroy();
    }

    /// Runs the job's steps in order and reads its results back, one for each buffer that comes back.
    pub(super) fn run(&mut self, job: &Job, timeout: Duration, watch: &dyn Watch) -> Result<Vec<Vec<u8>>, Failure> {
        self.steps(job, timeout, watch).map_err(|failure| {
            if failure.hung {
                return failure;
            }
            // A lost device first shows as calls that it refuses; the loss itself is told when it is polled.
            let _ = self.device.poll(wgpu::PollType::Poll);
            self.lost().map_or(failure, Failure::from)
        })
    }

    fn steps(&mut self, job: &Job, timeout: Duration, watch: &dyn Watch) -> Result<Vec<Vec<u8>>, Failure> {
        let deadline = Instant::now() + timeout;
        let late = |done| GpuError::Timeout { after: timeout, done, total: job.steps.len() };
        job.check(&self.info.limits)?;
        let buffers = self.faults.scope(&self.device, || self.allocate(job))?;
        for (done, step) in job.steps.iter().enumerate() {
            if watch.cancelled() {
                return Err(GpuError::Cancelled.into());
            }
            if Instant::now() >= deadline {
                return Err(late(done).into());
            }
            let pipeline = self.pipelines.get(&self.device, &self.faults, step, job, &self.info.limits)?;
            let submission = self.faults.scope(&self.device, || {
                let bound = self.bind(step, &buffers, &pipeline);
                let mut encoder = self.device.create_command_encoder(&Default::default());
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&pipeline.pipeline);
                pass.set_bind_group(0, &bound, &[]);
                let [x, y, z] = step.workgroups;
                pass.dispatch_workgroups(x, y, z);
                drop(pass);
                self.queue.submit([encoder.finish()])
            })?;
            self.wait(submission, deadline, || late(done))?;
            watch.step(done + 1);
        }
        let results = self.read_back(job, &buffers, deadline, || late(job.steps.len()))?;
        drop(buffers);
        // Frees what this job held now, not when the next one comes.
        let _ = self.device.poll(wgpu::PollType::Poll);
        Ok(results)
    }

    /// Blocks until `submission` has ended, or the deadline and the grace time after it are over.
    fn wait(
        &self,
        submission: wgpu::SubmissionIndex,
        deadline: Instant,
        late: impl Fn() -> GpuError,
    ) -> Result<(), Failure> {
        let timeout = deadline.saturating_duration_since(Instant::now()) + GRACE;
        let poll = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(timeout) };
        match self.device.poll(poll) {
            Ok(_) => self.faults.take().map_or(Ok(()), |error| Err(error.into())),
            Err(wgpu::PollError::Timeout) => Err(Failure { error: late(), hung: true }),
            Err(error) => Err(GpuError::Internal(error.to_string()).into()),
        }
    }

    fn allocate(&self, job: &Job) -> Vec<wgpu::Buffer> {
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::UNIFORM
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        let buffers = job.buffers.iter().map(|buffer| {
            let allocated = self.buffer(buffer.bytes(), usage);
            if let Buffer::Input(bytes) | Buffer::InOut(bytes) = buffer {
                self.fill(&allocated, bytes);
            }
            allocated
        });
        buffers.collect()
    }

    fn buffer(&self, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let size = padded(bytes);
        self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    }

    /// Copies `bytes` to the start of `buffer`, whose size is theirs rounded up to whole words.
    fn fill(&self, buffer: &wgpu::Buffer, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        if !words.is_empty() {
            self.queue.write_buffer(buffer, 0, words.as_flattened());
        }
        if !rest.is_empty() {
            let mut last = [0u8; 4];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.queue.write_buffer(buffer, (words.len() * 4) as u64, &last);
        }
    }

    fn bind(&self, step: &Step, buffers: &[wgpu::Buffer], pipeline: &Pipeline) -> wgpu::BindGroup {
        let params = |bytes: &[u8]| {
            // A uniform buffer's size is a multiple of 16 in most layouts; the rest is zero.
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
            let buffer = self.buffer((bytes.len() as u64).next_multiple_of(16), usage);
            self.fill(&buffer, bytes);
            buffer
        };
        // `Pipelines::get` has checked that every index is there.
        let bound: Vec<wgpu::Buffer> = step
            .bind
            .iter()
            .filter_map(|bind| match bind {
                Bind::Buffer(index) => buffers.get(*index).cloned(),
                Bind::Params(bytes) => Some(params(bytes)),
            })
            .collect();
        let entries: Vec<_> = (0u32..)
            .zip(&bound)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        })
    }

    fn read_back(
        &self,
        job: &Job,
        buffers: &[wgpu::Buffer],
        deadline: Instant,
        late: impl Fn() -> GpuError,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let failed: Arc<Mutex<Option<String>>> = Arc::default();
        let wanted: Vec<_> = job.buffers.iter().zip(buffers).filter(|(buffer, _)| buffer.comes_back()).collect();
        let (staged, submission) = self.faults.scope(&self.device, || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let staged: Vec<_> = wanted
                .iter()
                .map(|(_, from)| {
                    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                    let to = self.buffer(from.size(), usage);
                    encoder.copy_buffer_to_buffer(from, 0, &to, 0, from.size());
                    to
                })
                .collect();
            let submission = self.queue.submit([encoder.finish()]);
            for buffer in &staged {
                let failed = failed.clone();
                buffer.map_async(wgpu::MapMode::Read, .., move |result| {
                    if let Err(error) = result {
                        *failed.lock() = Some(error.to_string());
                    }
                });
            }
            (staged, submission)
        })?;
        self.wait(submission, deadline, late)?;
        if let Some(error) = failed.lock().take() {
            return Err(GpuError::Internal(format!("the result cannot be read back: {error}")).into());
        }
        let mut results = Vec::with_capacity(staged.len());
        for ((buffer, _), staged) in wanted.iter().zip(&staged) {
            let view = staged
                .get_mapped_range(..)
                .map_err(|error| GpuError::Internal(format!("the result cannot be read back: {error}")))?;
            let mut bytes = view.to_vec();
            bytes.truncate(buffer.bytes() as usize);
            results.push(bytes);
        }
        Ok(results)
    }
}

/// The size that is allocated for `bytes`: whole words, and at least one.
fn padded(bytes: u64) -> u64 {
    NonZeroU64::new(bytes).map_or(4, |bytes| bytes.get().next_multiple_of(4))
}

/// WebGPU's default limits, no more than the adapter has, except where compute wants all that there is.
fn limits(adapter: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_buffer_size: adapter.max_buffer_size,
        max_storage_buffer_binding_size: adapter.max_storage_buffer_binding_size,
        max_storage_buffers_per_shader_stage: adapter.max_storage_buffers_per_shader_stage.min(16),
        max_compute_workgroup_storage_size: adapter.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: adapter.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: adapter.max_compute_workgroup_size_x,
        max_compute_workgroup_size_y: adapter.max_compute_workgroup_size_y,
        max_compute_workgroup_size_z: adapter.max_compute_workgroup_size_z,
        ..wgpu::Limits::default().or_worse_values_from(adapter)
    }
}

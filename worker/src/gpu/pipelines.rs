//! Compiled shaders, kept for the next job: the last [`KEPT`] that were used.

use std::borrow::Cow;
use std::sync::Arc;

use super::error::GpuError;
use super::faults::Faults;
use super::info::GpuLimits;
use super::job::{Job, Kernel, Step};
use super::shader::{Access, EntryPoint, Shader};

/// Pipelines that are kept.
const KEPT: usize = 64;

/// Compiled pipelines, least recently used first. So few that looking through all of them costs nothing.
#[derive(Default)]
pub(super) struct Pipelines(Vec<Arc<Pipeline>>);

/// A shader's entry point, compiled for the layout of its buffers.
pub(super) struct Pipeline {
    kernel: Kernel,
    entry: EntryPoint,
    accesses: Vec<Access>,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) pipeline: wgpu::ComputePipeline,
}

impl Pipelines {
    /// The pipeline of `step`, once it is sure that shader and buffers go together.
    pub(super) fn get(
        &mut self,
        device: &wgpu::Device,
        faults: &Faults,
        step: &Step,
        job: &Job,
        limits: &GpuLimits,
    ) -> Result<Arc<Pipeline>, GpuError> {
        let same = |p: &Arc<Pipeline>| p.kernel == step.kernel && p.accesses.len() == step.bind.len();
        let pipeline = match self.0.iter().position(same) {
            Some(i) => {
                let kept = self.0.remove(i);
                step.accesses(&kept.entry, job, limits)?;
                kept
            }
            None => {
                let entry = Shader::check(&step.kernel.source)?.entry_point(step.kernel.entry.as_deref())?.clone();
                let accesses = step.accesses(&entry, job, limits)?;
                let kernel = step.kernel.clone();
                Arc::new(faults.scope(device, || Pipeline::compile(device, kernel, entry, accesses))?)
            }
        };
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        self.0.push(pipeline.clone());
        Ok(pipeline)
    }
}

impl Pipeline {
    fn compile(device: &wgpu::Device, kernel: Kernel, entry: EntryPoint, accesses: Vec<Access>) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(Cow::Borrowed(&kernel.source)),
        });
        // Explicit, so that a buffer that the shader declares and does not use is no error.
        let entries: Vec<_> = (0u32..)
            .zip(&accesses)
            .map(|(binding, access)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match access {
                        Access::Uniform => wgpu::BufferBindingType::Uniform,
                        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            })),
            module: &module,
            entry_point: Some(&entry.name),
            compilation_options: Default::default(),
            cache: None,
        });
        Self { kernel, entry, accesses, layout, pipeline }
    }
}

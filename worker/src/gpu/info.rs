//! What the GPU is: name, driver, whether it is one at all, and the limits that matter to a node.

use millwork_protocol::{Map, map};

use super::MAX_JOB_BYTES;

/// The state of the service, as `worker.status` reports it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GpuState {
    /// Nobody has asked for the GPU yet.
    NotStarted,
    /// There is one.
    Ready(GpuInfo),
    /// There is none; nodes take their CPU path.
    Unavailable {
        /// Why there is none.
        reason: String,
    },
}

impl GpuState {
    /// The adapter, when there is one.
    pub fn ready(&self) -> Option<&GpuInfo> {
        match self {
            Self::Ready(info) => Some(info),
            _ => None,
        }
    }

    /// As `worker.status` reports it.
    #[must_use]
    pub fn to_map(&self) -> Map {
        match self {
            Self::NotStarted => map! { "state" => "not_started" },
            Self::Unavailable { reason } => {
                map! { "state" => "unavailable", "available" => false, "reason" => reason.as_str() }
            }
            Self::Ready(info) => map! {
                "state" => "ready",
                "available" => true,
                "name" => info.name.as_str(),
                "backend" => info.backend,
                "driver" => info.driver.as_str(),
                "device_type" => info.device_type,
                "software" => info.software,
                "f16" => info.f16,
                "subgroups" => info.subgroups,
                "limits" => info.limits.to_map(),
            },
        }
    }
}

/// The adapter in use.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GpuInfo {
    /// The adapter's name as its driver gives it.
    pub name: String,
    /// `vulkan` or `metal`.
    pub backend: &'static str,
    /// Driver name and version.
    pub driver: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub device_type: &'static str,
    /// True when "the GPU" is the processor: llvmpipe, lavapipe, SwiftShader. Right answers, slowly.
    pub software: bool,
    /// The limits that matter.
    pub limits: GpuLimits,
    /// True when shaders may `enable f16;`.
    pub f16: bool,
    /// True when shaders may `enable subgroups;`.
    pub subgroups: bool,
}

/// Limits of the device, in bytes, invocations and workgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuLimits {
    /// Largest buffer, bytes.
    pub max_buffer: u64,
    /// Largest storage buffer that a shader can bind, bytes.
    pub max_storage_binding: u64,
    /// Largest uniform buffer, bytes.
    pub max_uniform_binding: u64,
    /// Storage buffers of one shader.
    pub max_storage_buffers: u32,
    /// Workgroup memory, bytes.
    pub max_workgroup_storage: u32,
    /// Invocations of one workgroup.
    pub max_workgroup_invocations: u32,
    /// Invocations of one workgroup along x, y, z.
    pub max_workgroup_size: [u32; 3],
    /// Workgroups of one dispatch along each axis.
    pub max_workgroups: u32,
    /// All buffers of one job together, bytes. Ours, not the device's.
    pub max_job: u64,
}

impl GpuLimits {
    /// As `worker.status` reports them.
    fn to_map(self) -> Map {
        map! {
            "max_buffer" => self.max_buffer,
            "max_storage_binding" => self.max_storage_binding,
            "max_uniform_binding" => self.max_uniform_binding,
            "max_storage_buffers" => self.max_storage_buffers,
            "max_workgroup_storage" => self.max_workgroup_storage,
            "max_workgroup_size" => self.max_workgroup_size.to_vec(),
            "max_workgroup_invocations" => self.max_workgroup_invocations,
            "max_workgroups" => self.max_workgroups,
            "max_job" => self.max_job,
        }
    }
}

impl GpuInfo {
    pub(super) fn new(adapter: &wgpu::AdapterInfo, device: &wgpu::Device) -> Self {
        let features = device.features();
        Self {
            name: adapter.name.clone(),
            backend: adapter.backend.to_str(),
            driver: format!("{} {}", adapter.driver, adapter.driver_info).trim().to_owned(),
            device_type: match adapter.device_type {
                wgpu::DeviceType::DiscreteGpu => "discrete",
                wgpu::DeviceType::IntegratedGpu => "integrated",
                wgpu::DeviceType::VirtualGpu => "virtual",
                wgpu::DeviceType::Cpu => "cpu",
                wgpu::DeviceType::Other => "other",
            },
            software: adapter.device_type == wgpu::DeviceType::Cpu,
            limits: GpuLimits::new(&device.limits()),
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
        }
    }
}

impl GpuLimits {
    fn new(limits: &wgpu::Limits) -> Self {
        Self {
            // Some drivers say 2^64 - 1, which does not travel: hosts have 53 bits.
            max_buffer: limits.max_buffer_size.min(1 << 48),
            max_storage_binding: limits.max_storage_buffer_binding_size.min(1 << 48),
            max_uniform_binding: limits.max_uniform_buffer_binding_size,
            max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
            max_workgroup_storage: limits.max_compute_workgroup_storage_size,
            max_workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            max_workgroup_size: [
                limits.max_compute_workgroup_size_x,
                limits.max_compute_workgroup_size_y,
                limits.max_compute_workgroup_size_z,
            ],
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            max_job: MAX_JOB_BYTES,
        }
    }
}

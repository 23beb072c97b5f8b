//! The field `device` of the GPU nodes: who runs a kernel, and how the answer says who did.

use std::time::Duration;

use millwork_worker::gpu::{Control, Gpu, GpuError, GpuInfo};
use millwork_worker::prelude::*;

/// Longest time for one kernel. It is the hung driver that this is for: a host's cancel is honoured between steps.
const LIMIT: Duration = Duration::from_secs(300);

/// Who runs the kernel.
#[derive(Choice, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// The GPU, and the CPU where there is none or its memory does not suffice.
    Auto,
    /// The GPU or nobody.
    Gpu,
    /// The CPU.
    Cpu,
}

/// Who ran it.
pub(super) struct Ran {
    /// `gpu` or `cpu`.
    pub(super) device: String,
    /// The adapter, or why it was the CPU.
    pub(super) detail: String,
}

impl Ran {
    fn cpu(why: impl ToString) -> Self {
        Self { device: "cpu".to_owned(), detail: why.to_string() }
    }

    fn gpu(info: &GpuInfo) -> Self {
        let kind = if info.software { "software adapter" } else { info.device_type };
        Self { device: "gpu".to_owned(), detail: format!("{} ({kind}, {})", info.name, info.backend) }
    }
}

impl Device {
    /// Runs a kernel where this says.
    pub(super) fn run<T>(
        self,
        cx: &Context,
        on_gpu: impl FnOnce(&Gpu, &Control<'_>) -> Result<T, GpuError>,
        on_cpu: impl FnOnce(&Control<'_>) -> Result<T, GpuError>,
    ) -> Result<(T, Ran)> {
        let cancelled = || cx.is_cancelled();
        let progress = |done: usize, total: usize| cx.progress(done as f64, total as f64);
        let control = Control { timeout: LIMIT, cancelled: &cancelled, progress: &progress };
        let cpu = |ran| on_cpu(&control).map(|value| (value, ran)).map_err(GpuError::for_node);
        if self == Self::Cpu {
            return cpu(Ran::cpu("asked for"));
        }
        match cx.gpu().require().and_then(|info| on_gpu(cx.gpu(), &control).map(|value| (value, Ran::gpu(&info)))) {
            Ok(answer) => Ok(answer),
            Err(error @ (GpuError::Unavailable { .. } | GpuError::TooLarge { .. } | GpuError::OutOfMemory(_)))
                if self == Self::Auto =>
            {
                cpu(Ran::cpu(error))
            }
            Err(error) => Err(error.for_node()),
        }
    }
}

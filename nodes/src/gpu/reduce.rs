//! `gpu.Reduce`.

use millwork_worker::gpu::GpuError;
use millwork_worker::prelude::*;

use super::device::{Device, Ran};
use super::kernels::reduce::{self, Op};

/// Folds all values of a tensor into one, as 32-bit floats. Sum and mean of GPU and CPU agree within 1e-5 of the sum of
/// magnitudes; smallest and largest are the same. Tensors with infinities or NaN are folded on the CPU.
#[derive(Node)]
#[node("gpu.Reduce", title = "GPU Reduce")]
pub(super) struct Reduce {
    /// Values, in any shape.
    tensor: Tensor,
    /// What they become.
    #[node(default = Operation::Sum)]
    operation: Operation,
    /// Who computes: auto takes the GPU where there is one.
    #[node(default = Device::Auto)]
    device: Device,
}

/// What values become.
#[derive(Choice, Clone, Copy)]
enum Operation {
    Sum,
    Min,
    Max,
    Mean,
}

/// The value, and who computed it.
#[derive(Outputs)]
pub(super) struct Folded {
    /// The one value.
    output: f64,
    /// `gpu` or `cpu`.
    device: String,
    /// The adapter, or why it was the CPU.
    detail: String,
}

impl Run for Reduce {
    type Output = Folded;

    fn run(self, cx: &Context) -> Result<Folded> {
        let op = match self.operation {
            Operation::Sum => Op::Sum,
            Operation::Min => Op::Min,
            Operation::Max => Op::Max,
            Operation::Mean => Op::Mean,
        };
        let tensor = self.tensor.cast(DType::F32).invalid("tensor")?;
        if tensor.is_empty() && op != Op::Sum {
            return Err(Error::invalid("field `tensor` is empty, and only a sum of nothing exists"));
        }
        let values = tensor.to_array_f32().invalid("tensor")?;
        let values = values.as_slice().unwrap_or_default();
        let finite = values.iter().all(|value| value.is_finite());
        if self.device == Device::Gpu && !finite {
            return Err(Error::invalid(
                "field `tensor` holds infinities or NaN, which shaders may treat as they like: use the device auto or cpu",
            ));
        }
        let (output, Ran { device, detail }) = self.device.run(
            cx,
            |gpu, control| match finite {
                true => reduce::gpu(gpu, &tensor.data, op, control),
                false => Err(GpuError::Unavailable { reason: "the tensor holds infinities or NaN".to_owned() }),
            },
            |_| Ok(reduce::cpu(values, op)),
        )?;
        Ok(Folded { output: f64::from(output), device, detail })
    }
}

//! `gpu.Compute`: a shader that comes with the request.

use std::time::Duration;

use millwork_worker::gpu::{Access, Buffer, Control, GpuError, GpuState, Job, Kernel, Shader, Step};
use millwork_worker::prelude::*;

/// All tensors of one call together, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// Runs a compute shader, given as WGSL, over tensors. The inputs are `@group(0) @binding(0)` and on, in order,
/// `var<storage, read>` (or `var<uniform>` for small ones); the output is the binding after them,
/// `var<storage, read_write>`, and zero at first. Types that WGSL lacks become the 32-bit one of their kind; float16
/// stays. There is no CPU path.
#[derive(Node)]
#[node("gpu.Compute", title = "GPU Compute")]
pub(super) struct Compute {
    /// The shader, in WGSL; at most 64 KiB.
    source: String,
    /// Name of the compute entry point; empty for the only one there is.
    #[node(default = String::new())]
    entry_point: String,
    /// Tensors that the shader reads, 256 MiB together with the output.
    #[node(default = Vec::new())]
    inputs: Vec<Tensor>,
    /// Type of the output's elements.
    #[node(default = OutputType::Float32)]
    dtype: OutputType,
    /// Shape of the output.
    shape: Vec<usize>,
    /// Workgroups along x, y and z, one to three numbers; empty for as many along x as give each element of the output
    /// an invocation.
    #[node(default = Vec::new())]
    workgroups: Vec<u32>,
    /// Longest time, in seconds. A shader that runs on beyond it costs its worker the life.
    #[node(default = 10.0, min = 0.01, max = 60.0)]
    timeout: f64,
}

/// Type of the output's elements.
#[derive(Choice, Clone, Copy)]
enum OutputType {
    Float32,
    Int32,
    Uint32,
    Float16,
}

impl Run for Compute {
    type Output = Tensor;

    fn run(self, cx: &Context) -> Result<Tensor> {
        let dtype = match self.dtype {
            OutputType::Float32 => DType::F32,
            OutputType::Int32 => DType::I32,
            OutputType::Uint32 => DType::U32,
            OutputType::Float16 => DType::F16,
        };
        let elements = self.shape.iter().try_fold(1u64, |n, axis| n.checked_mul(*axis as u64)).unwrap_or(u64::MAX);
        let output = elements.saturating_mul(dtype.itemsize() as u64);
        let mut buffers = Vec::with_capacity(self.inputs.len() + 1);
        for (i, tensor) in self.inputs.iter().enumerate() {
            buffers.push(Buffer::Input(for_shader(tensor).context(format!("field `inputs`, element {i}"))?.data));
        }
        buffers.push(Buffer::Output(output));
        let bytes = buffers.iter().fold(0u64, |sum, buffer| sum.saturating_add(buffer.bytes()));
        if bytes > MAX_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("inputs and output take {bytes} bytes, and the limit is {MAX_BYTES}"),
            ));
        }
        if output == 0 {
            return Err(Error::invalid(format!("field `shape` is {:?}: the output needs an element", self.shape)));
        }

        // What is wrong with the shader is said with or without a GPU.
        let name = Some(self.entry_point.as_str()).filter(|name| !name.is_empty());
        let shader = Shader::check(&self.source).map_err(|error| GpuError::from(error).for_node())?;
        let entry = shader.entry_point(name).map_err(GpuError::for_node)?;
        let place = self.inputs.len();
        if !entry.bindings.iter().any(|binding| binding.index as usize == place && binding.access == Access::ReadWrite)
        {
            return Err(Error::invalid(format!(
                "`{}` never writes the output: declare and use `@group(0) @binding({place}) var<storage, read_write>`",
                entry.name
            )));
        }
        let workgroups = match *self.workgroups.as_slice() {
            [] => [elements.div_ceil(entry.workgroup_size.iter().map(|n| u64::from(*n)).product()).max(1), 1, 1],
            [x] => [x.into(), 1, 1],
            [x, y] => [x.into(), y.into(), 1],
            [x, y, z] => [x.into(), y.into(), z.into()],
            _ => return Err(Error::invalid("field `workgroups` has more than three numbers")),
        };
        if let GpuState::Unavailable { reason } = cx.gpu().info() {
            return Err(
                Error::unavailable(format!("gpu.Compute needs a GPU and has no CPU path: {reason}")).permanent()
            );
        }

        let kernel = Kernel { source: self.source.into(), entry: Some(entry.name.clone().into()) };
        let groups = workgroups.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let steps = vec![Step::new(kernel, 0..place + 1, groups)];
        let cancelled = || cx.is_cancelled();
        let timeout = Duration::from_secs_f64(self.timeout);
        let control = Control { timeout, cancelled: &cancelled, progress: &|_, _| {} };
        let results = cx.gpu().run(Job { buffers, steps }, &control).map_err(GpuError::for_node)?;
        let data = results.into_iter().next().unwrap_or_default();
        Ok(Tensor::new(dtype, self.shape, data.into())?)
    }
}

/// The tensor in the nearest type that WGSL has.
fn for_shader(tensor: &Tensor) -> Result<Tensor> {
    let dtype = match tensor.dtype {
        DType::F32 | DType::I32 | DType::U32 | DType::F16 => return tensor.cast(tensor.dtype).invalid("tensor"),
        DType::F64 => return tensor.cast(DType::F32).invalid("tensor"),
        DType::I8 | DType::I16 | DType::I64 => DType::I32,
        DType::Bool | DType::U8 | DType::U16 | DType::U64 => DType::U32,
    };
    let narrow = tensor.cast(dtype).invalid("tensor")?;
    if tensor.dtype.itemsize() > 4 && narrow.cast(tensor.dtype).invalid("tensor")? != *tensor {
        return Err(Error::invalid(format!("a value of this {} tensor does not fit {dtype}", tensor.dtype)));
    }
    Ok(narrow)
}

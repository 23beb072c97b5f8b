//! `gpu.MatMul`.

use millwork_worker::prelude::*;
use ndarray::{Array2, Ix2};

use super::device::{Device, Ran};
use super::kernels::matmul;

/// Multiplies two matrices in 32-bit floats. GPU and CPU agree within 1e-5 of the product's largest value.
#[derive(Node)]
#[node("gpu.MatMul", title = "GPU MatMul")]
pub(super) struct MatMul {
    /// Matrix of m × k.
    a: Tensor,
    /// Matrix of k × n.
    b: Tensor,
    /// Who computes: auto takes the GPU where there is one.
    #[node(default = Device::Auto)]
    device: Device,
}

/// The product, and who computed it.
#[derive(Outputs)]
pub(super) struct Product {
    /// Matrix of m × n, float32.
    output: Tensor,
    /// `gpu` or `cpu`.
    device: String,
    /// The adapter, or why it was the CPU.
    detail: String,
}

impl Run for MatMul {
    type Output = Product;

    fn run(self, cx: &Context) -> Result<Product> {
        let (a, b) = (matrix(&self.a, "a")?, matrix(&self.b, "b")?);
        if a.ncols() != b.nrows() {
            return Err(Error::invalid(format!(
                "a is {:?} and b is {:?}: a needs as many columns as b has rows",
                a.shape(),
                b.shape()
            )));
        }
        let (product, Ran { device, detail }) = self.device.run(
            cx,
            |gpu, control| matmul::gpu(gpu, a.view(), b.view(), control),
            |_| Ok(matmul::cpu(a.view(), b.view())),
        )?;
        Ok(Product { output: Tensor::from_array(product.into_dyn()), device, detail })
    }
}

fn matrix(tensor: &Tensor, name: &str) -> Result<Array2<f32>> {
    let array = tensor.to_array_f32().invalid(name)?;
    array.into_dimensionality::<Ix2>().map_err(|_| {
        Error::invalid(format!("field `{name}` must be a matrix (two axes), got the shape {:?}", tensor.shape))
    })
}

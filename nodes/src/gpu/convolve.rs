//! `gpu.Convolve`.

use image::{DynamicImage, Rgba32FImage};
use millwork_worker::prelude::*;
use ndarray::{Array3, ArrayD, Axis, Ix2, Ix3, s};

use super::device::{Device, Ran};
use super::kernels::convolve::{self, Edge};

/// Slides a kernel over a picture or a tensor: each value becomes the sum of its neighbours times the kernel, which is
/// not flipped. GPU and CPU agree within 1e-5 of the largest value.
#[derive(Node)]
#[node("gpu.Convolve", title = "GPU Convolve")]
pub(super) struct Convolve {
    /// The picture. Its alpha is kept as it is. Give either this or a tensor.
    image: Option<Image>,
    /// The tensor: height × width, or height × width × channels.
    tensor: Option<Tensor>,
    /// The kernel: rows × columns, both odd and at most 255.
    kernel: Tensor,
    /// What stands beyond the edge.
    #[node(default = EdgeMode::Clamp)]
    edge: EdgeMode,
    /// Who computes: auto takes the GPU where there is one.
    #[node(default = Device::Auto)]
    device: Device,
}

/// What stands beyond the edge.
#[derive(Choice, Clone, Copy)]
enum EdgeMode {
    /// Zeros.
    Zero,
    /// The edge.
    Clamp,
    /// The plane mirrored; the edge is not repeated.
    Mirror,
    /// The other side.
    Wrap,
}

/// The result, as what was given, and who computed it.
#[derive(Outputs)]
pub(super) struct Convolved {
    /// The picture, where one was given.
    image: Option<Image>,
    /// The tensor, float32, where one was given.
    tensor: Option<Tensor>,
    /// `gpu` or `cpu`.
    device: String,
    /// The adapter, or why it was the CPU.
    detail: String,
}

impl Run for Convolve {
    type Output = Convolved;

    fn run(self, cx: &Context) -> Result<Convolved> {
        let shape = &self.kernel.shape;
        let kernel = self.kernel.to_array_f32().invalid("kernel")?.into_dimensionality::<Ix2>();
        let kernel =
            kernel.map_err(|_| Error::invalid(format!("field `kernel` must be a matrix, got shape {shape:?}")))?;
        if let Some(reason) = convolve::refuse(kernel.view()) {
            return Err(Error::invalid(format!("field `kernel`: {reason}")));
        }
        let edge = match self.edge {
            EdgeMode::Zero => Edge::Zero,
            EdgeMode::Clamp => Edge::Clamp,
            EdgeMode::Mirror => Edge::Mirror,
            EdgeMode::Wrap => Edge::Wrap,
        };
        let run = |plane: &Array3<f32>| {
            self.device.run(
                cx,
                |gpu, control| convolve::gpu(gpu, plane.view(), kernel.view(), edge, control),
                |control| convolve::cpu(plane.view(), kernel.view(), edge, control),
            )
        };
        match (&self.image, &self.tensor) {
            (Some(image), None) => {
                let mut pixels = pixels(image)?;
                let (colours, Ran { device, detail }) = run(&pixels.slice(s![.., .., ..3]).to_owned())?;
                pixels.slice_mut(s![.., .., ..3]).assign(&colours);
                Ok(Convolved { image: Some(picture(pixels, image)?), tensor: None, device, detail })
            }
            (None, Some(tensor)) => {
                let (result, Ran { device, detail }) = run(&plane(tensor.to_array_f32().invalid("tensor")?)?)?;
                let output = Tensor { shape: tensor.shape.clone(), ..Tensor::from_array(result.into_dyn()) };
                Ok(Convolved { image: None, tensor: Some(output), device, detail })
            }
            _ => Err(Error::invalid("give either `image` or `tensor`")),
        }
    }
}

/// Height × width × 4, from 0 to 1.
fn pixels(image: &Image) -> Result<Array3<f32>> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    Ok(Array3::from_shape_vec((height, width, 4), image.to_rgba32f().into_raw())?)
}

/// The pixels as a picture of the same sample type as `like`.
fn picture(pixels: Array3<f32>, like: &Image) -> Result<Image> {
    let (height, width, _) = pixels.dim();
    let samples: Vec<f32> = pixels.iter().map(|sample| sample.clamp(0.0, 1.0)).collect();
    let picture = Rgba32FImage::from_raw(width as u32, height as u32, samples);
    let picture = DynamicImage::from(picture.ok_or_else(|| Error::failed("the picture has lost pixels"))?);
    Ok(Image(match **like {
        DynamicImage::ImageLuma8(_) => picture.to_luma8().into(),
        DynamicImage::ImageLumaA8(_) => picture.to_luma_alpha8().into(),
        DynamicImage::ImageRgb8(_) => picture.to_rgb8().into(),
        DynamicImage::ImageLuma16(_) => picture.to_luma16().into(),
        DynamicImage::ImageLumaA16(_) => picture.to_luma_alpha16().into(),
        DynamicImage::ImageRgb16(_) => picture.to_rgb16().into(),
        DynamicImage::ImageRgba16(_) => picture.to_rgba16().into(),
        DynamicImage::ImageRgb32F(_) => picture.to_rgb32f().into(),
        DynamicImage::ImageRgba32F(_) => picture,
        _ => picture.to_rgba8().into(),
    }))
}

/// Height × width × channels.
fn plane(array: ArrayD<f32>) -> Result<Array3<f32>> {
    let shape = array.shape().to_vec();
    let array = if shape.len() == 2 { array.insert_axis(Axis(2)) } else { array };
    array.into_dimensionality::<Ix3>().map_err(|_| {
        Error::invalid(format!("field `tensor` must be height × width or height × width × channels, got {shape:?}"))
    })
}

//! `gpu.Mandelbrot`.

use millwork_worker::prelude::*;

use super::device::{Device, Ran};
use super::kernels::mandelbrot::{self, MAX_ROUNDS, Palette, View};

/// Paints a part of the Mandelbrot set, band by band with progress; it can be cancelled between bands. In 32-bit
/// floats, so below a span of about 0.0001 single pixels show.
#[derive(Node)]
#[node("gpu.Mandelbrot", title = "GPU Mandelbrot")]
pub(super) struct Mandelbrot {
    /// Width in pixels.
    #[node(default = 960, min = 1, max = 8192)]
    width: usize,
    /// Height in pixels.
    #[node(default = 640, min = 1, max = 8192)]
    height: usize,
    /// Real part of the picture's middle.
    #[node(default = -0.5, min = -4.0, max = 4.0)]
    center_x: f64,
    /// Imaginary part of the picture's middle.
    #[node(default = 0.0, min = -4.0, max = 4.0)]
    center_y: f64,
    /// Width of the picture in the plane.
    #[node(default = 3.2, min = 0.00001, max = 16.0)]
    span: f64,
    /// Rounds after which a point counts as inside.
    #[node(default = 500, min = 1, max = MAX_ROUNDS)]
    max_iterations: u32,
    /// The colours.
    #[node(default = Colours::Classic)]
    palette: Colours,
    /// Who computes: auto takes the GPU where there is one.
    #[node(default = Device::Auto)]
    device: Device,
}

/// The colours.
#[derive(Choice, Clone, Copy)]
enum Colours {
    Classic,
    Fire,
    Ice,
    Gray,
}

/// The picture, and who computed it.
#[derive(Outputs)]
pub(super) struct Picture {
    /// The picture.
    output: Image,
    /// `gpu` or `cpu`.
    device: String,
    /// The adapter, or why it was the CPU.
    detail: String,
}

impl Run for Mandelbrot {
    type Output = Picture;

    fn run(self, cx: &Context) -> Result<Picture> {
        let view = View {
            width: self.width,
            height: self.height,
            centre: (self.center_x, self.center_y),
            span: self.span,
            rounds: self.max_iterations,
        };
        let palette = match self.palette {
            Colours::Classic => Palette::Classic,
            Colours::Fire => Palette::Fire,
            Colours::Ice => Palette::Ice,
            Colours::Gray => Palette::Gray,
        };
        let (counts, Ran { device, detail }) = self.device.run(
            cx,
            |gpu, control| mandelbrot::gpu(gpu, &view, control),
            |control| mandelbrot::cpu(&view, control),
        )?;
        let output = mandelbrot::paint(&counts, view.width, view.height, palette).into();
        Ok(Picture { output, device, detail })
    }
}

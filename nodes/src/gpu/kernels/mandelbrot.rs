//! The Mandelbrot set, in bands of rows.

use image::{Rgb, RgbImage};
use millwork_worker::gpu::{Buffer, Control, Gpu, GpuError, Job, Kernel, Step};

use super::{bands, step_budget, to_floats, words};

/// Largest share of pixels whose counts may differ by more than [`SAME`]: the set's edge is chaotic, and the last bit
/// of a rounding decides there. In the views of the self test 0.5 % and 1.2 % of the counts differ already between f32 and
/// f64 on the CPU.
pub(crate) const TOLERANCE: f32 = 0.03;
/// Counts that are this close are the same.
pub(crate) const SAME: f32 = 0.05;

/// Most rounds per pixel: software adapters stop a loop after 65,535.
pub(crate) const MAX_ROUNDS: u32 = 50_000;

/// Which part of the plane is seen, and how finely.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Pixels.
    pub(crate) width: usize,
    /// Pixels.
    pub(crate) height: usize,
    /// The middle of the picture in the plane.
    pub(crate) centre: (f64, f64),
    /// Width of the picture in the plane.
    pub(crate) span: f64,
    /// Rounds after which a point counts as inside.
    pub(crate) rounds: u32,
}

impl View {
    /// Distance of two pixels, and the centre of the top left one.
    fn grid(&self) -> (f32, f32, f32) {
        let pixel = self.span / self.width as f64;
        let left = self.centre.0 - pixel * (self.width as f64 - 1.0) / 2.0;
        let top = self.centre.1 + pixel * (self.height as f64 - 1.0) / 2.0;
        (pixel as f32, left as f32, top as f32)
    }
}

/// Smooth counts of rounds, row by row; -1 inside the set. In f32 like the shader.
pub(crate) fn cpu(view: &View, control: &Control<'_>) -> Result<Vec<f32>, GpuError> {
    let (pixel, left, top) = view.grid();
    let mut counts = Vec::with_capacity(view.width * view.height);
    for row in 0..view.height {
        if (control.cancelled)() {
            return Err(GpuError::Cancelled);
        }
        let cy = top - row as f32 * pixel;
        counts.extend((0..view.width).map(|column| count(left + column as f32 * pixel, cy, view.rounds)));
        (control.progress)(row + 1, view.height);
    }
    Ok(counts)
}

fn count(cx: f32, cy: f32, rounds: u32) -> f32 {
    let (mut x, mut y) = (0f32, 0f32);
    for i in 0..rounds {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > 256.0 {
            return (i as f32 + 1.0 - (0.5 * (xx + yy).log2()).log2()).max(0.0);
        }
        y = 2.0 * x * y + cy;
        x = xx - yy + cx;
    }
    -1.0
}

/// The same on the GPU; progress is told after each band.
pub(crate) fn gpu(gpu: &Gpu, view: &View, control: &Control<'_>) -> Result<Vec<f32>, GpuError> {
    let info = gpu.require()?;
    let (pixel, left, top) = view.grid();
    let kernel = Kernel::new(include_str!("mandelbrot.wgsl"));
    let columns = view.width.div_ceil(64) as u32;
    // Three multiply-adds a round, and at least sixteen bands so that progress moves.
    let cost = 3 * view.width * view.rounds as usize;
    let steps = bands(view.height, cost, step_budget(&info), 16).map(|rows| {
        let bits = [left, top, pixel].map(f32::to_bits);
        let numbers = [view.rounds, view.width as u32, rows.start as u32, rows.end as u32];
        let params = words(&[bits.as_slice(), &numbers].concat());
        Step::new(kernel.clone(), 0..1, [columns, rows.len() as u32, 1]).params(params)
    });
    let counts = Buffer::Output(4 * (view.width * view.height) as u64);
    let results = gpu.run(Job { buffers: vec![counts], steps: steps.collect() }, control)?;
    Ok(to_floats(results.first().map_or(&[], Vec::as_slice)))
}

/// How counts become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Palette {
    /// Blue, white, gold.
    Classic,
    /// Black, red, yellow, white.
    Fire,
    /// Black, blue, white.
    Ice,
    /// Black to white.
    Gray,
}

impl Palette {
    fn stops(self) -> &'static [[f32; 3]] {
        match self {
            Self::Classic => &[[0.0, 7.0, 100.0], [32.0, 107.0, 203.0], [237.0, 255.0, 255.0], [255.0, 170.0, 0.0]],
            Self::Fire => &[[0.0, 0.0, 0.0], [160.0, 16.0, 0.0], [255.0, 190.0, 20.0], [255.0, 255.0, 230.0]],
            Self::Ice => &[[0.0, 0.0, 10.0], [10.0, 60.0, 140.0], [230.0, 250.0, 255.0], [60.0, 130.0, 200.0]],
            Self::Gray => &[[0.0; 3], [255.0; 3]],
        }
    }

    /// The colour at `t` from 0 to 1 of a circle through the stops.
    fn at(self, t: f32) -> Rgb<u8> {
        let stops = self.stops();
        let place = t.rem_euclid(1.0) * stops.len() as f32;
        let (index, blend) = (place as usize % stops.len(), place.fract());
        let (from, to) = (stops[index], stops[(index + 1) % stops.len()]);
        Rgb(std::array::from_fn(|i| (from[i] + (to[i] - from[i]) * blend).round() as u8))
    }
}

/// The picture of `counts`, which are `width` a row: black inside, and the palette once around per 64 rounds at first,
/// more slowly further in.
pub(crate) fn paint(counts: &[f32], width: usize, height: usize, palette: Palette) -> RgbImage {
    let mut colours = counts.iter().map(|&count| match count {
        inside if inside < 0.0 => Rgb([0; 3]),
        count => palette.at((1.0 + count).log2() / 6.0),
    });
    RgbImage::from_fn(width as u32, height as u32, |_, _| colours.next().unwrap_or(Rgb([0; 3])))
}

//! Each kernel on both paths, over sizes that are not multiples of anything, and how far the two are apart.

use std::time::{Duration, Instant};

use millwork_worker::gpu::{Control, Gpu, GpuError};
use ndarray::{Array2, Array3};

use super::convolve::{self, Edge};
use super::mandelbrot::{self, View};
use super::reduce::{self, Op};
use super::{matmul, to_bytes};

/// What is known of one kernel after its cases.
#[derive(Debug)]
pub(crate) struct Report {
    /// The kernel.
    pub(crate) kernel: &'static str,
    /// Cases that ran.
    pub(crate) cases: usize,
    /// The largest error of all cases, and the case that had it. `None` where only the CPU path ran.
    pub(crate) worst: Option<(f32, String)>,
    /// What the error may be.
    pub(crate) tolerance: f32,
    /// Time of all cases on the GPU, shader compilation not counted.
    pub(crate) gpu: Duration,
    /// Time of all cases on the CPU.
    pub(crate) cpu: Duration,
}

impl Report {
    fn new(kernel: &'static str, tolerance: f32) -> Self {
        Self { kernel, cases: 0, worst: None, tolerance, gpu: Duration::ZERO, cpu: Duration::ZERO }
    }

    /// True when no case was further off than it may be. An error that is no number is.
    pub(crate) fn passed(&self) -> bool {
        self.worst.as_ref().is_none_or(|(error, _)| *error <= self.tolerance)
    }

    /// Runs one case on both paths.
    fn case<T>(
        &mut self,
        name: impl FnOnce() -> String,
        gpu: Option<&Gpu>,
        on_cpu: impl FnOnce() -> Result<T, GpuError>,
        on_gpu: impl Fn(&Gpu) -> Result<T, GpuError>,
        error: impl FnOnce(&T, &T) -> f32,
    ) -> Result<(), GpuError> {
        self.cases += 1;
        let start = Instant::now();
        let expected = on_cpu()?;
        self.cpu += start.elapsed();
        let Some(gpu) = gpu else { return Ok(()) };
        if self.cases == 1 {
            // Compiles the shader.
            on_gpu(gpu)?;
        }
        let start = Instant::now();
        let found = on_gpu(gpu)?;
        self.gpu += start.elapsed();
        let error = error(&expected, &found);
        if self.worst.as_ref().is_none_or(|(worst, _)| error.is_nan() || error > *worst) {
            self.worst = Some((error, name()));
        }
        Ok(())
    }
}

/// All kernels; without a GPU their CPU path alone. `control.progress` counts kernels.
pub(crate) fn run(gpu: Option<&Gpu>, control: &Control<'_>) -> Result<Vec<Report>, GpuError> {
    let quiet = Control { progress: &|_, _| {}, ..*control };
    let kernels = [matmuls, convolutions, reductions, mandelbrots];
    let mut reports = Vec::new();
    for (done, kernel) in kernels.iter().enumerate() {
        if (control.cancelled)() {
            return Err(GpuError::Cancelled);
        }
        reports.push(kernel(gpu, &quiet)?);
        (control.progress)(done + 1, kernels.len());
    }
    Ok(reports)
}

fn matmuls(gpu: Option<&Gpu>, control: &Control<'_>) -> Result<Report, GpuError> {
    let mut report = Report::new("MatMul", matmul::TOLERANCE);
    let mut noise = Noise(1);
    let sizes = [(1, 1, 1), (3, 5, 7), (64, 64, 64), (65, 129, 33), (1, 257, 300), (17, 9001, 5), (256, 256, 256)];
    for (rows, depth, columns) in sizes {
        let a = Array2::from_shape_simple_fn((rows, depth), || noise.next());
        let b = Array2::from_shape_simple_fn((depth, columns), || noise.next());
        report.case(
            || format!("{rows}×{depth} · {depth}×{columns}"),
            gpu,
            || Ok(matmul::cpu(a.view(), b.view())),
            |gpu| matmul::gpu(gpu, a.view(), b.view(), control),
            |x, y| relative(x.iter().zip(y)),
        )?;
    }
    Ok(report)
}

fn convolutions(gpu: Option<&Gpu>, control: &Control<'_>) -> Result<Report, GpuError> {
    let mut report = Report::new("Convolve", convolve::TOLERANCE);
    let mut noise = Noise(2);
    let sizes =
        [((1, 1, 1), (3, 3)), ((5, 7, 3), (3, 5)), ((3, 3, 1), (9, 9)), ((64, 64, 4), (1, 1)), ((131, 257, 3), (5, 5))];
    for (image, kernel) in sizes {
        for edge in Edge::ALL {
            let pixels = Array3::from_shape_simple_fn(image, || noise.next());
            let weights = Array2::from_shape_simple_fn(kernel, || noise.next());
            report.case(
                || format!("{}×{}×{}, kernel {}×{}, {edge:?}", image.0, image.1, image.2, kernel.0, kernel.1),
                gpu,
                || convolve::cpu(pixels.view(), weights.view(), edge, control),
                |gpu| convolve::gpu(gpu, pixels.view(), weights.view(), edge, control),
                |x, y| relative(x.iter().zip(y)),
            )?;
        }
    }
    Ok(report)
}

fn reductions(gpu: Option<&Gpu>, control: &Control<'_>) -> Result<Report, GpuError> {
    let mut report = Report::new("Reduce", reduce::TOLERANCE);
    let mut noise = Noise(3);
    for count in [1usize, 2, 63, 65, 257, 1000, 65_537, 1_000_003] {
        let values: Vec<f32> = std::iter::repeat_with(|| noise.next()).take(count).collect();
        let bytes = to_bytes(values.iter().copied());
        let magnitudes: f64 = values.iter().map(|value| f64::from(value.abs())).sum();
        for op in Op::ALL {
            let scale = match op {
                Op::Sum => magnitudes,
                Op::Mean => magnitudes / count as f64,
                Op::Min | Op::Max => 1.0,
            };
            report.case(
                || format!("{op:?} of {count}"),
                gpu,
                || Ok(reduce::cpu(&values, op)),
                |gpu| reduce::gpu(gpu, &bytes, op, control),
                |x, y| ((f64::from(*x) - f64::from(*y)).abs() / scale) as f32,
            )?;
        }
    }
    Ok(report)
}

fn mandelbrots(gpu: Option<&Gpu>, control: &Control<'_>) -> Result<Report, GpuError> {
    let mut report = Report::new("Mandelbrot", mandelbrot::TOLERANCE);
    let whole = View { width: 1, height: 1, centre: (-0.5, 0.0), span: 3.2, rounds: 100 };
    let antenna = View { centre: (-0.16, 1.040_5), span: 0.05, rounds: 500, ..whole };
    for (width, height, view) in [(1, 1, whole), (63, 41, whole), (333, 217, whole), (320, 240, antenna)] {
        let view = View { width, height, ..view };
        report.case(
            || format!("{width}×{height}, {} rounds", view.rounds),
            gpu,
            || mandelbrot::cpu(&view, control),
            |gpu| mandelbrot::gpu(gpu, &view, control),
            |x, y| {
                let apart = x.iter().zip(y).filter(|(x, y)| (*x - *y).abs() > mandelbrot::SAME).count();
                apart as f32 / x.len().max(1) as f32
            },
        )?;
    }
    Ok(report)
}

/// The largest difference over the largest expected value; not a number when any of them is.
fn relative<'a>(pairs: impl Iterator<Item = (&'a f32, &'a f32)>) -> f32 {
    let (mut apart, mut largest) = (0f32, f32::MIN_POSITIVE);
    for (expected, found) in pairs {
        let difference = (expected - found).abs();
        if difference.is_nan() {
            return f32::NAN;
        }
        apart = apart.max(difference);
        largest = largest.max(expected.abs());
    }
    apart / largest
}

/// Values from -1 to 1, the same every time: Marsaglia's xorshift (2003).
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as f32 / u32::MAX as f32 * 2.0 - 1.0
    }
}

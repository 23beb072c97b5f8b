//! Gaussian smoothing: line by line, in both directions, with the border pixels going on for ever.
//!
//! Small kernels are summed directly, out to four standard deviations. Large ones run through a recursive filter whose
//! cost does not grow with sigma: R. Deriche, "Recursively implementing the Gaussian and its derivatives", INRIA RR-1893,
//! 1993, fourth order. It stays within one part in a thousand of the range.

use millwork_worker::prelude::*;

use super::raster::Raster;
use super::steps::Steps;

/// From this sigma on the recursive filter is the quicker one.
const RECURSIVE_FROM: f64 = 8.0;
/// Columns filtered together: one cache line of samples.
const STRIP: usize = 16;

/// Smooths every channel with a Gaussian of `sigma` pixels; colours should be premultiplied.
///
/// # Errors
/// `cancelled` once the request has been cancelled.
pub(crate) fn blur(raster: &mut Raster, sigma: f64, cx: &Context) -> Result<()> {
    if sigma <= 0.0 {
        return Ok(());
    }
    if sigma < RECURSIVE_FROM {
        let weights = kernel(sigma, (4.0 * sigma).ceil() as usize);
        smooth(raster, cx, |line, scratch| convolve(line, &weights, scratch))
    } else {
        let filter = Recursive::new(sigma);
        smooth(raster, cx, |line, scratch| filter.run(line, scratch))
    }
}

/// Smooths with a Gaussian cut off at `radius` pixels, as comparisons define it.
///
/// # Errors
/// `cancelled` once the request has been cancelled.
pub(crate) fn blur_within(raster: &mut Raster, sigma: f64, radius: usize, cx: &Context) -> Result<()> {
    let weights = kernel(sigma, radius);
    smooth(raster, cx, |line, scratch| convolve(line, &weights, scratch))
}

/// Filters every row, then every column.
fn smooth(raster: &mut Raster, cx: &Context, mut filter: impl FnMut(&mut [f32], &mut Vec<f32>)) -> Result<()> {
    let (height, channels, row) = (raster.height, raster.channels, raster.width * raster.channels);
    // A step is about as many samples in either half.
    let strips = row.div_ceil(STRIP);
    let mut steps = Steps::new(cx, height + strips);
    let mut scratch = Vec::new();
    let mut line = vec![0.0; raster.width];
    for pixels in raster.samples.chunks_exact_mut(row) {
        for channel in 0..channels {
            let of_channel = || (channel..row).step_by(channels);
            line.iter_mut().zip(of_channel()).for_each(|(v, i)| *v = pixels[i]);
            filter(&mut line, &mut scratch);
            line.iter().zip(of_channel()).for_each(|(v, i)| pixels[i] = *v);
        }
        steps.step()?;
    }
    let mut columns = vec![0.0; STRIP * height];
    for left in (0..row).step_by(STRIP) {
        let wide = STRIP.min(row - left);
        for (y, pixels) in raster.samples.chunks_exact(row).enumerate() {
            pixels[left..left + wide].iter().enumerate().for_each(|(i, v)| columns[i * height + y] = *v);
        }
        columns.chunks_exact_mut(height).take(wide).for_each(|column| filter(column, &mut scratch));
        for (y, pixels) in raster.samples.chunks_exact_mut(row).enumerate() {
            pixels[left..left + wide].iter_mut().enumerate().for_each(|(i, v)| *v = columns[i * height + y]);
        }
        steps.step()?;
    }
    Ok(())
}

/// The weights from `-radius` to `radius`, summing to one.
fn kernel(sigma: f64, radius: usize) -> Vec<f32> {
    let radius = radius as f64;
    let weights = || {
        (0..).map(|i| f64::from(i) - radius).take_while(|x| *x <= radius).map(|x| (-0.5 * (x / sigma).powi(2)).exp())
    };
    let sum: f64 = weights().sum();
    weights().map(|weight| (weight / sum) as f32).collect()
}

fn convolve(line: &mut [f32], weights: &[f32], padded: &mut Vec<f32>) {
    let radius = weights.len() / 2;
    let (Some(first), Some(last)) = (line.first().copied(), line.last().copied()) else { return };
    padded.clear();
    padded.extend(std::iter::repeat_n(first, radius));
    padded.extend_from_slice(line);
    padded.extend(std::iter::repeat_n(last, radius));
    line.fill(0.0);
    // One weight at a time over the whole line: the compiler makes vector instructions of it.
    for (shift, weight) in weights.iter().enumerate() {
        line.iter_mut().zip(&padded[shift..]).for_each(|(sum, v)| *sum += weight * v);
    }
}

/// A complex number.
#[derive(Clone, Copy)]
struct Complex(f64, f64);

impl Complex {
    fn times(self, other: Self) -> Self {
        Self(self.0 * other.0 - self.1 * other.1, self.0 * other.1 + self.1 * other.0)
    }

    fn plus(self, real: f64) -> Self {
        Self(self.0 + real, self.1)
    }

    fn scaled(self, real: f64) -> Self {
        Self(self.0 * real, self.1 * real)
    }

    /// `1 / (1 - self)`: what one pole adds up to over a constant line.
    fn geometric(self) -> Self {
        let (re, im) = (1.0 - self.0, -self.1);
        let norm = re * re + im * im;
        Self(re / norm, -im / norm)
    }
}

/// The Gaussian as two damped oscillations to either side: `Re Σ weight · pole^|n|`.
struct Recursive {
    weights: [Complex; 2],
    poles: [Complex; 2],
}

impl Recursive {
    fn new(sigma: f64) -> Self {
        let pole = |damping: f64, frequency: f64| {
            let size = (-damping / sigma).exp();
            Complex(size * (frequency / sigma).cos(), size * (frequency / sigma).sin())
        };
        let poles = [pole(1.783, 0.6318), pole(1.723, 1.997)];
        let weights = [Complex(1.680, -3.735), Complex(-0.6803, 0.2598)];
        // What both sides together give for a line of ones.
        let gain: f64 = weights.iter().zip(poles).map(|(w, z)| w.times(z.plus(1.0).times(z.geometric())).0).sum();
        Self { weights: weights.map(|w| w.scaled(1.0 / gain)), poles }
    }

    fn run(&self, line: &mut [f32], forward: &mut Vec<f32>) {
        let (Some(first), Some(last)) = (line.first().copied(), line.last().copied()) else { return };
        let [w0, w1] = self.weights;
        let [z0, z1] = self.poles;
        forward.clear();
        let mut s = self.poles.map(|z| z.geometric().scaled(f64::from(first)));
        for v in line.iter() {
            let v = f64::from(*v);
            s = [z0.times(s[0]).plus(v), z1.times(s[1]).plus(v)];
            forward.push((w0.times(s[0]).0 + w1.times(s[1]).0) as f32);
        }
        let mut s = self.poles.map(|z| z.geometric().times(z).scaled(f64::from(last)));
        for (v, before) in line.iter_mut().zip(forward.iter()).rev() {
            let sample = f64::from(*v);
            *v = before + (w0.times(s[0]).0 + w1.times(s[1]).0) as f32;
            s = [z0.times(s[0].plus(sample)), z1.times(s[1].plus(sample))];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recursive_filter_agrees_with_the_sum() {
        for sigma in [8.0, 20.0] {
            let mut line: Vec<f32> = (0..300).map(|i| ((i * i * 7 + i * 13) % 101) as f32 / 100.0).collect();
            line[40..90].fill(1.0);
            let (mut summed, mut scratch) = (line.clone(), Vec::new());
            convolve(&mut summed, &kernel(sigma, 5 * sigma as usize), &mut scratch);
            Recursive::new(sigma).run(&mut line, &mut scratch);
            for (i, (a, b)) in line.iter().zip(&summed).enumerate() {
                assert!((a - b).abs() < 1e-3, "sigma {sigma} at {i}: {a} against {b}");
            }
        }
    }

    #[test]
    fn a_flat_line_stays_flat_at_any_sigma() {
        for sigma in [8.0, 100.0, 1000.0] {
            let mut line = vec![0.25f32; 50];
            Recursive::new(sigma).run(&mut line, &mut Vec::new());
            assert!(line.iter().all(|v| (v - 0.25).abs() < 1e-5), "sigma {sigma}: {line:?}");
        }
    }
}

//! What a recogniser hears: the log-mel spectrum of a sound, a window at a time. What is said in it is the decoder's.
//!
//! Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 2.2, with the numbers of the
//! published models: frames of 25 ms every 10 ms, a Hann window, mel bands on Slaney's scale from 0 to 8 kHz, log₁₀ of the
//! power, at most 8 below the loudest of the whole sound, then `(x + 4) / 4`.

use std::f64::consts::TAU;
use std::fmt;
use std::sync::Arc;

use millwork_nodes::audio::{Bands, MelNorm, MelScale};
use millwork_worker::prelude::*;
use ndarray::{Array2, s};
use realfft::{RealFftPlanner, RealToComplex};

/// Samples a second of what models hear.
pub const SAMPLE_RATE: u32 = 16_000;
/// Frames a second.
pub const FRAMES_A_SECOND: usize = 100;

/// Samples in a frame.
pub(super) const N_FFT: usize = 400;
/// Samples from one frame to the next.
pub(super) const HOP: usize = 160;
/// The least power that is told from none.
const LEAST: f32 = 1e-10;
/// How far below the loudest anything counts, in powers of ten.
const RANGE: f32 = 8.0;
/// What no ear hears: −80 dB of full scale.
const SILENCE: f32 = 1e-4;

/// A sound of one channel at [`SAMPLE_RATE`], of which spectra are made as windows are asked for: the whole of it would take
/// 115 MB an hour.
pub struct Spectrum {
    /// With what is added on both sides, so that frame `t` lies around sample `160 t`.
    padded: Vec<f32>,
    /// Frames that can be made.
    made: usize,
    /// Frames of the sound itself.
    frames: usize,
    /// Frames of a window.
    window: usize,
    weights: Vec<f64>,
    filters: Array2<f32>,
    fft: Arc<dyn RealToComplex<f64>>,
    /// The largest log₁₀ of a band's power.
    loudest: f32,
}

impl fmt::Debug for Spectrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spectrum")
            .field("frames", &self.frames)
            .field("bands", &self.filters.nrows())
            .finish_non_exhaustive()
    }
}

impl Spectrum {
    /// The spectrum of `samples`, in `bands` mel bands and windows of `window` frames. A sound that is shorter than a window is
    /// heard as one with silence behind it.
    ///
    /// # Errors
    /// `cancelled`, while the loudest frame is looked for.
    pub fn new(samples: &[f32], bands: usize, window: usize, cx: &Context) -> Result<Self> {
        let filters = Bands { n_mels: bands, band: (0.0, 8000.0), scale: MelScale::Slaney, norm: MelNorm::Area };
        let frames = if samples.len() <= window * HOP { samples.len().div_ceil(HOP) } else { samples.len() / HOP };
        let length = samples.len().max(window * HOP);
        let mut spectrum = Self {
            padded: reflected(samples, length),
            made: length / HOP,
            frames,
            window,
            weights: (0..N_FFT).map(|i| 0.5 - 0.5 * (TAU * i as f64 / N_FFT as f64).cos()).collect(),
            filters: filters.filters(N_FFT, SAMPLE_RATE),
            fft: RealFftPlanner::new().plan_fft_forward(N_FFT),
            loudest: f32::NEG_INFINITY,
        };
        for first in (0..spectrum.made).step_by(window.max(1)) {
            cx.check()?;
            let log = spectrum.log(first)?;
            spectrum.loudest = log.iter().copied().fold(spectrum.loudest, f32::max);
        }
        Ok(spectrum)
    }

    /// Frames of the sound, without the silence behind it.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Whether nothing can be heard in `count` frames from `first` on.
    #[must_use]
    pub fn is_silent(&self, first: usize, count: usize) -> bool {
        let samples = self.padded.iter().skip(first * HOP).take(count * HOP + N_FFT);
        samples.into_iter().all(|x| x.abs() < SILENCE)
    }

    /// The window from a frame on, f32 `[1, bands, window]`, mostly between −1 and 1.5; zeros where the sound has ended.
    ///
    /// # Errors
    /// Where the Fourier transform fails.
    pub fn window(&self, first: usize) -> Result<Tensor> {
        let mut all = Array2::zeros((self.filters.nrows(), self.window));
        let log = self.log(first)?;
        let floor = self.loudest - RANGE;
        all.slice_mut(s![.., ..log.ncols()]).assign(&log.mapv(|x| (x.max(floor) + 4.0) / 4.0));
        let shape = [1, all.nrows(), all.ncols()];
        Ok(Tensor::from_array(all.into_shape_with_order(shape)?.into_dyn()))
    }

    /// The log₁₀ of the bands' power in a window's frames, `[bands, frames]`; fewer frames where the sound ends before.
    fn log(&self, first: usize) -> Result<Array2<f32>> {
        let count = self.window.min(self.made.saturating_sub(first));
        let (mut frame, mut bins) = (self.fft.make_input_vec(), self.fft.make_output_vec());
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = Array2::zeros((bins.len(), count));
        for (t, mut column) in power.columns_mut().into_iter().enumerate() {
            let samples = self.padded.iter().skip((first + t) * HOP);
            for ((slot, x), weight) in frame.iter_mut().zip(samples).zip(&self.weights) {
                *slot = f64::from(*x) * weight;
            }
            self.fft.process_with_scratch(&mut frame, &mut bins, &mut scratch)?;
            column.iter_mut().zip(&bins).for_each(|(slot, x)| *slot = x.norm_sqr() as f32);
        }
        Ok(self.filters.dot(&power).mapv_into(|x| x.max(LEAST).log10()))
    }
}

/// `length` samples, silence behind those that there are, and half a frame mirrored at both ends.
fn reflected(samples: &[f32], length: usize) -> Vec<f32> {
    let half = N_FFT / 2;
    let at = |i: usize| samples.get(i).copied().unwrap_or(0.0);
    let mut padded = Vec::with_capacity(length + N_FFT);
    padded.extend((1..=half).rev().map(at));
    padded.extend_from_slice(samples);
    padded.resize(half + length, 0.0);
    padded.extend((2..=half + 1).map(|i| length.checked_sub(i).map_or(0.0, at)));
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_mirrored() {
        let samples: Vec<f32> = (0..500u16).map(f32::from).collect();
        let padded = reflected(&samples, 500);
        assert_eq!(padded.len(), 900);
        assert_eq!((padded[0], padded[199], padded[200], padded[699]), (200.0, 1.0, 0.0, 499.0));
        assert_eq!((padded[700], padded[899]), (498.0, 299.0));
        let short = reflected(&[1.0, 2.0], 1000);
        assert_eq!((short.len(), short[199], short[200], short[201], short[202]), (1400, 2.0, 1.0, 2.0, 0.0));
    }
}

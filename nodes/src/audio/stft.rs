//! The short-time Fourier transform that the spectrogram nodes share. What is made of it is theirs.
//!
//! As in librosa: frames begin every `hop` samples; centred, the sound gets `n_fft / 2` zeros on both sides, so that
//! frame `t` lies around sample `t · hop`.
//! Source: Allen, "Short term spectral analysis, synthesis, and modification by discrete Fourier transform", 1977.

use std::f64::consts::TAU;

use millwork_worker::convert::audio::check_size;
use millwork_worker::prelude::*;
use ndarray::Array2;
use realfft::RealFftPlanner;

/// The window that each frame is weighted with; periodic, as for analysis.
#[derive(Choice, Clone, Copy, PartialEq, Debug)]
pub enum Window {
    /// `½ − ½ cos`.
    Hann,
    /// `0.54 − 0.46 cos`.
    Hamming,
    /// Three terms.
    Blackman,
    /// All the same.
    Rectangular,
}

impl Window {
    /// Its `n` values, `w[i] = a₀ − a₁ cos(2πi/n) + a₂ cos(4πi/n)`.
    fn values(self, n: usize) -> Vec<f32> {
        let (a0, a1, a2) = match self {
            Self::Hann => (0.5, 0.5, 0.0),
            Self::Hamming => (0.54, 0.46, 0.0),
            Self::Blackman => (0.42, 0.5, 0.08),
            Self::Rectangular => (1.0, 0.0, 0.0),
        };
        let value = |x: f64| a0 - a1 * x.cos() + a2 * (2.0 * x).cos();
        (0..n).map(|i| value(TAU * i as f64 / n as f64) as f32).collect()
    }
}

/// How a sound is cut into frames.
#[derive(Debug, Clone, Copy)]
pub struct Stft {
    /// Samples in a frame.
    pub n_fft: usize,
    /// Samples from one frame to the next.
    pub hop: usize,
    /// The weights of a frame's samples.
    pub window: Window,
    /// Whether frames lie around their time, with silence before the beginning and after the end.
    pub centred: bool,
}

impl Stft {
    /// Rows of the result, from 0 Hz to half the sample rate.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// The power of each bin in each frame, `|X|²`, of shape `[bins, frames]`.
    ///
    /// # Errors
    /// `invalid_input` where the sound is empty or, not centred, shorter than one frame, and where the result would take
    /// more than 1 GiB.
    pub fn power(&self, mono: &[f32], cx: &Context) -> Result<Array2<f32>> {
        let padding = if self.centred { self.n_fft / 2 } else { 0 };
        let length = mono.len() + 2 * padding;
        if mono.is_empty() || length < self.n_fft {
            return Err(Error::invalid(format!(
                "the sound has {} samples, and a frame needs {}: take a smaller `n_fft`, or `centred`",
                mono.len(),
                self.n_fft.max(1)
            )));
        }
        let frames = 1 + (length - self.n_fft) / self.hop.max(1);
        check_size(frames.saturating_mul(self.bins())).context("the spectrogram")?;
        let window = self.window.values(self.n_fft);
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(self.n_fft);
        let (mut frame, mut bins, mut scratch) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
        let mut power = Array2::zeros((self.bins(), frames));
        for (t, mut column) in power.columns_mut().into_iter().enumerate() {
            for (i, (slot, weight)) in frame.iter_mut().zip(&window).enumerate() {
                let sample = (t * self.hop + i).checked_sub(padding).and_then(|at| mono.get(at));
                *slot = weight * sample.copied().unwrap_or(0.0);
            }
            fft.process_with_scratch(&mut frame, &mut bins, &mut scratch)?;
            column.iter_mut().zip(&bins).for_each(|(slot, x)| *slot = x.norm_sqr());
            if t % 256 == 0 {
                cx.progress(t as f64, frames as f64);
                cx.check()?;
            }
        }
        Ok(power)
    }
}

/// Power in decibels: `10 log₁₀(max(x, 1e-10))` less the same of the reference (1, or the largest value), and not more
/// than `range` below the largest (0: no such floor). As librosa's `power_to_db`.
pub(super) fn to_decibels(power: &mut Array2<f32>, relative: bool, range: f32) {
    let db = |x: f32| 10.0 * x.max(1e-10).log10();
    let loudest = power.iter().copied().fold(0.0, f32::max);
    let reference = if relative { db(loudest) } else { 0.0 };
    let floor = if range > 0.0 { db(loudest) - reference - range } else { f32::NEG_INFINITY };
    power.mapv_inplace(|x| (db(x) - reference).max(floor));
}

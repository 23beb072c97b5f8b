//! `audio.*`: sound read, cut, mixed, measured and made. Decoding files is in the SDK's `convert::audio`.
//!
//! Levels are in dBFS: 0 is full scale (a sample of 1.0), −6.02 half of it. The RMS level of a full-scale sine is −3.01.

mod channels;
mod delay;
mod edit;
mod files;
mod level;
mod mel;
mod mix;
mod oscillator;
mod picture;
mod resample;
mod spectrogram;
mod stft;
mod tensor;

use millwork_worker::prelude::*;

pub use channels::with_channels;
pub use mel::{Bands, MelNorm, MelScale};
pub use resample::{resample, resample_with};
pub use stft::{Stft, Window};

/// The nodes of this namespace.
pub(crate) fn package() -> Package {
    package!["audio":
        files::Decode, files::Encode, files::Info,
        edit::Trim, edit::TrimSilence, edit::Reverse, edit::Fade,
        channels::ToMono, level::Gain, level::Normalize,
        mix::Mix, mix::Concat, resample::Resample, delay::Delay,
        oscillator::Oscillator,
        spectrogram::Spectrogram, mel::MelSpectrogram,
        tensor::ToTensor, tensor::FromTensor,
    ]
    .idempotent()
}

/// What silence is called, in dBFS: −∞ is no number that every host can read.
const SILENCE_DB: f64 = -200.0;

/// The factor that a level in decibels stands for.
fn gain_of(db: f64) -> f64 {
    10f64.powf(db / 20.0)
}

/// A factor in decibels, [`SILENCE_DB`] at least.
fn db_of(gain: f64) -> f64 {
    (20.0 * gain.log10()).max(SILENCE_DB)
}

/// The largest magnitude.
fn peak(samples: &[f32]) -> f64 {
    samples.iter().fold(0.0, |peak: f64, x| peak.max(f64::from(x.abs())))
}

/// The root of the mean of squares, over all channels.
fn rms(samples: &[f32]) -> f64 {
    let squares: f64 = samples.iter().map(|x| f64::from(*x).powi(2)).sum();
    (squares / samples.len().max(1) as f64).sqrt()
}

/// The nearest whole number of frames; what is below zero or no number is 0.
fn frames_in(seconds: f64, sample_rate: u32) -> usize {
    (seconds * f64::from(sample_rate)).round() as usize
}

/// Multiplies every sample.
fn scale(audio: &mut Audio, gain: f64) {
    audio.samples.iter_mut().for_each(|x| *x = (f64::from(*x) * gain) as f32);
}

#[cfg(test)]
mod tests {
    use millwork_worker::convert::audio::WavEncoding;
    use millwork_worker::node::Emitted;

    use super::*;

    /// Sound of these samples at 1000 Hz, so that a frame is a millisecond.
    pub(super) fn sound(channels: u16, samples: &[f32]) -> Audio {
        Audio::new(samples.to_vec(), channels, 1000).unwrap()
    }

    /// The file as a field takes it.
    pub(super) fn wav(audio: &Audio) -> Value {
        Value::Bytes(audio.to_wav(WavEncoding::Float32).unwrap())
    }

    pub(super) fn sine(hertz: f64, seconds: f64, sample_rate: u32) -> Audio {
        let step = std::f64::consts::TAU * hertz / f64::from(sample_rate);
        let samples = (0..frames_in(seconds, sample_rate)).map(|i| (step * i as f64).sin() as f32).collect();
        Audio::new(samples, 1, sample_rate).unwrap()
    }

    /// What a call put in the slot `output`.
    pub(super) fn heard(emitted: &Emitted) -> Audio {
        Audio::decode(emitted.blobs["output"].clone()).unwrap()
    }

    pub(super) fn close(found: &[f32], expected: &[f32], tolerance: f32) {
        assert_eq!(found.len(), expected.len());
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() <= tolerance, "element {i}: {a}, not {b}");
        }
    }

    #[test]
    fn levels() {
        assert!((gain_of(-6.0) - 0.501_187).abs() < 1e-6 && (db_of(0.5) + 6.020_6).abs() < 1e-4);
        assert_eq!((db_of(0.0), db_of(1.0)), (SILENCE_DB, 0.0));
        assert_eq!((peak(&[0.25, -0.5]), rms(&[3.0, -4.0, 0.0, 0.0]), rms(&[])), (0.5, 2.5, 0.0));
        assert_eq!((frames_in(0.0015, 1000), frames_in(-1.0, 8000), frames_in(f64::NAN, 8000)), (2, 0, 0));
    }
}

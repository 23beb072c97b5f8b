//! Sounds as inputs of models: samples, or a mel spectrogram of them.

use millwork_nodes::audio::{Bands, MelNorm, MelScale, Stft, Window, resample, with_channels};
use millwork_package::manifest::{self, Mel, MelLayout, MelLog, Samples};
use millwork_worker::convert::{Audio, Tensor};
use millwork_worker::onnx::Dim;
use millwork_worker::{Context, Error, Result};
use ndarray::{Array2, Axis, s};

use crate::value::Datum;

/// How a sound becomes a tensor.
#[derive(Debug)]
pub(crate) enum Sound {
    /// `[1, length]`.
    Samples(Samples),
    /// `[1, n_mels, frames]`.
    Mel(Mel),
}

/// The shape of a mel spectrogram as an input.
pub(crate) fn mel_shape(mel: &Mel) -> [Dim; 3] {
    let frames = mel.frames.map_or(Dim::Unknown, Dim::Fixed);
    match mel.layout {
        MelLayout::MelsFrames => [Dim::Fixed(1), Dim::Fixed(mel.n_mels), frames],
        MelLayout::FramesMels => [Dim::Fixed(1), frames, Dim::Fixed(mel.n_mels)],
    }
}

impl Sound {
    pub(crate) fn samples(samples: &Samples) -> Self {
        Self::Samples(samples.clone())
    }

    pub(crate) fn mel(mel: &Mel) -> Self {
        Self::Mel(mel.clone())
    }

    pub(crate) fn make(&self, value: &Datum, cx: &Context) -> Result<Tensor> {
        let Datum::Audio(audio) = value else {
            return Err(Error::invalid(format!("{} is no sound", value.what())));
        };
        let rate = match self {
            Self::Samples(samples) => samples.rate,
            Self::Mel(mel) => mel.rate,
        };
        let mono = resample(with_channels(Audio::clone(audio), 1)?, rate, cx)?;
        match self {
            Self::Samples(Samples { length, .. }) => {
                let mut samples = mono.samples;
                samples.resize(length.unwrap_or(samples.len()), 0.0);
                Tensor::from_slice(&[1, samples.len()], &samples).map_err(Error::failed)
            }
            Self::Mel(mel) => {
                let bands = bands(mel, mono, cx)?;
                let bands = match mel.layout {
                    MelLayout::MelsFrames => bands,
                    MelLayout::FramesMels => bands.reversed_axes().as_standard_layout().into_owned(),
                };
                Ok(Tensor::from_array(bands.insert_axis(Axis(0)).into_dyn()))
            }
        }
    }
}

/// `[n_mels, frames]`, after the logarithm, cut or filled to length with what silence gives.
fn bands(mel: &Mel, mono: Audio, cx: &Context) -> Result<Array2<f32>> {
    let stft = Stft { n_fft: mel.n_fft, hop: mel.hop, window: Window::Hann, centred: true };
    let bands = Bands {
        n_mels: mel.n_mels,
        band: (mel.f_min, mel.f_max.unwrap_or(f64::from(mel.rate) / 2.0)),
        scale: match mel.scale {
            manifest::MelScale::Slaney => MelScale::Slaney,
            manifest::MelScale::Htk => MelScale::Htk,
        },
        norm: match mel.norm {
            manifest::MelNorm::Area => MelNorm::Area,
            manifest::MelNorm::None => MelNorm::None,
        },
    };
    let mut power = bands.power(&stft, mono, cx)?;
    if let Some(frames) = mel.frames {
        let kept = frames.min(power.ncols());
        let mut exact = Array2::zeros((power.nrows(), frames));
        exact.slice_mut(s![.., ..kept]).assign(&power.slice(s![.., ..kept]));
        power = exact;
    }
    let floor = mel.floor as f32;
    match mel.log {
        MelLog::None => {}
        MelLog::Ln => power.mapv_inplace(|p| p.max(floor).ln()),
        MelLog::Log10 => power.mapv_inplace(|p| p.max(floor).log10()),
        MelLog::Db => power.mapv_inplace(|p| 10.0 * p.max(floor).log10()),
        MelLog::Whisper => {
            power.mapv_inplace(|p| p.max(1e-10).log10());
            let top = power.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            power.mapv_inplace(|p| (p.max(top - 8.0) + 4.0) / 4.0);
        }
    }
    Ok(power)
}

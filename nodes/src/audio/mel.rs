//! MelSpectrogram: a spectrogram on the scale on which people hear pitch.
//!
//! The filters and scales are those of librosa's `filters.mel`. Sources: Slaney, "Auditory Toolbox", 1998 (linear below
//! 1 kHz, logarithmic above); Young et al., "The HTK Book", 2006 (`2595 log₁₀(1 + f/700)`).

use millwork_worker::convert::audio::check_size;
use millwork_worker::prelude::*;
use ndarray::Array2;

use super::channels::with_channels;
use super::stft::{Stft, Window, to_decibels};

/// How hertz become mel.
#[derive(Choice, Clone, Copy, Debug)]
pub enum MelScale {
    /// Linear below 1 kHz, logarithmic above.
    Slaney,
    /// `2595 log₁₀(1 + f/700)`.
    Htk,
}

impl MelScale {
    /// Hertz a mel below 1 kHz, on Slaney's scale.
    const LINEAR: f64 = 200.0 / 3.0;
    /// Where its logarithmic part begins, in mel.
    const KNEE: f64 = 15.0;

    /// A mel as a factor above 1 kHz, logarithmic: 27 of them to 6.4 kHz.
    fn log_step() -> f64 {
        6.4f64.ln() / 27.0
    }

    fn to_mel(self, hertz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hertz / 700.0).log10(),
            Self::Slaney if hertz < 1000.0 => hertz / Self::LINEAR,
            Self::Slaney => Self::KNEE + (hertz / 1000.0).ln() / Self::log_step(),
        }
    }

    fn to_hertz(self, mel: f64) -> f64 {
        match self {
            Self::Htk => 700.0 * (10f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel < Self::KNEE => mel * Self::LINEAR,
            Self::Slaney => 1000.0 * ((mel - Self::KNEE) * Self::log_step()).exp(),
        }
    }
}

/// How the triangles of the filters are weighted.
#[derive(Choice, Clone, Copy, PartialEq, Debug)]
pub enum MelNorm {
    /// Each has the same area.
    Area,
    /// Each has the height 1.
    None,
}

/// What the decibels are relative to.
#[derive(Choice, Clone, Copy, PartialEq)]
pub(super) enum Reference {
    One,
    Max,
}

/// A spectrogram whose bands are spaced as people hear pitch, as speech and music models take it.
///
/// The tensor is f32 `[n_mels, frames]`: the power |X|² of the mean of the channels, gathered by triangular filters, or
/// its decibels. With the defaults it is `power_to_db(melspectrogram(y))` of librosa.
#[derive(Node)]
#[node("audio.MelSpectrogram")]
pub(super) struct MelSpectrogram {
    /// The sound.
    audio: Audio,
    /// Samples in a frame.
    #[node(default = 2048, min = 2, max = 65_536)]
    n_fft: usize,
    /// Samples from one frame to the next.
    #[node(default = 512, min = 1, max = 1_000_000)]
    hop: usize,
    /// Bands.
    #[node(default = 128, min = 1, max = 4096)]
    n_mels: usize,
    /// The lowest frequency, in hertz.
    #[node(default = 0.0, min = 0)]
    f_min: f64,
    /// The highest frequency, in hertz; left out, half the sample rate.
    #[node(min = 0)]
    f_max: Option<f64>,
    /// The mel scale: Slaney's (librosa's default) or HTK's (torchaudio's).
    #[node(default = MelScale::Slaney)]
    mel_scale: MelScale,
    /// The weight of the filters: the same area for each (librosa's default), or none: height 1 (torchaudio's default).
    #[node(default = MelNorm::Area)]
    norm: MelNorm,
    /// The weights of a frame's samples.
    #[node(default = Window::Hann)]
    window: Window,
    /// Frames lie around their time, with silence before the beginning and after the end.
    #[node(default = true)]
    centred: bool,
    /// Decibels (10 log₁₀ of the power), or the power itself.
    #[node(default = true)]
    decibels: bool,
    /// What 0 dB is: a power of one, or the strongest value.
    #[node(default = Reference::One)]
    reference: Reference,
    /// In decibels, how far below the strongest value to cut off; 0: not at all.
    #[node(default = 80.0, min = 0, max = 200)]
    range_db: f32,
}

impl Run for MelSpectrogram {
    type Output = Tensor;

    fn run(self, cx: &Context) -> Result<Tensor> {
        let nyquist = f64::from(self.audio.sample_rate) / 2.0;
        let band = (self.f_min, self.f_max.unwrap_or(nyquist));
        if band.0 >= band.1 || band.1 > nyquist {
            return Err(Error::invalid(format!(
                "the bands from `f_min` {} Hz to `f_max` {} Hz must rise and end at {nyquist} Hz, half the sample rate",
                band.0, band.1
            )));
        }
        let stft = Stft { n_fft: self.n_fft, hop: self.hop, window: self.window, centred: self.centred };
        let bands = Bands { n_mels: self.n_mels, band, scale: self.mel_scale, norm: self.norm };
        let mut mel = bands.power(&stft, self.audio, cx)?;
        if self.decibels {
            to_decibels(&mut mel, self.reference == Reference::Max, self.range_db);
        }
        Ok(Tensor::from_array(mel.into_dyn()))
    }
}

/// The bands of a mel spectrogram.
#[derive(Debug, Clone, Copy)]
pub struct Bands {
    /// How many.
    pub n_mels: usize,
    /// The lowest and the highest frequency, in hertz; they rise, and end at half the sample rate.
    pub band: (f64, f64),
    /// How hertz become mel.
    pub scale: MelScale,
    /// How the filters are weighted.
    pub norm: MelNorm,
}

impl Bands {
    /// Triangles from the neighbour below to the neighbour above of each band, of shape `[n_mels, n_fft / 2 + 1]`: the weight of
    /// each bin of a Fourier transform in it.
    #[must_use]
    pub fn filters(&self, n_fft: usize, sample_rate: u32) -> Array2<f32> {
        let (low, high) = (self.scale.to_mel(self.band.0), self.scale.to_mel(self.band.1));
        // The corner of a triangle, `i` from 0 to `n_mels + 1`.
        let corner = |i: usize| self.scale.to_hertz(low + (high - low) * i as f64 / (self.n_mels + 1) as f64);
        Array2::from_shape_fn((self.n_mels, n_fft / 2 + 1), |(mel, bin)| {
            let hertz = bin as f64 * f64::from(sample_rate) / n_fft as f64;
            let (left, top, right) = (corner(mel), corner(mel + 1), corner(mel + 2));
            let height = ((hertz - left) / (top - left)).min((right - hertz) / (right - top)).max(0.0);
            (if self.norm == MelNorm::Area { height * 2.0 / (right - left) } else { height }) as f32
        })
    }

    /// The power in each band of the mean of the channels, of shape `[n_mels, frames]`.
    ///
    /// # Errors
    /// As [`Stft::power`], and where the result would be too large.
    pub fn power(&self, stft: &Stft, audio: Audio, cx: &Context) -> Result<Array2<f32>> {
        check_size(self.n_mels.saturating_mul(stft.bins())).context("the mel filters")?;
        let filters = self.filters(stft.n_fft, audio.sample_rate);
        let power = stft.power(&with_channels(audio, 1)?.samples, cx)?;
        check_size(self.n_mels.saturating_mul(power.ncols())).context("the mel spectrogram")?;
        Ok(filters.dot(&power))
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{close, sound, wav};
    use super::*;

    fn small(scale: MelScale, norm: MelNorm) -> Array2<f32> {
        Bands { n_mels: 4, band: (0.0, 4000.0), scale, norm }.filters(32, 8000)
    }

    /// From librosa 0.11: `filters.mel(sr=8000, n_fft=32, n_mels=4, htk=…, norm=…)`.
    #[test]
    fn filters_agree_with_librosa() {
        let slaney = small(MelScale::Slaney, MelNorm::Area);
        assert_eq!(slaney.dim(), (4, 17));
        close(&slaney.row(0).to_vec()[..5], &[0.0, 1.137_291_8e-3, 1.991_171_9e-3, 8.538_799e-4, 0.0], 1e-9);
        close(
            &slaney.row(3).to_vec()[6..13],
            &[0.0, 1.954_995_8e-4, 4.087_825_4e-4, 6.220_654_5e-4, 7.890_778e-4, 6.575_648e-4, 5.260_518_5e-4],
            1e-9,
        );
        let htk = small(MelScale::Htk, MelNorm::None);
        close(&htk.row(1).to_vec()[1..7], &[0.0, 0.369_647_7, 0.896_112_6, 0.711_260_4, 0.351_536_33, 0.0], 1e-6);
        close(
            &htk.row(3).to_vec()[6..12],
            &[0.005_594_5, 0.251_387_5, 0.497_180_5, 0.742_973_45, 0.988_766_43, 0.839_729_7],
            1e-6,
        );
    }

    #[test]
    fn scales_go_there_and_back() {
        for scale in [MelScale::Slaney, MelScale::Htk] {
            for hertz in [0.0, 440.0, 999.9, 1000.0, 7999.0] {
                assert!((scale.to_hertz(scale.to_mel(hertz)) - hertz).abs() < 1e-8);
            }
        }
    }

    /// 400 samples at 8 kHz of a 500 Hz sine with amplitude 0.5.
    fn call() -> NodeTest {
        let value = |n: i32| 0.5 * (std::f64::consts::TAU * 500.0 * f64::from(n) / 8000.0).sin();
        let tone = Audio::new((0..400).map(|n| value(n) as f32).collect(), 1, 8000).unwrap();
        NodeTest::new::<MelSpectrogram>().field("audio", wav(&tone)).field("n_fft", 64).field("hop", 100)
    }

    fn column(call: NodeTest, at: usize) -> Vec<f32> {
        let done = call.run().unwrap();
        let map = done.outputs["output"].as_map().unwrap();
        let shape: Vec<i64> = map["shape"].as_list().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
        assert_eq!(shape[1], 5);
        let Some(Value::Bytes(data)) = map.get("value") else { panic!("no bytes") };
        let tensor = Tensor::new(DType::F32, vec![shape[0] as usize, 5], data.clone()).unwrap();
        let array = tensor.to_array_f32().unwrap();
        array.outer_iter().map(|row| row[at]).collect()
    }

    /// From librosa 0.11: `feature.melspectrogram(y=y, sr=8000, n_fft=64, hop_length=100, n_mels=6)`, its `power_to_db`,
    /// and the same with `htk=True, norm=None, fmin=100, fmax=3000, n_mels=5`.
    #[test]
    fn the_whole_agrees_with_librosa() {
        let six = || call().field("n_mels", 6);
        close(
            &column(six().field("decibels", false), 0),
            &[7.256_551e-2, 5.719_738e-2, 2.924_980_6e-3, 3.378_631_7e-4, 9.037_89e-5, 3.210_867_4e-5],
            1e-6,
        );
        close(&column(six(), 0), &[-11.392_698, -12.426_239, -25.338_772, -34.712_593, -40.439_335, -44.933_777], 1e-2);
        close(&column(six(), 2), &[-8.376_391, -8.498_775_5, -88.376_39, -88.376_39, -88.376_39, -88.376_39], 1e-3);
        let relative = six().field("reference", "max").field("range_db", 30);
        close(&column(relative, 2), &[0.0, -0.122_384_07, -30.0, -30.0, -30.0, -30.0], 1e-4);
        let htk = call().field("n_mels", 5).field("mel_scale", "htk").field("norm", "none").field("decibels", false);
        let htk = column(htk.field("f_min", 100).field("f_max", 3000), 2);
        close(&htk, &[42.486_813, 53.513_187, 0.0, 0.0, 0.0], 1e-3);
    }

    #[test]
    fn bands_must_fit_the_sample_rate() {
        let text = |call: NodeTest| call.run().unwrap_err().message().to_owned();
        assert!(text(call().field("f_max", 8000)).contains("end at 4000 Hz"));
        assert!(text(call().field("f_min", 4000)).contains("must rise"));
        assert!(text(call().field("n_mels", 0)).contains("`n_mels`"));
        assert!(text(NodeTest::new::<MelSpectrogram>().field("audio", wav(&sound(1, &[])))).contains("0 samples"));
    }
}

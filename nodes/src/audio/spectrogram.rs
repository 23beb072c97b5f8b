//! Spectrogram: strength by frequency and time, as numbers and as a picture.

use millwork_worker::prelude::*;

use super::channels::with_channels;
use super::picture::{Colours, picture};
use super::stft::{Stft, Window, to_decibels};

/// What the numbers are.
#[derive(Choice, Clone, Copy)]
pub(super) enum Scale {
    Magnitude,
    Power,
    Decibels,
}

/// Shows how strong each frequency is over time (short-time Fourier transform of the mean of the channels).
///
/// The tensor is f32 `[n_fft / 2 + 1, frames]`; bin `k` is the frequency `k · sample_rate / n_fft` hertz. Values agree
/// with librosa's `stft`.
#[derive(Node)]
#[node("audio.Spectrogram")]
pub(super) struct Spectrogram {
    /// The sound.
    audio: Audio,
    /// Samples in a frame: more tell frequencies better apart, fewer moments.
    #[node(default = 2048, min = 2, max = 65_536)]
    n_fft: usize,
    /// Samples from one frame to the next.
    #[node(default = 512, min = 1, max = 1_000_000)]
    hop: usize,
    /// The weights of a frame's samples.
    #[node(default = Window::Hann)]
    window: Window,
    /// Frames lie around their time, with silence before the beginning and after the end. Otherwise only whole frames count.
    #[node(default = true)]
    centred: bool,
    /// Magnitude |X|, power |X|², or decibels of power.
    #[node(default = Scale::Decibels)]
    scale: Scale,
    /// In decibels, how far below the strongest value to cut off, in the tensor too; 0: not at all.
    #[node(default = 80.0, min = 0, max = 200)]
    range_db: f32,
    /// Colours of the picture.
    #[node(default = Colours::Viridis)]
    colours: Colours,
}

/// Numbers and picture.
#[derive(Outputs)]
pub(super) struct Seen {
    output: Tensor,
    /// Time to the right, frequency upwards, 80 dB from dark to bright; at most 4096 pixels a side.
    image: Image,
}

impl Run for Spectrogram {
    type Output = Seen;

    fn run(self, cx: &Context) -> Result<Seen> {
        let stft = Stft { n_fft: self.n_fft, hop: self.hop, window: self.window, centred: self.centred };
        let mut power = stft.power(&with_channels(self.audio, 1)?.samples, cx)?;
        let image = picture(&power, self.colours)?;
        match self.scale {
            Scale::Magnitude => power.mapv_inplace(f32::sqrt),
            Scale::Power => {}
            Scale::Decibels => to_decibels(&mut power, false, self.range_db),
        }
        Ok(Seen { output: Tensor::from_array(power.into_dyn()), image })
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{close, sine, sound, wav};
    use super::*;

    /// 64 samples: sin(2π·0.11·n) + 0.3·cos(2π·0.31·n).
    fn two_tones() -> Audio {
        let value = |n: f64| {
            let turn = std::f64::consts::TAU * n;
            (0.11 * turn).sin() + 0.3 * (0.31 * turn).cos()
        };
        sound(1, &(0..64).map(|n| value(f64::from(n)) as f32).collect::<Vec<_>>())
    }

    fn call(n_fft: usize, hop: usize, scale: &str) -> NodeTest {
        let call = NodeTest::new::<Spectrogram>().field("audio", wav(&two_tones())).field("scale", scale);
        call.field("n_fft", n_fft).field("hop", hop)
    }

    fn numbers(call: NodeTest) -> ndarray::Array2<f32> {
        let done = call.run().unwrap();
        let map = done.outputs["output"].as_map().unwrap();
        let Some(Value::Bytes(data)) = map.get("value") else { panic!("no bytes") };
        let shape: Vec<usize> = map["shape"].as_list().unwrap().iter().map(|n| n.as_i64().unwrap() as usize).collect();
        let tensor = Tensor::new(DType::F32, shape, data.clone()).unwrap();
        tensor.to_array_f32().unwrap().into_dimensionality().unwrap()
    }

    /// Expectations from librosa 0.11: `abs(stft(y, n_fft=16, hop_length=8, window=…, center=…))`.
    #[test]
    fn magnitudes_agree_with_librosa() {
        let centred = numbers(call(16, 8, "magnitude"));
        assert_eq!(centred.dim(), (9, 9));
        close(
            &centred.column(0).to_vec(),
            &[2.134322, 2.160065, 1.8195095, 1.0094721, 0.4422079, 0.46776152, 0.38249007, 0.16439459, 0.03510763],
            1e-5,
        );
        close(
            &centred.column(3).to_vec(),
            &[0.362_876_6, 2.707458, 3.8548853, 1.3140593, 0.54713285, 1.2244471, 0.553473, 0.0024899, 0.00074254],
            1e-5,
        );
        let hamming = numbers(call(16, 8, "magnitude").field("window", "hamming").field("centred", false));
        assert_eq!(hamming.dim(), (9, 7));
        close(
            &hamming.column(1).to_vec(),
            &[0.27744514, 2.685727, 4.1085725, 1.1041087, 0.6339306, 1.2978325, 0.5012398, 0.00946401, 0.01281437],
            1e-5,
        );
        let blackman = numbers(call(16, 8, "magnitude").field("window", "blackman").field("centred", false));
        close(&blackman.column(1).to_vec()[..4], &[1.1723862, 2.5085757, 3.2668445, 1.3865273], 1e-5);
    }

    #[test]
    fn power_holds_the_energy_and_decibels_its_logarithm() {
        // Parseval: with a rectangular window, Σ|X|² over all n bins is n·Σx²; each inner bin stands for two.
        let power = numbers(call(64, 64, "power").field("window", "rectangular").field("centred", false));
        assert_eq!(power.dim(), (33, 1));
        let inner: f32 = power.iter().skip(1).take(31).sum();
        let energy: f32 = two_tones().samples.iter().map(|x| x * x).sum();
        assert!((2.0 * inner + power[[0, 0]] + power[[32, 0]] - 64.0 * energy).abs() < 0.05);
        let db = numbers(
            call(64, 64, "decibels").field("window", "rectangular").field("centred", false).field("range_db", 0),
        );
        for (db, power) in db.iter().zip(&power) {
            assert!((db - 10.0 * power.log10()).abs() < 1e-3);
        }
    }

    #[test]
    fn the_picture_has_the_tone_at_its_height() {
        // 1000 Hz of 8000: bin 16 of 0..=64 with n_fft 128, counted from below.
        let call = NodeTest::new::<Spectrogram>().field("audio", wav(&sine(1000.0, 0.5, 8000)));
        let done = call.field("n_fft", 128).field("hop", 64).field("colours", "gray").run().unwrap();
        let image = Image::decode(&done.blobs["image"]).unwrap().to_luma8();
        assert_eq!(image.dimensions(), (63, 65));
        let column: Vec<u8> = (0..65).map(|y| image.get_pixel(30, y).0[0]).collect();
        let brightest = column.iter().enumerate().max_by_key(|(_, v)| **v).unwrap();
        assert_eq!((brightest.0, *brightest.1 > 250), (64 - 16, true));
        assert!(column[0] < 20 && column[64] < 20, "{column:?}");
    }

    #[test]
    fn too_short_and_too_large_are_refused() {
        let text = |call: NodeTest| call.run().unwrap_err().message().to_owned();
        assert!(text(call(128, 8, "power").field("centred", false)).contains("64 samples, and a frame needs 128"));
        assert!(text(NodeTest::new::<Spectrogram>().field("audio", wav(&sound(1, &[])))).contains("0 samples"));
        assert!(text(call(1, 8, "power")).contains("between 2 and 65536"));
        assert!(text(call(16, 0, "power")).contains("`hop`"));
        let long = NodeTest::new::<Spectrogram>().field("audio", wav(&sound(1, &vec![0.0; 20_000])));
        assert!(text(long.field("n_fft", 65_536).field("hop", 1)).contains("more than"));
    }
}

//! Files in and out: Decode, Encode, Info.

use millwork_worker::convert::AudioBytes;
use millwork_worker::convert::audio::WavEncoding;
use millwork_worker::prelude::*;

use super::resample::resample;
use super::{db_of, peak, rms};

/// Decodes a sound file (WAV, FLAC, MP3 or Ogg Vorbis) to uncompressed WAV with 32-bit float samples.
///
/// A file that is cut short gives what can be decoded of it; Info tells whether that is so.
#[derive(Node)]
#[node("audio.Decode")]
pub(super) struct Decode {
    /// The file.
    audio: Audio,
}

/// The sound and its measures.
#[derive(Outputs)]
pub(super) struct Decoded {
    output: Audio,
    sample_rate: u32,
    channels: u32,
    duration_s: f64,
}

impl Run for Decode {
    type Output = Decoded;

    fn run(self, _: &Context) -> Result<Decoded> {
        let Audio { sample_rate, channels, .. } = self.audio;
        let duration_s = self.audio.seconds();
        Ok(Decoded { output: self.audio, sample_rate, channels: channels.into(), duration_s })
    }
}

/// How the samples of a WAV file are stored.
#[derive(Choice, Clone, Copy)]
pub(super) enum Encoding {
    Pcm16,
    Pcm24,
    Float32,
}

/// Writes a WAV file for players and other programs.
#[derive(Node)]
#[node("audio.Encode")]
pub(super) struct Encode {
    /// The sound.
    audio: Audio,
    /// 16-bit integers (read everywhere), 24-bit integers, or 32-bit floats (exact). Integers are rounded without dither,
    /// and what is louder than full scale is clipped.
    #[node(default = Encoding::Pcm16)]
    encoding: Encoding,
    /// Sample rate of the file, in hertz; left out, the sound's own.
    #[node(min = 1, max = 768_000)]
    sample_rate: Option<u32>,
}

impl Run for Encode {
    type Output = AudioBytes;

    fn run(self, cx: &Context) -> Result<AudioBytes> {
        let rate = self.sample_rate.unwrap_or(self.audio.sample_rate);
        let encoding = match self.encoding {
            Encoding::Pcm16 => WavEncoding::Pcm16,
            Encoding::Pcm24 => WavEncoding::Pcm24,
            Encoding::Float32 => WavEncoding::Float32,
        };
        Ok(AudioBytes(resample(self.audio, rate, cx)?.to_wav(encoding)?))
    }
}

/// Tells what a sound file is: format, length and loudness.
#[derive(Node)]
#[node("audio.Info")]
pub(super) struct Info {
    /// The file.
    audio: AudioBytes,
}

/// What there is to know.
#[derive(Outputs)]
pub(super) struct Facts {
    /// `wave`, `flac`, `ogg`, `mp3`.
    container: String,
    /// `pcm_s16le`, `flac`, `vorbis`, `mp3` and so on.
    codec: String,
    sample_rate: u32,
    channels: u32,
    duration_s: f64,
    /// Bits a sample; nil where the codec has no such thing.
    bits: Option<u32>,
    /// Largest magnitude in dBFS, −200 for silence.
    peak_db: f64,
    /// RMS level over all channels in dBFS, −200 for silence.
    rms_db: f64,
    /// What is wrong with the file; nil where it is whole.
    damage: Option<String>,
}

impl Run for Info {
    type Output = Facts;

    fn run(self, _: &Context) -> Result<Facts> {
        let (audio, info) = Audio::decode_with_info(self.audio.0)?;
        Ok(Facts {
            container: info.container,
            codec: info.codec,
            sample_rate: audio.sample_rate,
            channels: audio.channels.into(),
            duration_s: audio.seconds(),
            bits: info.bits,
            peak_db: db_of(peak(&audio.samples)),
            rms_db: db_of(rms(&audio.samples)),
            damage: info.damage,
        })
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{heard, sine, sound, wav};
    use super::*;

    const FLAC: &[u8] = include_bytes!("../../../worker/tests/audio/tone.flac");

    #[test]
    fn a_file_becomes_sound_with_its_measures() {
        let done = NodeTest::new::<Decode>().blob("audio", FLAC).run().unwrap();
        let audio = heard(&done);
        assert_eq!((audio.channels, audio.sample_rate, audio.frames()), (2, 16_000, 3200));
        assert_eq!(done.outputs["sample_rate"], Value::Int(16_000));
        assert_eq!(done.outputs["channels"], Value::Int(2));
        assert_eq!(done.outputs["duration_s"], Value::Float(0.2));
        let error = NodeTest::new::<Decode>().blob("audio", &b"hello, this is text"[..]).run().unwrap_err();
        assert!(error.message().starts_with("field `audio`: not a sound file"), "{error}");
    }

    #[test]
    fn encoding_rounds_clips_and_resamples() {
        let call = NodeTest::new::<Encode>().field("audio", wav(&sound(1, &[0.5, 2.0, -2.0])));
        let file = call.run().unwrap().blobs["output"].clone();
        let (audio, info) = Audio::decode_with_info(file).unwrap();
        assert_eq!((info.codec.as_str(), audio.samples), ("pcm_s16le", vec![0.5, 32_767.0 / 32_768.0, -1.0]));
        let call = NodeTest::new::<Encode>().field("audio", wav(&sine(100.0, 0.5, 8000)));
        let done = call.field("encoding", "pcm24").field("sample_rate", 16_000).run().unwrap();
        let (audio, info) = Audio::decode_with_info(done.blobs["output"].clone()).unwrap();
        assert_eq!((info.codec.as_str(), audio.sample_rate, audio.frames()), ("pcm_s24le", 16_000, 8000));
        let error = NodeTest::new::<Encode>().field("audio", wav(&sound(1, &[]))).field("encoding", "mp3").run();
        assert_eq!(
            error.unwrap_err().message(),
            "field `encoding`: expected one of pcm16, pcm24, float32, got \"mp3\""
        );
    }

    #[test]
    fn info_of_a_known_file() {
        let done = NodeTest::new::<Info>().blob("audio", FLAC).run().unwrap();
        let number = |slot: &str| done.outputs[slot].as_f64().unwrap();
        assert_eq!(done.outputs["codec"], Value::from("flac"));
        assert_eq!((number("sample_rate"), number("channels"), number("bits")), (16_000.0, 2.0, 16.0));
        assert_eq!(done.outputs["damage"], Value::Nil);
        // Amplitudes 0.5 and 0.25: the peak is half of full scale; the mean square is (0.5²/2 + 0.25²/2)/2 = 0.078125.
        assert!((number("peak_db") + 6.0206).abs() < 1e-3 && (number("rms_db") + 11.0721).abs() < 1e-3, "{done:?}");
        let cut = NodeTest::new::<Info>().blob("audio", &FLAC[..FLAC.len() - 500]).run().unwrap();
        assert!(cut.outputs["damage"].as_str().is_some());
        let silent = NodeTest::new::<Info>().field("audio", wav(&sound(1, &[]))).run().unwrap();
        assert_eq!(silent.outputs["peak_db"], Value::Float(-200.0));
    }
}

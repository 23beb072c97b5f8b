//! Sound: any file decoded to floating point samples within limits; written as WAV. What is done with it is in the nodes.

use std::io::Cursor;

use bytes::Bytes;
use hound::{SampleFormat, WavSpec, WavWriter};
use millwork_protocol::metadata::TypeMetadata;
use millwork_protocol::{Value, map};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::{Asset, FromWire, IntoWire, Reading, Writing};
use crate::{Error, Result, ResultExt};

/// Most samples of one sound, over all channels: 1 GiB as `f32`, 46 minutes of 48 kHz stereo.
pub const MAX_SAMPLES: usize = 1 << 28;
/// Most channels: the speaker positions of a WAV file.
pub const MAX_CHANNELS: u16 = 18;
/// Highest sample rate, in hertz.
pub const MAX_SAMPLE_RATE: u32 = 768_000;

/// Sound as samples; full scale is −1 to 1, and louder samples are kept as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Interleaved: all channels of the first frame, then of the second.
    pub samples: Vec<f32>,
    /// Channels, 1 to [`MAX_CHANNELS`].
    pub channels: u16,
    /// Frames a second, 1 to [`MAX_SAMPLE_RATE`].
    pub sample_rate: u32,
}

/// What a file says of the sound in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioInfo {
    /// The container: `wave`, `flac`, `ogg`, `mp3`.
    pub container: String,
    /// The codec: `pcm_s16le`, `flac`, `vorbis`, `mp3`.
    pub codec: String,
    /// Bits a sample, where the codec has such a thing.
    pub bits: Option<u32>,
    /// What was wrong with the file, where part of it could not be decoded.
    pub damage: Option<String>,
}

/// How samples stand in a WAV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WavEncoding {
    /// 16-bit integers: every player and library reads them.
    Pcm16,
    /// 24-bit integers.
    Pcm24,
    /// 32-bit floats: exact, and louder than full scale is kept.
    Float32,
}

impl Audio {
    /// Sound of samples that are already there.
    ///
    /// # Errors
    /// `invalid_input` where channels or sample rate are out of range, the last frame is not whole, there are more than
    /// [`MAX_SAMPLES`], or one is not a finite number.
    pub fn new(samples: Vec<f32>, channels: u16, sample_rate: u32) -> Result<Self> {
        let audio = Self { samples, channels, sample_rate };
        audio.check()?;
        Ok(audio)
    }

    /// Checks what [`Audio::new`] does.
    ///
    /// # Errors
    /// As there.
    pub fn check(&self) -> Result<()> {
        let Self { samples, channels, sample_rate } = self;
        check_format(usize::from(*channels), *sample_rate)?;
        check_size(samples.len())?;
        if samples.len() % usize::from(*channels) != 0 {
            return Err(Error::invalid(format!(
                "{} samples are no whole frames of {channels} channels",
                samples.len()
            )));
        }
        match samples.iter().position(|x| !x.is_finite()) {
            Some(i) => Err(Error::invalid(format!(
                "the sound has a sample that is {} (frame {}): repair it where it was made",
                samples.get(i).copied().unwrap_or(f32::NAN),
                i / usize::from(*channels)
            ))),
            None => Ok(()),
        }
    }

    /// Samples a channel.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.channels.max(1))
    }

    /// Length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate.max(1))
    }

    /// The samples of one channel, counted from 0.
    pub fn channel(&self, channel: u16) -> impl Iterator<Item = f32> + '_ {
        self.samples.iter().skip(usize::from(channel)).step_by(usize::from(self.channels.max(1))).copied()
    }

    /// Decodes WAV, FLAC, MP3 or Ogg Vorbis.
    ///
    /// # Errors
    /// As [`Audio::decode_with_info`].
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self> {
        let (audio, info) = Self::decode_with_info(bytes)?;
        if let Some(damage) = info.damage {
            tracing::warn!(damage, seconds = audio.seconds(), "a damaged sound file was decoded as far as it goes");
        }
        Ok(audio)
    }

    /// Decodes WAV, FLAC, MP3 or Ogg Vorbis, and says what the file was. A file that is cut short or damaged in places
    /// gives what can be decoded, as players do; [`AudioInfo::damage`] tells. Memory grows with what is decoded, never
    /// with what a header claims.
    ///
    /// # Errors
    /// `invalid_input` where it is none of these, nothing in it can be decoded, or as [`Audio::new`].
    pub fn decode_with_info(bytes: impl Into<Bytes>) -> Result<(Self, AudioInfo)> {
        let bytes: Bytes = bytes.into();
        // The parsers check most of what a file claims, but not that all of their sums stay in range.
        crate::contain(|| Self::read(bytes))
            .unwrap_or_else(|panic| Err(Error::invalid(format!("the sound file is damaged: {}", panic.message))))
    }

    fn read(bytes: Bytes) -> Result<(Self, AudioInfo)> {
        let seen = super::image::describe(&bytes);
        let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
        let mut format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
            .invalid(format!("not a sound file: {seen}; WAV, FLAC, MP3 and Ogg Vorbis are read"))?;
        let container = format.format_info().short_name.to_owned();
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| Error::invalid(format!("the {container} file has no sound in it")))?;
        let track_id = track.id;
        let params = track.codec_params.as_ref().and_then(|params| params.audio());
        let params = params.ok_or_else(|| Error::invalid(format!("the {container} file does not name its codec")))?;
        let codecs = symphonia::default::get_codecs();
        let codec = codecs.get_audio_decoder(params.codec).map(|found| found.codec.info.short_name.to_owned());
        let codec = codec.ok_or_else(|| Error::invalid(format!("the {container} file's codec is not supported")))?;
        let mut decoder = codecs
            .make_audio_decoder(params, &AudioDecoderOptions::default())
            .invalid(format!("cannot decode {codec}"))?;
        let (bits, claimed) = (params.bits_per_sample, track.num_frames.unwrap_or(0));

        // What the header says, until the first packet tells.
        let mut channels = params.channels.as_ref().map_or(0, |channels| channels.count());
        let mut sample_rate = params.sample_rate.unwrap_or(0);
        check_format_if_known(channels, sample_rate)?;
        let (mut samples, mut chunk) = (Vec::new(), Vec::new());
        let mut damage = None;
        loop {
            let packet = match format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error) => {
                    damage = Some(format!("it ends early: {error}"));
                    break;
                }
            };
            if packet.track_id != track_id {
                continue;
            }
            let decoded = match decoder.decode(&packet) {
                Ok(decoded) => decoded,
                // The next packet may be fine again.
                Err(error @ (SymphoniaError::DecodeError(_) | SymphoniaError::IoError(_))) => {
                    damage.get_or_insert_with(|| format!("parts of it were left out: {error}"));
                    continue;
                }
                Err(error) => {
                    damage = Some(format!("it ends early: {error}"));
                    break;
                }
            };
            let spec = decoded.spec();
            if samples.is_empty() {
                (channels, sample_rate) = (spec.channels().count(), spec.rate());
                check_format(channels, sample_rate)?;
            } else if (channels, sample_rate) != (spec.channels().count(), spec.rate()) {
                damage = Some("its sample rate or its channels change on the way; the part before is taken".to_owned());
                break;
            }
            check_size(samples.len() + decoded.frames() * channels)?;
            decoded.copy_to_vec_interleaved::<f32>(&mut chunk);
            samples.extend_from_slice(&chunk);
        }
        let found = samples.len() / channels.max(1);
        if damage.is_none() && (found as u64) < claimed {
            damage = Some(format!("it ends early: {found} of {claimed} frames are there"));
        }
        if let (true, Some(damage)) = (samples.is_empty(), &damage) {
            return Err(Error::invalid(format!("nothing in the {container} file could be decoded: {damage}")));
        }
        check_format(channels, sample_rate)?;
        let audio = Self::new(samples, channels as u16, sample_rate)?;
        Ok((audio, AudioInfo { container, codec, bits, damage }))
    }

    /// The sound as a WAV file. Integers are rounded, without dither, and clipped at full scale.
    ///
    /// # Errors
    /// As [`Audio::check`].
    pub fn to_wav(&self, encoding: WavEncoding) -> Result<Bytes> {
        self.check()?;
        let (bits, sample_format) = match encoding {
            WavEncoding::Pcm16 => (16, SampleFormat::Int),
            WavEncoding::Pcm24 => (24, SampleFormat::Int),
            WavEncoding::Float32 => (32, SampleFormat::Float),
        };
        let spec =
            WavSpec { channels: self.channels, sample_rate: self.sample_rate, bits_per_sample: bits, sample_format };
        let mut file = Cursor::new(Vec::with_capacity(self.samples.len() * usize::from(bits / 8) + 68));
        let mut writer = WavWriter::new(&mut file, spec)?;
        let full = f64::from(1 << (bits.min(31) - 1));
        for sample in &self.samples {
            match encoding {
                WavEncoding::Float32 => writer.write_sample(*sample)?,
                _ => writer.write_sample((f64::from(*sample) * full).round().clamp(-full, full - 1.0) as i32)?,
            }
        }
        writer.finalize()?;
        Ok(file.into_inner().into())
    }
}

/// The header may leave out what the first packet tells.
fn check_format_if_known(channels: usize, sample_rate: u32) -> Result<()> {
    check_format(channels.max(1), sample_rate.max(1))
}

fn check_format(channels: usize, sample_rate: u32) -> Result<()> {
    if !(1..=usize::from(MAX_CHANNELS)).contains(&channels) {
        return Err(Error::invalid(format!("the sound has {channels} channels; 1 to {MAX_CHANNELS} are possible")));
    }
    if !(1..=MAX_SAMPLE_RATE).contains(&sample_rate) {
        return Err(Error::invalid(format!(
            "the sound has a sample rate of {sample_rate} Hz; 1 to {MAX_SAMPLE_RATE} are possible"
        )));
    }
    Ok(())
}

/// Checks how many samples, over all channels, a sound is about to have.
///
/// # Errors
/// `invalid_input` where there would be more than [`MAX_SAMPLES`].
pub fn check_size(samples: usize) -> Result<()> {
    if samples <= MAX_SAMPLES {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the sound would have {samples} samples over all channels, more than the {MAX_SAMPLES} that fit in 1 GiB; cut it"
    )))
}

impl FromWire for Audio {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::audio()
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        Self::decode(Asset::read(value, "audio", reading)?.bytes)
    }
}

impl IntoWire for Audio {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::audio()
    }

    /// As WAV with 32-bit floats: a chain of nodes then loses nothing between them and a level above full scale can
    /// still be brought down. It takes twice the bytes of 16-bit files; `audio.Encode` makes those for players.
    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        let mut map = writing.media("audio", self.to_wav(WavEncoding::Float32)?);
        map.insert(
            "metadata".to_owned(),
            Value::Map(map! {
                "sample_rate" => self.sample_rate,
                "channels" => u32::from(self.channels),
                "duration" => self.seconds(),
            }),
        );
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAV: &[u8] = include_bytes!("../../tests/audio/tone.wav");
    const FLAC: &[u8] = include_bytes!("../../tests/audio/tone.flac");
    const MP3: &[u8] = include_bytes!("../../tests/audio/tone.mp3");
    const OGG: &[u8] = include_bytes!("../../tests/audio/tone.ogg");

    fn decode(bytes: &[u8]) -> Result<(Audio, AudioInfo)> {
        Audio::decode_with_info(bytes.to_vec())
    }

    /// The amplitude of one frequency, over whole periods away from the ends.
    fn amplitude(audio: &Audio, channel: u16, hertz: f64) -> f64 {
        let middle: Vec<f64> = audio.channel(channel).skip(800).take(1600).map(f64::from).collect();
        let (mut re, mut im) = (0.0, 0.0);
        for (i, x) in middle.iter().enumerate() {
            let angle = std::f64::consts::TAU * hertz * i as f64 / f64::from(audio.sample_rate);
            re += x * angle.cos();
            im += x * angle.sin();
        }
        2.0 * re.hypot(im) / middle.len() as f64
    }

    #[test]
    fn files_of_real_encoders_are_decoded() {
        // The MP3 encoder scales by 0.95; ffmpeg decodes the same amplitudes from it.
        for (bytes, container, codec, bits, scale, tolerance) in [
            (WAV, "wave", "pcm_s16le", Some(16), 1.0, 1e-4),
            (FLAC, "flac", "flac", Some(16), 1.0, 1e-4),
            (MP3, "mp3", "mp3", None, 0.95, 1e-3),
            (OGG, "ogg", "vorbis", None, 1.0, 0.01),
        ] {
            let (audio, info) = decode(bytes).unwrap();
            assert_eq!((info.container.as_str(), info.codec.as_str()), (container, codec));
            assert_eq!((info.bits, info.damage), (bits, None), "{codec}");
            assert_eq!((audio.channels, audio.sample_rate, audio.frames()), (2, 16_000, 3200), "{codec}");
            for (channel, hertz, expected) in [(0, 500.0, 0.5), (1, 1000.0, 0.25), (0, 1000.0, 0.0), (1, 500.0, 0.0)] {
                let found = amplitude(&audio, channel, hertz);
                assert!((found - scale * expected).abs() < tolerance, "{codec} {channel} {hertz}: {found}");
            }
        }
        assert_eq!(decode(WAV).unwrap().0, decode(FLAC).unwrap().0, "FLAC loses nothing");
    }

    #[test]
    fn wav_goes_there_and_back() {
        let loud = Audio::new(vec![0.0, 1.5, -2.0, 0.1, 1e-6, -1.0], 2, 44_100).unwrap();
        let back = |encoding| decode(&loud.to_wav(encoding).unwrap()).unwrap();
        let (exact, info) = back(WavEncoding::Float32);
        assert_eq!((&exact, info.codec.as_str()), (&loud, "pcm_f32le"));
        let top = 32_767.0 / 32_768.0;
        assert_eq!(back(WavEncoding::Pcm16).0.samples, [0.0, top, -1.0, 3277.0 / 32_768.0, 0.0, -1.0]);
        let (fine, info) = back(WavEncoding::Pcm24);
        assert_eq!((fine.samples[3], fine.samples[4]), (838_861.0 / 8_388_608.0, 8.0 / 8_388_608.0));
        assert_eq!(info.bits, Some(24));
        // 16-bit values survive as they are.
        let wav = Audio::decode(WAV).unwrap();
        assert_eq!(Audio::decode(wav.to_wav(WavEncoding::Pcm16).unwrap()).unwrap(), wav);
        for channels in [1, 3, 8, MAX_CHANNELS] {
            let many = Audio::new((0..channels * 5).map(f32::from).collect(), channels, 8000).unwrap();
            assert_eq!(Audio::decode(many.to_wav(WavEncoding::Float32).unwrap()).unwrap(), many, "{channels} channels");
        }
        let silent = Audio::new(Vec::new(), 1, 8000).unwrap();
        assert_eq!(Audio::decode(silent.to_wav(WavEncoding::Float32).unwrap()).unwrap(), silent);
    }

    #[test]
    fn what_is_cut_short_is_decoded_as_far_as_it_goes() {
        for bytes in [WAV, FLAC, MP3, OGG] {
            let whole = decode(bytes).unwrap().0;
            // At every length: an error or a part, never a panic, never more than there is.
            for len in (0..bytes.len()).step_by(97) {
                if let Ok((part, _)) = decode(&bytes[..len]) {
                    assert!(part.frames() <= whole.frames() + 1152 && part.channels == 2, "{len}");
                }
            }
        }
        let (half, info) = decode(&WAV[..44 + 6400]).unwrap();
        assert_eq!(half.samples, Audio::decode(WAV).unwrap().samples[..3200]);
        assert!(info.damage.is_some());
        assert!(decode(&FLAC[..FLAC.len() - 100]).unwrap().1.damage.is_some());
        let error = decode(&FLAC[..60]).unwrap_err();
        assert_eq!(*error.kind(), crate::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        let text = |bytes: &[u8]| decode(bytes).unwrap_err().message().to_owned();
        assert!(text(b"").starts_with("not a sound file: it has no bytes"), "{}", text(b""));
        let png = text(b"\x89PNG\r\n\x1a\n and so on, and so on");
        assert!(png.contains("begin 89504e47") && png.contains("WAV, FLAC, MP3 and Ogg Vorbis are read"), "{png}");
        let noise: Vec<u8> = (0u32..20_000).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        if let Ok((audio, info)) = decode(&noise) {
            // Noise may hold what looks like a sync word; it must not pass as a healthy file.
            assert!(info.damage.is_some(), "{audio:?}");
        }
    }

    /// A header of a 16-bit WAV file with these claims, and a few bytes of sound.
    fn wav_claiming(channels: u16, sample_rate: u32, size: u32) -> Vec<u8> {
        let mut wav = b"RIFF".to_vec();
        wav.extend(size.to_le_bytes());
        wav.extend(b"WAVEfmt \x10\0\0\0\x01\0");
        wav.extend(channels.to_le_bytes());
        wav.extend(sample_rate.to_le_bytes());
        let align = channels.wrapping_mul(2);
        wav.extend(sample_rate.wrapping_mul(align.into()).to_le_bytes());
        wav.extend(align.to_le_bytes());
        wav.extend(b"\x10\0data");
        wav.extend(size.saturating_sub(36).to_le_bytes());
        wav.extend([0, 0x40, 0, 0xc0]);
        wav
    }

    #[test]
    fn absurd_headers_cost_nothing() {
        // 4 GB announced, two samples there: also what a program writes that streams a WAV file.
        let (audio, info) = decode(&wav_claiming(1, 8000, u32::MAX)).unwrap();
        assert_eq!(audio.samples, [0.5, -0.5]);
        assert!(info.damage.is_some());
        for (channels, rate, word) in [(0, 8000, ""), (65_535, 8000, ""), (1, 0, ""), (1, u32::MAX, "sample rate")] {
            let error = decode(&wav_claiming(channels, rate, 40)).unwrap_err();
            assert_eq!(*error.kind(), crate::ErrorKind::InvalidInput, "{channels} {rate}");
            assert!(error.message().contains(word), "{error}");
        }
    }

    #[test]
    fn samples_are_finite_and_whole_frames() {
        let text = |samples, channels, rate| Audio::new(samples, channels, rate).unwrap_err().message().to_owned();
        assert!(text(vec![0.0, 0.0, f32::NAN, 0.0], 2, 8000).contains("NaN (frame 1)"));
        assert!(text(vec![0.0; 3], 2, 8000).contains("no whole frames"));
        assert!(text(vec![], 0, 8000).contains("0 channels"));
        assert!(text(vec![], 1, 0).contains("sample rate of 0"));
        assert!(check_size(MAX_SAMPLES + 1).is_err() && check_size(MAX_SAMPLES).is_ok());
        let mut wav = Audio::new(vec![0.25], 1, 8000).unwrap().to_wav(WavEncoding::Float32).unwrap().to_vec();
        let at = wav.len() - 4;
        wav[at..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(decode(&wav).unwrap_err().message().contains("a sample that is inf"));
    }
}

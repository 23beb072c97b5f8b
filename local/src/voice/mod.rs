//! `tts` and `tts_encoded`: text as speech, by the voices of Piper. `config` reads what lies beside a voice, `clauses` and
//! `phonemes` make phonemes of a text, `speaker` makes sound of those.

mod clauses;
mod config;
mod phonemes;
mod speaker;

use std::fs;
use std::path::Path;

use bytes::Bytes;
use millwork_nodes::audio::resample_with;
use millwork_worker::convert::audio::{WavEncoding, check_size};
use millwork_worker::prelude::*;
use millwork_worker::{Answer, Call};

use crate::find::Found;
use crate::{Kind, LocalModel};
use config::Config;
use speaker::Speaker;

/// Frames a second of the chunks of `tts`.
const STREAM_RATE: u32 = 24_000;
/// Bytes of one text.
const MOST_TEXT: usize = 1 << 20;
/// How fast and how slow a voice may speak.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.25..=4.0;

/// The voices of one folder, called by their files' names without `.onnx` behind `prefix`.
pub(crate) fn find(folder: &Path, prefix: &str) -> Found {
    let mut found = Found::default();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(config::SUFFIX)?.to_owned()))
        .filter(|name| !name.is_empty() && !name.starts_with('.'))
        .collect();
    names.sort();
    for name in names {
        let path = folder.join(format!("{name}.onnx"));
        match Config::read(&path) {
            Ok(_) => {
                let id = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                let architecture = "VITS (Piper)".to_owned();
                found.models.push(LocalModel { id, path, kind: Kind::Voice, architecture, is_in_hub: false });
            }
            Err(problem) => found.problems.push(problem),
        }
    }
    found
}

/// Whether it can speak here: most voices need espeak-ng.
pub(crate) fn is_ready(model: &LocalModel) -> bool {
    phonemes::is_installed() || Config::read(&model.path).is_ok_and(|config| config.espeak.is_none())
}

/// What `provider.models` tells of a voice beside the rest.
pub(crate) fn details(model: &LocalModel) -> Map {
    let Ok(config) = Config::read(&model.path) else { return Map::new() };
    let voices = config.speakers().into_iter().map(Value::from).collect();
    map! { "language" => config.language(), "voices" => Value::List(voices), "sample_rate" => config.sample_rate }
}

/// What is wanted of a voice.
#[derive(Debug)]
struct Wish {
    text: String,
    voice: String,
    speed: f32,
    language: Option<String>,
}

impl Wish {
    fn read(call: &Call<'_>) -> Result<Self> {
        for name in ["reference_audio", "reference_text"] {
            let is_given = |value: &&Value| value.as_str() != Some("") && value.as_bytes() != Some(&[]);
            if call.param(name).filter(is_given).is_some() {
                let text =
                    format!("`{name}` is for models that clone voices, and voices of Piper do not: leave it out");
                return Err(Error::invalid(text));
            }
        }
        if text(call, "instructions")?.is_some_and(|text| !text.is_empty()) {
            tracing::warn!("`instructions` is ignored: voices of Piper take none");
        }
        let said = text(call, "text")?.unwrap_or_default();
        if said.trim().is_empty() {
            return Err(Error::invalid("`text` is empty: there is nothing to speak"));
        }
        if said.len() > MOST_TEXT {
            return Err(Error::invalid(format!("`text` has {} bytes, and may have {MOST_TEXT}: cut it", said.len())));
        }
        let voice = match call.param("voice") {
            Some(Value::Int(number)) => number.to_string(),
            _ => text(call, "voice")?.unwrap_or_default(),
        };
        let speed = match call.param("speed") {
            None => 1.0,
            Some(value) => value.as_f64().filter(|speed| SPEEDS.contains(speed)).ok_or_else(|| {
                Error::invalid(format!("`speed` must be a number from {} to {}", SPEEDS.start(), SPEEDS.end()))
            })?,
        };
        let language = text(call, "language")?.filter(|language| !language.is_empty());
        Ok(Self { text: said, voice, speed: speed as f32, language })
    }

    fn speaker(&self, model: &LocalModel, cx: &Context) -> Result<Speaker> {
        // Hosts that know one voice a model send the model's name.
        let voice = if self.voice == model.id || self.voice == model.name() { "" } else { &self.voice };
        let speaker = Speaker::load(model, voice, self.speed, cx)?;
        let config = speaker.config();
        match &self.language {
            Some(language) if !config.speaks(language) => {
                let own = config.language();
                let own = if own.is_empty() { "one language only" } else { own };
                let text =
                    format!("`language` is {language:?}, and the voice {:?} speaks {own}: choose another", model.id);
                Err(Error::invalid(text))
            }
            _ => Ok(speaker),
        }
    }
}

fn text(call: &Call<'_>, name: &str) -> Result<Option<String>> {
    match call.param(name) {
        None => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text.clone())),
        Some(other) => Err(Error::invalid(format!("`{name}` must be a text, and is {}", other.type_name()))),
    }
}

/// Answers `provider.tts`: a chunk a sentence, as 16-bit integers, little-endian, mono, 24 kHz.
pub(crate) fn stream(model: &LocalModel, call: &Call<'_>, chunk: &mut dyn FnMut(Map) -> Result<()>) -> Result<Answer> {
    let (wish, cx) = (Wish::read(call)?, call.context);
    wish.speaker(model, cx)?.speak(&wish.text, cx, |sentence| {
        let pcm = pcm(&resample_with(sentence, STREAM_RATE, |_, _| cx.check())?);
        chunk(map! { "blobs" => map! { "audio" => pcm } })
    })?;
    Ok(Answer::done())
}

/// Answers `provider.tts_encoded`: a WAV file of 16-bit integers, mono, at the voice's own rate.
pub(crate) fn encoded(model: &LocalModel, call: &Call<'_>) -> Result<Answer> {
    let wish = Wish::read(call)?;
    let speech = whole(&wish.speaker(model, call.context)?, &wish.text, call.context)?;
    Ok(Answer::blob("audio", speech.to_wav(WavEncoding::Pcm16)?))
}

/// All sentences in one sound.
fn whole(speaker: &Speaker, text: &str, cx: &Context) -> Result<Audio> {
    let mut samples = Vec::new();
    speaker.speak(text, cx, |sentence| {
        check_size(samples.len() + sentence.samples.len())?;
        samples.extend(sentence.samples);
        Ok(())
    })?;
    Audio::new(samples, 1, speaker.sample_rate())
}

/// What a node asks for: a voice's id, a text, a speaker and a speed.
pub(crate) fn say(model: &LocalModel, text: &str, voice: &str, speed: f64, cx: &Context) -> Result<Audio> {
    let data = map! { "text" => text, "voice" => voice, "speed" => speed };
    let call = Call { kind: "tts", data, context: cx };
    let wish = Wish::read(&call)?;
    whole(&wish.speaker(model, cx)?, &wish.text, cx)
}

/// Samples as 16-bit integers, clipped at full scale.
fn pcm(audio: &Audio) -> Bytes {
    let full = f32::from(i16::MAX);
    audio.samples.iter().flat_map(|x| ((x * full).round().clamp(-full, full) as i16).to_le_bytes()).collect()
}

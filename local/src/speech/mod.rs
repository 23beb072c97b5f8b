//! `asr`: what is said in a sound, by Whisper. Its files are read by `files`, its sound by `mel`; `recogniser` puts the parts
//! together.

mod decode;
mod decoder;
mod files;
mod language;
mod mel;
mod recogniser;
mod rules;
mod vocabulary;
mod windows;

use std::path::Path;

use millwork_worker::convert::Reading;
use millwork_worker::prelude::*;

pub use mel::{FRAMES_A_SECOND, SAMPLE_RATE, Spectrum};
pub use recogniser::{Recogniser, Request, Segment, Transcript};

use crate::{LocalModel, Problem};

/// What is made of what is said.
#[derive(Choice, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// Written down in the language that is spoken.
    #[default]
    Transcribe,
    /// Written down in English.
    Translate,
}

/// The highest temperature that still gives words.
pub(crate) const HOTTEST: f64 = 2.0;

/// Whether a model of this architecture is a recogniser.
pub(crate) fn is_recogniser(architecture: &str) -> bool {
    architecture == "WhisperForConditionalGeneration"
}

/// Whether the files of a recogniser are all there and can be used.
pub(crate) fn check(folder: &Path) -> Result<(), Problem> {
    files::Files::read(folder).map(drop)
}

/// Answers `provider.asr`: `{text, chunks: [{timestamp: [start, end], text}], language}`, times in seconds.
pub(crate) fn call(model: &LocalModel, mut data: Map, cx: &Context) -> Result<Map> {
    let request = request(&data)?;
    let has_chunks = !request.without_timestamps;
    let audio = data.shift_remove("audio").filter(|audio| !audio.is_nil());
    let audio = audio.ok_or_else(|| Error::invalid("`audio` must be the bytes of a sound file"))?;
    let audio = Audio::from_wire(audio, &Reading::new(cx.workspace())).invalid("`audio`")?;
    let transcript = Recogniser::load(model, cx)?.transcribe(audio, &request, cx)?;
    let mut answer = map! { "text" => transcript.text };
    if has_chunks {
        let chunks = transcript.segments.into_iter().map(|segment| Value::Map(segment.into_map()));
        answer.insert("chunks".to_owned(), Value::List(chunks.collect()));
    }
    if let Some(language) = transcript.language {
        answer.insert("language".to_owned(), language.into());
    }
    Ok(answer)
}

impl Segment {
    /// As a chunk of `provider.asr`.
    pub(crate) fn into_map(self) -> Map {
        map! { "timestamp" => Value::List(vec![self.start.into(), self.end.into()]), "text" => self.text }
    }
}

fn request(data: &Map) -> Result<Request> {
    let given = |name: &str| data.get(name).filter(|value| !value.is_nil());
    let text = |name: &str| {
        let wrong = || Error::invalid(format!("`{name}` must be a text"));
        given(name).map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).transpose()
    };
    let flag = |name: &str, default: bool| {
        let wrong = || Error::invalid(format!("`{name}` must be true or false"));
        given(name).map_or(Ok(default), |value| value.as_bool().ok_or_else(wrong))
    };
    if flag("word_timestamps", false)? {
        return Err(Error::invalid(
            "`word_timestamps` is not supported: exported models do not tell when each word is said. Leave it out: `chunks` \
             have the times of sentences",
        ));
    }
    let task = match text("task")?.as_deref() {
        None | Some("transcribe") => Task::Transcribe,
        Some("translate") => Task::Translate,
        Some(other) => return Err(Error::invalid(format!("`task` is {other:?}; it may be transcribe or translate"))),
    };
    Ok(Request {
        language: text("language")?,
        task,
        prompt: text("prompt")?,
        temperature: given("temperature").map(temperature).transpose()?,
        without_timestamps: !flag("timestamps", true)?,
    })
}

fn temperature(value: &Value) -> Result<f32> {
    let given = value.as_f64().filter(|number| (0.0..=HOTTEST).contains(number)).map(|number| number as f32);
    given.ok_or_else(|| Error::invalid(format!("`temperature` must be a number from 0 to {HOTTEST}")))
}

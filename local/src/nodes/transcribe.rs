//! `audio.Transcribe`: what is said in a sound. How it is heard is `crate::speech`'s.

use millwork_worker::prelude::*;

use crate::Kind;
use crate::speech::{Recogniser, Request, Segment, Task};

/// Writes down what is said in a sound, with a Whisper model on this machine.
#[derive(Node)]
#[node("audio.Transcribe")]
pub(crate) struct Transcribe {
    /// The model.
    #[node(model = "asr_model")]
    model: ModelRef,
    /// The sound, of any length.
    audio: Audio,
    /// The language that is spoken: a code such as de, or an English name; left out, it is detected.
    #[node(default)]
    language: String,
    /// Written down in the language that is spoken, or in English.
    #[node(default = Task::Transcribe)]
    task: Task,
    /// What was said before, or names that will come, spelt right.
    #[node(default)]
    prompt: String,
    /// 0 takes the likeliest words, higher draws; left out, it draws only where the likeliest make no sense.
    #[node(min = 0, max = 2)]
    temperature: Option<f32>,
}

#[derive(Outputs)]
pub(crate) struct Transcribed {
    /// All that is said.
    text: String,
    /// Its parts, mostly sentences: `timestamp`, beginning and end in seconds, and `text`.
    chunks: Vec<Map>,
    /// The code of the language that is spoken; empty where nobody speaks.
    language: String,
}

impl Run for Transcribe {
    type Output = Transcribed;

    fn run(self, cx: &Context) -> Result<Transcribed> {
        let model = super::roots().locate(self.model.name(), Kind::Speech)?;
        let request = Request {
            language: Some(self.language),
            task: self.task,
            prompt: Some(self.prompt),
            temperature: self.temperature,
            without_timestamps: false,
        };
        let transcript = Recogniser::load(&model, cx)?.transcribe(self.audio, &request, cx)?;
        let chunks = transcript.segments.into_iter().map(Segment::into_map).collect();
        Ok(Transcribed { text: transcript.text, chunks, language: transcript.language.unwrap_or_default() })
    }
}

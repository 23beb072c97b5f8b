//! `audio.Speak`: a text as speech. How it is made is `crate::voice`'s.

use millwork_worker::prelude::*;

use crate::{Kind, voice};

/// Speaks a text with a voice of Piper on this machine, at the voice's own sample rate.
#[derive(Node)]
#[node("audio.Speak")]
pub(crate) struct Speak {
    /// The voice.
    #[node(model = "tts_model")]
    model: ModelRef,
    /// What it says.
    text: String,
    /// Which of its speakers, by name or number; left out, its first.
    #[node(default)]
    speaker: String,
    /// How fast: 1 is the voice's own speed, 2 twice as fast.
    #[node(default = 1.0, min = 0.25, max = 4.0)]
    speed: f64,
}

impl Run for Speak {
    type Output = Audio;

    fn run(self, cx: &Context) -> Result<Audio> {
        let model = super::roots().locate(self.model.name(), Kind::Voice)?;
        voice::say(&model, &self.text, &self.speaker, self.speed, cx)
    }
}

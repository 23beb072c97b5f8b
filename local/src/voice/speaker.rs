//! A loaded voice: text to phonemes, phonemes to ids, ids through the model (VITS, arXiv:2106.06103), sound out.

use indexmap::IndexMap;
use millwork_worker::convert::{Audio, Tensor};
use millwork_worker::onnx::Model;
use millwork_worker::{Context, Error, Result};

use super::clauses;
use super::config::Config;
use super::phonemes::Speller;
use crate::pace::Pace;
use crate::{LocalModel, onnx_file};

/// Phonemes that go through the model together: half a minute of speech. Its memory grows with their square.
const MOST_PHONEMES: usize = 400;
/// What is quieter is silence, and not made louder.
const SILENT: f32 = 1e-8;

/// A voice, ready to speak.
#[derive(Debug)]
pub(super) struct Speaker {
    config: Config,
    model: Model,
    /// Its number, where the model has several.
    number: Option<i64>,
    /// How long everything takes: the voice's own length divided by the speed.
    length_scale: f32,
}

impl Speaker {
    /// Loads it, or finds it in the worker's cache.
    ///
    /// # Errors
    /// Where its files are broken, and for a speaker that it does not have.
    pub(super) fn load(model: &LocalModel, voice: &str, speed: f32, cx: &Context) -> Result<Self> {
        let config = Config::read(&model.path)?;
        let number = config.speaker(voice)?;
        let model = onnx_file::load(&model.path, cx)?;
        let length_scale = config.length_scale / speed;
        Ok(Self { config, model, number, length_scale })
    }

    /// Frames a second of what it says.
    pub(super) fn sample_rate(&self) -> u32 {
        self.config.sample_rate
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Speaks a text: `hear` is given each sentence as it is made, mono, at most full scale.
    ///
    /// # Errors
    /// Where there is nothing to say, and as `hear`.
    pub(super) fn speak(&self, text: &str, cx: &Context, mut hear: impl FnMut(Audio) -> Result<()>) -> Result<()> {
        let speller = match &self.config.espeak {
            Some(voice) => Speller::espeak(voice, cx.cancel_token())?,
            None => Speller::Letters,
        };
        let pieces = clauses::pieces(text);
        let (pace, mut missing, mut is_silent) = (Pace::start(), Vec::new(), true);
        for block in clauses::blocks(text, &pieces) {
            let pieces = &pieces[block];
            let sentences = speller.sentences(text, pieces)?;
            let bytes =
                pieces.first().map_or(0, |first| first.bytes.start)..pieces.last().map_or(0, |last| last.bytes.end);
            let parts: Vec<&[char]> = sentences.iter().flat_map(|sentence| parts(sentence)).collect();
            for (i, part) in parts.iter().enumerate() {
                cx.check()?;
                let ids = self.config.ids(part, &mut missing);
                hear(self.sound(&ids)?)?;
                is_silent = false;
                let done = bytes.start + bytes.len() * (i + 1) / parts.len();
                pace.report(cx, done, text.len(), "speaking");
            }
        }
        if !missing.is_empty() {
            tracing::warn!(file = %self.config.path.display(), phonemes = missing.join(" "), "the voice has no such phonemes: left out");
        }
        if is_silent { Err(Error::invalid("there is nothing in `text` that can be spoken")) } else { Ok(()) }
    }

    /// One run of the model, made as loud as full scale allows, as Piper does.
    fn sound(&self, ids: &[i64]) -> Result<Audio> {
        let mut inputs = IndexMap::new();
        for input in &self.model.info().inputs {
            let tensor = match input.name.as_str() {
                "input" => Tensor::from_slice(&[1, ids.len()], ids),
                "input_lengths" => Tensor::from_slice(&[1], &[ids.len() as i64]),
                "scales" => {
                    let Config { noise_scale, noise_w, .. } = self.config;
                    Tensor::from_slice(&[3], &[noise_scale, self.length_scale, noise_w])
                }
                "sid" => Tensor::from_slice(&[1], &[self.number.unwrap_or(0)]),
                other => {
                    let text = format!("the model wants an input {other:?}, which voices of Piper do not have");
                    return Err(Error::unavailable(text).permanent());
                }
            };
            inputs.insert(input.name.clone(), tensor.map_err(Error::failed)?);
        }
        let output = self.model.run(&inputs)?.into_values().next();
        let output = output.ok_or_else(|| Error::failed("the model gives nothing"))?;
        let mut samples = output.to_array_f32()?.into_raw_vec_and_offset().0;
        let peak = samples.iter().fold(0f32, |peak, x| peak.max(x.abs()));
        if samples.iter().any(|x| !x.is_finite()) {
            return Err(Error::failed("the model gave a sound that is no numbers (NaN or infinite)"));
        }
        let gain = if peak < SILENT { 0.0 } else { 1.0 / peak };
        samples.iter_mut().for_each(|x| *x *= gain);
        Audio::new(samples, 1, self.config.sample_rate)
    }
}

/// A sentence in parts that the model can take, cut at blanks where there are any.
fn parts(sentence: &[char]) -> Vec<&[char]> {
    let (mut parts, mut rest) = (Vec::new(), sentence);
    while rest.len() > MOST_PHONEMES {
        let blank = rest[..MOST_PHONEMES].iter().rposition(|c| *c == ' ');
        let (part, others) = rest.split_at(blank.map_or(MOST_PHONEMES, |blank| blank + 1));
        parts.push(part);
        rest = others;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_cut_at_blanks() {
        let words: Vec<char> = "word ".repeat(300).chars().collect();
        let parts_of = parts(&words);
        assert!(parts_of.iter().all(|part| part.len() <= MOST_PHONEMES && part.ends_with(&[' '])));
        assert_eq!(parts_of.concat(), words);
        let one = ['a'; 1000];
        assert_eq!(parts(&one).iter().map(|part| part.len()).collect::<Vec<_>>(), [400, 400, 200]);
        assert!(parts(&[]).is_empty());
    }
}

//! A loaded recogniser: sound to what is said in it, window after window.

use std::collections::BTreeMap;

use millwork_worker::convert::{Audio, Tensor};
use millwork_worker::onnx::{Model, OnnxError};
use millwork_worker::prelude::IndexMap;
use millwork_worker::{Context, Error, Result};

use super::decode::{Window, likeliest};
use super::decoder::Decoder;
use super::files::Files;
use super::mel::{FRAMES_A_SECOND, HOP, SAMPLE_RATE, Spectrum};
use super::rules::Rules;
use super::vocabulary::{FRAMES_A_TICK, Vocabulary};
use super::{Task, language, windows};
use crate::pace::Pace;
use crate::{LocalModel, onnx_file, tokens};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The language that is spoken: a code, an English name; nothing, and it is detected by the first window.
    pub language: Option<String>,
    /// What is made of it.
    pub task: Task,
    /// What was said before, or words that will come: names, spellings.
    pub prompt: Option<String>,
    /// 0 is greedy, higher draws; nothing is greedy as long as the answers are good, and draws where they are not.
    pub temperature: Option<f32>,
    /// Leaves the times of a sound out that fits one window, as the model then says less beside the words.
    pub without_timestamps: bool,
}

/// What is said in a sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// All of it.
    pub text: String,
    /// The code of the language that is spoken; nothing where nobody speaks and no language was named.
    pub language: Option<String>,
    /// Its parts, in order.
    pub segments: Vec<Segment>,
}

/// A part of a transcript, mostly a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Its beginning, in seconds.
    pub start: f64,
    /// Its end, in seconds.
    pub end: f64,
    /// What is said, with the space before it that most languages have.
    pub text: String,
    /// The model's tokens, timestamps among them.
    pub tokens: Vec<u32>,
}

/// A recogniser, ready to run.
#[derive(Debug)]
pub struct Recogniser {
    files: Files,
    vocabulary: Vocabulary,
    encoder: Model,
    decoder: Decoder,
}

impl Recogniser {
    /// Loads it, or finds it in the worker's cache.
    ///
    /// # Errors
    /// Where its files are broken, with the file.
    pub fn load(model: &LocalModel, cx: &Context) -> Result<Self> {
        let files = Files::read(&model.path)?;
        let vocabulary = Vocabulary::new(&files, tokens::load(&model.path, cx)?)?;
        // Windows are all of one size.
        let encoder = onnx_file::load(&files.encoder, cx)?.per_shape();
        let decoder = Decoder::load(&files, cx)?;
        Ok(Self { files, vocabulary, encoder, decoder })
    }

    /// The spectrum of a sound, as the encoder is given it.
    ///
    /// # Errors
    /// Where the sound is too large at the rate of models, and `cancelled`.
    pub fn spectrum(&self, audio: Audio, cx: &Context) -> Result<Spectrum> {
        let mono = millwork_nodes::audio::with_channels(audio, 1)?;
        let mono = millwork_nodes::audio::resample(mono, SAMPLE_RATE, cx)?;
        Spectrum::new(&mono.samples, self.files.bands, self.files.window, cx)
    }

    /// What is said in a sound of any length.
    ///
    /// # Errors
    /// `invalid_input` for a request that the model cannot answer, `failed` where a graph does not run, `cancelled`.
    pub fn transcribe(&self, audio: Audio, request: &Request, cx: &Context) -> Result<Transcript> {
        let duration = audio.seconds();
        let mut language = self.wanted_language(request)?;
        let prompt = match request.prompt.as_deref().filter(|text| !text.trim().is_empty()) {
            Some(text) => self.vocabulary.prompt(text, self.files.positions / 2)?,
            None => Vec::new(),
        };
        let spectrum = self.spectrum(audio, cx)?;
        let timestamps = !request.without_timestamps || spectrum.frames() > self.files.window;
        let rules = Rules { vocabulary: &self.vocabulary, timestamps };
        let mut transcript = Transcript { text: String::new(), language: None, segments: Vec::new() };
        let mut progress = Progress { pace: Pace::start(), total: spectrum.frames(), done: 0, cx };
        let mut at = 0;
        while at < spectrum.frames() {
            cx.check()?;
            progress.reach(at);
            let length = self.files.window.min(spectrum.frames() - at);
            if spectrum.is_silent(at, length) {
                at += length;
                continue;
            }
            let heard = self.encode(spectrum.window(at)?)?;
            progress.reach(at);
            if language.is_none() && self.files.is_multilingual {
                language = Some(self.detect_language(&heard)?);
            }
            let id = language.as_ref().and_then(|code| self.vocabulary.languages.get(code).copied());
            let prefix = self.vocabulary.prefix(id, request.task == Task::Translate, timestamps)?;
            let told = [prompt.as_slice(), prefix.as_slice()].concat();
            let most_tokens = self.most_tokens(told.len())?;
            let window = Window {
                decoder: &self.decoder,
                rules,
                read: &self.decoder.begin(&heard, &told)?,
                start: prompt.len(),
                most_tokens,
            };
            let mut hear = |token| {
                let tick = self.vocabulary.tick(token).filter(|_| timestamps);
                progress.reach(tick.map_or(at, |tick| at.saturating_add(tick.saturating_mul(FRAMES_A_TICK))));
            };
            let Some(tokens) = window.decode(request.temperature, cx, &mut hear)? else {
                at += length;
                continue;
            };
            let (parts, on) = windows::cut(&tokens, length, &self.vocabulary);
            for part in parts {
                let text = self.vocabulary.text(part.tokens)?;
                if text.trim().is_empty() {
                    continue;
                }
                let seconds = |frame: usize| (at.saturating_add(frame) as f64 / FRAMES_A_SECOND as f64).min(duration);
                let (start, end, tokens) = (seconds(part.start), seconds(part.end), part.tokens.to_vec());
                transcript.segments.push(Segment { start, end, text, tokens });
            }
            at += on.min(length);
        }
        let all: Vec<u32> = transcript.segments.iter().flat_map(|segment| segment.tokens.iter().copied()).collect();
        transcript.text = self.vocabulary.text(&all)?.trim().to_owned();
        transcript.language = language;
        Ok(transcript)
    }

    /// The language that the request names. A model that is not multilingual knows English.
    fn wanted_language(&self, request: &Request) -> Result<Option<String>> {
        let named = request.language.as_deref().map(str::trim).filter(|name| !["", "auto"].contains(name));
        if self.files.is_multilingual {
            return named.map(|name| language::find(name, &self.vocabulary.languages)).transpose();
        }
        if request.task == Task::Translate {
            return Err(Error::invalid("`task` is translate, and the model knows English alone"));
        }
        let english = BTreeMap::from([("en".to_owned(), 0)]);
        language::find(named.unwrap_or("en"), &english).map(Some)
    }

    /// What the encoder makes of a window, `[1, positions, dimensions]`.
    fn encode(&self, window: Tensor) -> Result<Tensor> {
        let info = self.encoder.info();
        let [input] = info.inputs.as_slice() else {
            let text = format!("{} has {} inputs, and an encoder of speech has one", info.name, info.inputs.len());
            return Err(Error::unavailable(text).permanent());
        };
        let window = window.cast(input.dtype.unwrap_or(window.dtype)).map_err(Error::failed)?;
        let outputs = self.encoder.run(&IndexMap::from([(input.name.clone(), window)]));
        let heard = outputs.map_err(OnnxError::into_error)?.into_values().next();
        heard.ok_or_else(|| Error::failed(format!("{} gives nothing", info.name)))
    }

    /// The language whose token is the likeliest behind the beginning.
    fn detect_language(&self, heard: &Tensor) -> Result<String> {
        let (_, scores) = self.decoder.begin(heard, &[self.vocabulary.start])?;
        let score = |id: u32| scores.get((0, id as usize)).copied().unwrap_or(f32::NEG_INFINITY);
        let (codes, scores): (Vec<&String>, Vec<f32>) =
            self.vocabulary.languages.iter().map(|(code, id)| (code, score(*id))).unzip();
        let best = likeliest(&scores).and_then(|best| codes.get(best as usize).copied());
        best.cloned().ok_or_else(|| Error::failed("the model gives no score for any language"))
    }

    /// Tokens that an answer may have behind `told`.
    fn most_tokens(&self, told: usize) -> Result<usize> {
        let beyond = told.saturating_sub(1).min((self.files.positions / 2).saturating_sub(1));
        let most = self.files.positions.min(self.files.most_tokens.saturating_add(beyond)).saturating_sub(told);
        if most == 0 { Err(Error::failed("the model has no positions left for an answer")) } else { Ok(most) }
    }
}

/// How much of a sound is done, in frames; it never goes back.
#[derive(Debug)]
struct Progress<'a> {
    pace: Pace,
    total: usize,
    done: usize,
    cx: &'a Context,
}

impl Progress<'_> {
    fn reach(&mut self, frame: usize) {
        self.done = self.done.max(frame.min(self.total));
        self.pace.report(self.cx, self.done, self.total, "transcribing");
    }
}

const _: () = assert!(SAMPLE_RATE as usize == HOP * FRAMES_A_SECOND);

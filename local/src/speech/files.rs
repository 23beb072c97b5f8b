//! What the files of a recogniser say: its graphs, its sizes, its special tokens. The layout is that of transformers and of
//! Optimum's exports of it; what a token means is `vocabulary`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::mel::{HOP, N_FFT, SAMPLE_RATE};
use crate::{Problem, onnx_file, read};

/// Sizes beyond these are no recogniser's: what is allocated by them stays small.
const MOST_BANDS: usize = 512;
const MOST_FRAMES: usize = 30_000;
const MOST_TOKENS: usize = 16_384;

/// The vocabularies of models that know more than English have at least so many tokens.
const MULTILINGUAL: usize = 51_865;

/// Everything that is said, the weights and the words apart.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) encoder: PathBuf,
    pub(super) decoder: DecoderFiles,
    /// Mel bands.
    pub(super) bands: usize,
    /// Frames of a window, twice the encoder's positions.
    pub(super) window: usize,
    /// Tokens that the decoder has positions for.
    pub(super) positions: usize,
    /// Tokens beyond the prefix that an answer may have.
    pub(super) most_tokens: usize,
    pub(super) is_multilingual: bool,
    pub(super) generation: Generation,
}

/// The decoder with a cache of keys and values and without, in one graph or in two.
#[derive(Debug)]
pub(super) enum DecoderFiles {
    Merged(PathBuf),
    Pair { first: PathBuf, next: PathBuf },
}

/// `config.json`.
#[derive(Debug, Deserialize)]
struct Config {
    num_mel_bins: usize,
    max_source_positions: usize,
    max_target_positions: usize,
    #[serde(default)]
    vocab_size: usize,
    #[serde(flatten)]
    generation: Generation,
}

/// `generation_config.json`; older models have parts of it in their config.json.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Generation {
    pub(super) decoder_start_token_id: Option<u32>,
    pub(super) eos_token_id: Option<u32>,
    pub(super) no_timestamps_token_id: Option<u32>,
    pub(super) prev_sot_token_id: Option<u32>,
    pub(super) max_initial_timestamp_index: Option<u32>,
    pub(super) suppress_tokens: Option<Vec<i64>>,
    pub(super) begin_suppress_tokens: Option<Vec<i64>>,
    pub(super) lang_to_id: Option<BTreeMap<String, u32>>,
    pub(super) task_to_id: Option<BTreeMap<String, u32>>,
    is_multilingual: Option<bool>,
    max_length: Option<usize>,
}

/// `preprocessor_config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Preprocessor {
    feature_size: Option<usize>,
    sampling_rate: Option<usize>,
    hop_length: Option<usize>,
    n_fft: Option<usize>,
}

impl Files {
    pub(super) fn read(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join("config.json");
        let config: Config = read::json(&path)?;
        let within = |name: &str, number: usize, most: usize| match number {
            0 => Err(Problem::new(&path, format!("`{name}` is 0"))),
            _ if number > most => Err(Problem::new(&path, format!("`{name}` is {number}, more than {most}"))),
            _ => Ok(number),
        };
        let bands = within("num_mel_bins", config.num_mel_bins, MOST_BANDS)?;
        let window = 2 * within("max_source_positions", config.max_source_positions, MOST_FRAMES / 2)?;
        let positions = within("max_target_positions", config.max_target_positions, MOST_TOKENS)?;
        preprocessor(folder, bands)?;
        if !folder.join("tokenizer.json").is_file() {
            return Err(Problem::new(folder, "has no tokenizer.json")
                .hint("save the processor with transformers' `AutoProcessor.save_pretrained`, which writes it"));
        }
        let generation: Generation = read::json_if_there(&folder.join("generation_config.json"))?.unwrap_or_default();
        let generation = generation.or(config.generation);
        Ok(Self {
            encoder: onnx_file::find(folder, &["encoder_model"])?,
            decoder: decoder(folder)?,
            bands,
            window,
            positions,
            most_tokens: generation.max_length.unwrap_or(positions),
            is_multilingual: generation
                .is_multilingual
                .unwrap_or(generation.lang_to_id.is_some() || config.vocab_size >= MULTILINGUAL),
            generation,
        })
    }
}

impl Generation {
    /// What is not said here, as `other` says it.
    fn or(self, other: Self) -> Self {
        Self {
            decoder_start_token_id: self.decoder_start_token_id.or(other.decoder_start_token_id),
            eos_token_id: self.eos_token_id.or(other.eos_token_id),
            suppress_tokens: self.suppress_tokens.or(other.suppress_tokens),
            begin_suppress_tokens: self.begin_suppress_tokens.or(other.begin_suppress_tokens),
            ..self
        }
    }
}

/// The sound must be analysed as the published models' is: there is no other way here.
fn preprocessor(folder: &Path, bands: usize) -> Result<(), Problem> {
    let path = folder.join("preprocessor_config.json");
    let said: Preprocessor = read::json_if_there(&path)?.unwrap_or_default();
    let expected = [
        ("feature_size", said.feature_size, bands),
        ("sampling_rate", said.sampling_rate, SAMPLE_RATE as usize),
        ("hop_length", said.hop_length, HOP),
        ("n_fft", said.n_fft, N_FFT),
    ];
    for (name, said, expected) in expected {
        if let Some(said) = said.filter(|said| *said != expected) {
            return Err(Problem::unsupported(&path, format!("`{name}` is {said}; only {expected} is supported")));
        }
    }
    Ok(())
}

/// One graph for both is preferred: the weights are then in memory once.
fn decoder(folder: &Path) -> Result<DecoderFiles, Problem> {
    if onnx_file::find_if_there(folder, &["decoder_model_merged"]).is_some() {
        return Ok(DecoderFiles::Merged(onnx_file::find(folder, &["decoder_model_merged"])?));
    }
    if onnx_file::find_if_there(folder, &["decoder_model", "decoder_with_past_model"]).is_none() {
        // Names the file that most exports have.
        return onnx_file::find(folder, &["decoder_model_merged", "decoder_model"]).map(DecoderFiles::Merged);
    }
    let first = onnx_file::find(folder, &["decoder_model"])?;
    let next = onnx_file::find(folder, &["decoder_with_past_model"]).map_err(|problem| {
        problem.hint("export it with a cache of keys and values: `--task automatic-speech-recognition-with-past`")
    })?;
    Ok(DecoderFiles::Pair { first, next })
}

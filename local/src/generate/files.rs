//! What the files of a language model say, the weights and the words apart: how far it reads, where its answers end, how it samples.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::layout::Layout;
use super::sample::{PENALTIES, Settings};
use super::template::Templates;
use crate::{Problem, read};

/// Answers are no longer than so many tokens where neither the request nor the model says otherwise.
const MOST_NEW: usize = 2048;
/// What transformers samples from where the model's makers sample and do not say from how many.
const TOP_K: f64 = 50.0;

/// Everything that is said.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) layout: Layout,
    pub(super) templates: Templates,
    /// Tokens that end an answer.
    pub(super) ends: Vec<u32>,
    /// The text of the token that ends one, where only the tokenizer knows its number.
    pub(super) end_text: Option<String>,
    /// Positions that there are; `None` where the config has no limit.
    pub(super) limit: Option<usize>,
    /// How the model's makers sample.
    pub(super) sampling: Settings,
    /// Tokens of an answer at most, unless the request says.
    pub(super) max_tokens: usize,
}

/// `generation_config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Generation {
    eos_token_id: Option<Ends>,
    do_sample: bool,
    temperature: Option<f64>,
    top_k: Option<f64>,
    top_p: Option<f64>,
    min_p: Option<f64>,
    repetition_penalty: Option<f64>,
    max_new_tokens: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ends {
    One(u32),
    Several(Vec<u32>),
}

impl Ends {
    fn list(self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![id],
            Self::Several(ids) => ids,
        }
    }
}

impl Files {
    pub(super) fn read(folder: &Path) -> Result<Self, Problem> {
        if !folder.join("tokenizer.json").is_file() {
            return Err(Problem::new(folder, "has no tokenizer.json")
                .hint("save the tokenizer with transformers' `AutoTokenizer.save_pretrained`, which writes it"));
        }
        let config: Json = read::json(&folder.join("config.json"))?;
        // Families call it differently.
        let positions = ["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"];
        let limit = positions.iter().find_map(|name| config.get(name)?.as_u64()).filter(|limit| *limit > 0);
        let own: Option<Ends> = config.get("eos_token_id").and_then(|ids| serde_json::from_value(ids.clone()).ok());
        let generation: Generation = read::json_if_there(&folder.join("generation_config.json"))?.unwrap_or_default();
        let templates = Templates::read(folder)?;
        let mut ends = generation.eos_token_id.map(Ends::list).unwrap_or_default();
        ends.extend(own.map(Ends::list).unwrap_or_default());
        ends.sort_unstable();
        ends.dedup();
        let sampling = Settings {
            temperature: if generation.do_sample { generation.temperature.unwrap_or(1.0).max(0.0) } else { 0.0 },
            top_k: if generation.do_sample { generation.top_k.unwrap_or(TOP_K).max(0.0) as usize } else { 0 },
            top_p: generation.top_p.filter(|_| generation.do_sample).unwrap_or(1.0),
            min_p: generation.min_p.filter(|_| generation.do_sample).unwrap_or(0.0),
            repetition_penalty: generation.repetition_penalty.filter(|p| PENALTIES.contains(p)).unwrap_or(1.0),
            seed: None,
        };
        Ok(Self {
            layout: Layout::find(folder)?,
            end_text: templates.special("eos_token").map(str::to_owned),
            templates,
            ends,
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            sampling,
            max_tokens: generation.max_new_tokens.filter(|most| *most > 0).unwrap_or(MOST_NEW),
        })
    }
}

//! What the files of a sentence encoder say: how far it reads, how its vectors become one. The layout is that of the
//! library sentence-transformers, of which a plain export of transformers is the part without `modules.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::pool::Pooling;
use crate::{Problem, onnx_file, read};

/// Tokenizers without a limit write a number that no text reaches.
const NO_LIMIT: f64 = 1e6;

/// Everything that is said, the weights and the words apart.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) onnx: PathBuf,
    pub(super) pooling: Pooling,
    pub(super) normalises: bool,
    pub(super) lowercases: bool,
    /// What stands before every text.
    pub(super) prompt: String,
    /// Tokens that are read of a text, special ones among them.
    pub(super) max_tokens: usize,
    pub(super) pad_id: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    max_position_embeddings: Option<usize>,
    model_type: Option<String>,
    pad_token_id: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Prompts {
    prompts: BTreeMap<String, String>,
    default_prompt_name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Files {
    pub(super) fn read(folder: &Path) -> Result<Self, Problem> {
        let config: Config = read::json(&folder.join("config.json"))?;
        let tokenizer = folder.join("tokenizer.json");
        if !tokenizer.is_file() {
            return Err(Problem::new(folder, "has no tokenizer.json")
                .hint("save the tokenizer with transformers' `AutoTokenizer.save_pretrained`, which writes it"));
        }
        let tokenizer_config: TokenizerConfig =
            read::json_if_there(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let sentence: SentenceConfig =
            read::json_if_there(&folder.join("sentence_bert_config.json"))?.unwrap_or_default();
        let prompts: Prompts =
            read::json_if_there(&folder.join("config_sentence_transformers.json"))?.unwrap_or_default();
        let (pooling, normalises) = modules(folder)?;
        let of_config = config.max_position_embeddings.map(|most| match config.model_type.as_deref() {
            // Their positions start behind the id of padding.
            Some("roberta" | "xlm-roberta" | "camembert" | "mpnet") => most.saturating_sub(2),
            _ => most,
        });
        let of_tokenizer = tokenizer_config.model_max_length.filter(|most| *most < NO_LIMIT).map(|most| most as usize);
        let limits = [sentence.max_seq_length, of_tokenizer, of_config];
        Ok(Self {
            onnx: onnx_file::find(folder, &["model"])?,
            pooling,
            normalises,
            lowercases: sentence.do_lower_case,
            prompt: prompts
                .default_prompt_name
                .and_then(|name| prompts.prompts.get(&name).cloned())
                .unwrap_or_default(),
            max_tokens: limits.into_iter().flatten().filter(|most| *most > 0).min().unwrap_or(512),
            pad_id: config.pad_token_id.unwrap_or(0),
        })
    }
}

/// How vectors become one, and whether that one has the length 1. Without modules.json it is their mean.
fn modules(folder: &Path) -> Result<(Pooling, bool), Problem> {
    let path = folder.join("modules.json");
    let Some(modules) = read::json_if_there::<Vec<Module>>(&path)? else { return Ok((Pooling::MEAN, false)) };
    let (mut pooling, mut normalises) = (Pooling::MEAN, false);
    for module in modules {
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "Pooling" => pooling = Pooling::read(&folder.join(&module.path).join("config.json"))?,
            "Normalize" => normalises = true,
            other => return Err(Problem::unsupported(&path, format!("the module {other} is not supported"))),
        }
    }
    Ok((pooling, normalises))
}

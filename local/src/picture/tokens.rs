//! Prompts as the tokens of CLIP: 77 of them, a mark at the beginning and the end, and padding behind.

use std::collections::HashMap;
use std::path::Path;

use millwork_worker::models::{Loaded, Pinned};
use millwork_worker::{Context, Error, Result};
use serde::Deserialize;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as Splitters;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use crate::{Problem, read, tokens};

/// Tokens of a prompt, where the files do not say.
const LENGTH: usize = 77;
/// Tokenizers without a limit write a number that no text encoder reads.
const MOST_LENGTH: f64 = 1024.0;

/// What CLIP calls a word: marks, English endings, letters, single digits, and the rest (Radford et al. 2021).
const WORD: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// A token of the vocabulary occupies about so many bytes in memory.
const BYTES_A_TOKEN: u64 = 200;

/// A pipeline's tokenizer.
#[derive(Debug)]
pub(super) struct Tokens {
    tokenizer: Pinned<Tokenizer>,
    begin: i64,
    end: i64,
    pad: i64,
    length: usize,
}

/// A prompt, ready for the text encoder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prompt {
    /// As many as the encoder reads.
    pub(super) ids: Vec<i64>,
    /// How many of them are not padding.
    pub(super) used: usize,
    /// Tokens that had no room.
    pub(super) cut: usize,
}

/// `tokenizer_config.json` and `special_tokens_map.json`, the parts of them that matter here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Names {
    bos_token: Option<Name>,
    eos_token: Option<Name>,
    pad_token: Option<Name>,
    model_max_length: Option<f64>,
    added_tokens_decoder: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    Plain(String),
    Described { content: String },
}

impl Name {
    fn or<'a>(name: &'a Option<Self>, default: &'a str) -> &'a str {
        match name {
            Some(Self::Plain(text) | Self::Described { content: text }) => text,
            None => default,
        }
    }
}

/// Whether the files of a tokenizer are there.
pub(super) fn check(folder: &Path) -> Result<(), Problem> {
    if folder.join("tokenizer.json").is_file() {
        return Ok(());
    }
    match ["vocab.json", "merges.txt"].iter().find(|name| !folder.join(name).is_file()) {
        Some(name) => Err(Problem::new(folder, format!("has neither tokenizer.json nor {name}"))),
        None => Ok(()),
    }
}

impl Tokens {
    /// Reads the tokenizer of a folder, or finds it in the worker's cache. `most` is what the text encoder reads at most.
    pub(super) fn load(folder: &Path, most: Option<usize>, cx: &Context) -> Result<Self> {
        let is_whole = folder.join("tokenizer.json").is_file();
        let tokenizer = if is_whole { tokens::load(folder, cx)? } else { from_parts(folder, cx)? };
        let config: Names = read::json_if_there(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let map: Names = read::json_if_there(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
        // Files from before `added_tokens_decoder` have their last word in the map.
        let (first, second) = if config.added_tokens_decoder.is_some() { (&config, &map) } else { (&map, &config) };
        let of_tokenizer = config.model_max_length.filter(|length| (3.0..=MOST_LENGTH).contains(length));
        let id = |name: &str| {
            tokenizer.token_to_id(name).map(i64::from).ok_or_else(|| {
                Error::from(Problem::new(folder, format!("has no token {name:?}, which its prompts need")))
            })
        };
        let end = Name::or(&first.eos_token, Name::or(&second.eos_token, "<|endoftext|>"));
        Ok(Self {
            begin: id(Name::or(&first.bos_token, Name::or(&second.bos_token, "<|startoftext|>")))?,
            end: id(end)?,
            pad: id(Name::or(&first.pad_token, Name::or(&second.pad_token, end)))?,
            length: of_tokenizer.map_or(LENGTH, |length| length as usize).min(most.unwrap_or(usize::MAX)).max(3),
            tokenizer,
        })
    }

    /// A prompt's tokens.
    pub(super) fn of(&self, name: &str, text: &str) -> Result<Prompt> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(|error| Error::invalid(format!("`{name}` cannot be made tokens: {error}")))?;
        let room = self.length - 2;
        let words = encoding.get_ids();
        let kept = words.iter().take(room).copied().map(i64::from);
        let mut ids: Vec<i64> = [self.begin].into_iter().chain(kept).chain([self.end]).collect();
        let used = ids.len();
        ids.resize(self.length, self.pad);
        Ok(Prompt { ids, used, cut: words.len().saturating_sub(room) })
    }
}

/// The tokenizer of `vocab.json` and `merges.txt`, as CLIP was published.
fn from_parts(folder: &Path, cx: &Context) -> Result<Pinned<Tokenizer>> {
    let (words, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    let key = format!("tokenizer:{}+{}", tokens::stamp(&words), tokens::stamp(&merges));
    cx.models().get_or_load(&key, &cx.cache_user(), || {
        let vocabulary: HashMap<String, u32> = read::json(&words)?;
        let bytes = vocabulary.len() as u64 * BYTES_A_TOKEN;
        let pairs = pairs(&merges)?;
        let wrong = |error: tokenizers::Error| Problem::new(&merges, format!("does not fit vocab.json: {error}"));
        let value = build(vocabulary.into_iter().collect(), pairs).map_err(wrong)?;
        Ok(Loaded { value, name: "clip/vocab.json".to_owned(), bytes })
    })
}

fn pairs(path: &Path) -> Result<Vec<(String, String)>, Problem> {
    let text = read::text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with("#version") && !line.trim().is_empty());
    let pair = |(i, line): (usize, &str)| match line.split_once(' ') {
        Some((left, right)) => Ok((left.to_owned(), right.trim_end().to_owned())),
        None => Err(Problem::new(path, format!("line {} is no pair of tokens", i + 1))),
    };
    lines.map(pair).collect()
}

fn build(vocabulary: Vocab, merges: Vec<(String, String)>) -> tokenizers::Result<Tokenizer> {
    let marks = ["<|startoftext|>", "<|endoftext|>"];
    let marks: Vec<AddedToken> = marks
        .into_iter()
        .filter(|mark| vocabulary.contains_key(*mark))
        .map(|mark| AddedToken::from(mark, true))
        .collect();
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .unk_token("<|endoftext|>".to_owned())
        .end_of_word_suffix("</w>".to_owned())
        .build()?;
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ")?;
    let words = Split::new(SplitPattern::Regex(WORD.to_owned()), SplitDelimiterBehavior::Removed, true)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(Normalizers::new(vec![NFC.into(), spaces.into(), Lowercase.into()])));
    tokenizer.with_pre_tokenizer(Some(Splitters::new(vec![words.into(), ByteLevel::new(false, true, false).into()])));
    tokenizer.add_special_tokens(&marks);
    Ok(tokenizer)
}

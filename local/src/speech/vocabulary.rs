//! Tokens and what they mean: words, languages, tasks, times.

use std::collections::BTreeMap;

use millwork_worker::models::Pinned;
use millwork_worker::{Error, Result};
use tokenizers::Tokenizer;

use super::files::Files;
use super::language;

/// Ticks of timestamps a second.
const TICKS_A_SECOND: u32 = 50;
/// Frames of sound a tick.
pub(super) const FRAMES_A_TICK: usize = super::mel::FRAMES_A_SECOND / TICKS_A_SECOND as usize;

/// The words of a model and its special tokens.
#[derive(Debug)]
pub(super) struct Vocabulary {
    tokenizer: Pinned<Tokenizer>,
    /// `<|startoftranscript|>`.
    pub(super) start: u32,
    /// `<|endoftext|>`.
    pub(super) end: u32,
    /// `<|notimestamps|>`; the next one stands for 0.00 s, and the one before for no speech.
    pub(super) no_timestamps: u32,
    /// `<|startofprev|>`, behind which a prompt stands.
    previous: Option<u32>,
    transcribe: Option<u32>,
    translate: Option<u32>,
    /// By code. Empty where the model knows English alone.
    pub(super) languages: BTreeMap<String, u32>,
    /// What an answer never holds.
    pub(super) suppressed: Vec<u32>,
    /// What it does not begin with.
    pub(super) suppressed_first: Vec<u32>,
    /// The latest tick that may come first.
    pub(super) latest_first: Option<u32>,
}

impl Vocabulary {
    /// # Errors
    /// Where neither the generation config nor the tokenizer has a token that must be there.
    pub(super) fn new(files: &Files, tokenizer: Pinned<Tokenizer>) -> Result<Self> {
        let said = &files.generation;
        let token = |id: Option<u32>, word: &str| id.or_else(|| tokenizer.token_to_id(word));
        let must = |id: Option<u32>, word: &str| {
            let missing =
                || format!("the model has no token {word}: its generation_config.json and tokenizer.json lack it");
            token(id, word).ok_or_else(|| Error::unavailable(missing()).permanent())
        };
        let task = |name: &str| {
            let id = said.task_to_id.as_ref().and_then(|ids| ids.get(name).copied());
            token(id, &format!("<|{name}|>")).filter(|_| files.is_multilingual)
        };
        let languages = match &said.lang_to_id {
            _ if !files.is_multilingual => BTreeMap::new(),
            Some(ids) => ids.iter().map(|(word, id)| (code(word).to_owned(), *id)).collect(),
            None => language::codes()
                .filter_map(|code| Some((code.to_owned(), tokenizer.token_to_id(&format!("<|{code}|>"))?)))
                .collect(),
        };
        if files.is_multilingual && languages.is_empty() {
            return Err(
                Error::unavailable("the model is multilingual, and no file of it says its languages").permanent()
            );
        }
        let ids = |list: &Option<Vec<i64>>| list.iter().flatten().filter_map(|id| u32::try_from(*id).ok()).collect();
        Ok(Self {
            start: must(said.decoder_start_token_id, "<|startoftranscript|>")?,
            end: must(said.eos_token_id, "<|endoftext|>")?,
            no_timestamps: must(said.no_timestamps_token_id, "<|notimestamps|>")?,
            previous: token(said.prev_sot_token_id, "<|startofprev|>"),
            transcribe: task("transcribe"),
            translate: task("translate"),
            languages,
            suppressed: ids(&said.suppress_tokens),
            suppressed_first: ids(&said.begin_suppress_tokens),
            latest_first: said.max_initial_timestamp_index,
            tokenizer,
        })
    }

    /// The token of 0.00 s; those of later times follow it.
    pub(super) fn first_time(&self) -> u32 {
        self.no_timestamps.saturating_add(1)
    }

    /// The token that says that nobody speaks.
    pub(super) fn no_speech(&self) -> u32 {
        self.no_timestamps.saturating_sub(1)
    }

    /// The tick that a token stands for, counted from the beginning of its window.
    pub(super) fn tick(&self, token: u32) -> Option<usize> {
        token.checked_sub(self.first_time()).map(|tick| tick as usize)
    }

    /// What the decoder is told before it answers.
    ///
    /// # Errors
    /// Where the model cannot translate.
    pub(super) fn prefix(&self, language: Option<u32>, translate: bool, timestamps: bool) -> Result<Vec<u32>> {
        let task = if translate { self.translate } else { self.transcribe };
        if translate && task.is_none() {
            return Err(Error::invalid("`task` is translate, and the model only transcribes"));
        }
        let silent = (!timestamps).then_some(self.no_timestamps);
        Ok([Some(self.start), language, task, silent].into_iter().flatten().collect())
    }

    /// The tokens of what was said before, at most `most` of them, the latest.
    ///
    /// # Errors
    /// Where the model takes none, and where special tokens stand in the text.
    pub(super) fn prompt(&self, text: &str, most: usize) -> Result<Vec<u32>> {
        let Some(previous) = self.previous else {
            return Err(Error::invalid("`prompt` is given, and the model takes none: it has no token <|startofprev|>"));
        };
        let wrong = |error: tokenizers::Error| Error::invalid(format!("`prompt` cannot be made tokens: {error}"));
        let encoding = self.tokenizer.encode(format!(" {}", text.trim()), false).map_err(wrong)?;
        let ids = encoding.get_ids();
        let special = ids.iter().find(|id| self.is_special(**id));
        if let Some(word) = special.and_then(|id| self.tokenizer.id_to_token(*id)) {
            return Err(Error::invalid(format!("`prompt` holds the special token {word}: it must be words alone")));
        }
        let latest = &ids[ids.len().saturating_sub(most.saturating_sub(1))..];
        Ok(std::iter::once(previous).chain(latest.iter().copied()).collect())
    }

    fn is_special(&self, token: u32) -> bool {
        token >= self.end
            && (token >= self.no_timestamps || self.tokenizer.get_added_tokens_decoder().contains_key(&token))
    }

    /// The words among tokens. Bytes that are no text become �, as elsewhere.
    ///
    /// # Errors
    /// Where the tokenizer cannot.
    pub(super) fn text(&self, tokens: &[u32]) -> Result<String> {
        let words: Vec<u32> = tokens.iter().copied().filter(|token| *token < self.no_timestamps).collect();
        self.tokenizer
            .decode(&words, true)
            .map_err(|error| Error::failed(format!("tokens cannot be made text: {error}")))
    }
}

/// `en` of `<|en|>`.
fn code(word: &str) -> &str {
    word.strip_prefix("<|").and_then(|word| word.strip_suffix("|>")).unwrap_or(word)
}

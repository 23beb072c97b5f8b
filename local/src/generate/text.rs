//! Tokens as text, piece by piece: a character is shown when all of its bytes are there, never half of it.

use std::collections::HashMap;

use millwork_worker::{Error, Result};
use tokenizers::Tokenizer;

/// What decoders write for bytes that are no character, or not yet one.
const NOT_YET: char = '\u{fffd}';

/// Turns tokens into text as they come.
///
/// Decoders look at neighbours (the first space of a text goes, bytes join up), so that each piece is what a window of tokens says
/// more with the new token than without it.
#[derive(Debug)]
pub(super) struct Detokeniser<'a> {
    tokenizer: &'a Tokenizer,
    /// Special tokens that are text all the same, such as the mark before a call of a tool.
    visible: HashMap<u32, String>,
    /// The tokens of the window: those that are shown already, and those that are not.
    window: Vec<u32>,
    shown: usize,
}

impl<'a> Detokeniser<'a> {
    /// One that shows no special token but those of `visible`.
    pub(super) fn new(tokenizer: &'a Tokenizer, visible: HashMap<u32, String>) -> Self {
        Self { tokenizer, visible, window: Vec::new(), shown: 0 }
    }

    /// The text that a further token completes; often none.
    pub(super) fn push(&mut self, id: u32) -> Result<String> {
        if let Some(mark) = self.visible.get(&id).cloned() {
            let before = self.finish()?;
            return Ok(before + &mark);
        }
        self.window.push(id);
        let more = self.more()?;
        if more.is_empty() || more.ends_with(NOT_YET) {
            return Ok(String::new());
        }
        self.window.drain(..self.shown);
        self.shown = self.window.len();
        Ok(more)
    }

    /// What is still held back, incomplete as it is.
    pub(super) fn finish(&mut self) -> Result<String> {
        let more = self.more()?;
        self.window.clear();
        self.shown = 0;
        Ok(more)
    }

    fn more(&self) -> Result<String> {
        let before = self.decode(&self.window[..self.shown])?;
        let all = self.decode(&self.window)?;
        let more = all.strip_prefix(&before);
        // A decoder that changes what it has said: take what is longer by its length.
        Ok(more.map_or_else(|| all.chars().skip(before.chars().count()).collect(), str::to_owned))
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        let wrong = |error: tokenizers::Error| Error::failed(format!("the tokenizer cannot decode: {error}"));
        self.tokenizer.decode(ids, true).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::decoders::DecoderWrapper;
    use tokenizers::decoders::byte_fallback::ByteFallback;
    use tokenizers::decoders::fuse::Fuse;
    use tokenizers::decoders::metaspace::Metaspace;
    use tokenizers::decoders::sequence::Sequence;
    use tokenizers::models::wordlevel::WordLevel;
    use tokenizers::{AddedToken, Tokenizer};

    use super::*;

    fn tokenizer(words: &[&str]) -> Tokenizer {
        let vocab = words.iter().zip(0..).map(|(word, id)| ((*word).to_owned(), id)).collect();
        let model = WordLevel::builder().vocab(vocab).unk_token("<unk>".into()).build().unwrap();
        let mut tokenizer = Tokenizer::new(model);
        let decoders = vec![
            DecoderWrapper::ByteFallback(ByteFallback::default()),
            DecoderWrapper::Metaspace(Metaspace::default()),
            DecoderWrapper::Fuse(Fuse::default()),
        ];
        tokenizer.with_decoder(Some(DecoderWrapper::Sequence(Sequence::new(decoders))));
        tokenizer.add_special_tokens(&[AddedToken::from("<mark>", true), AddedToken::from("<quiet>", true)]);
        tokenizer
    }

    #[test]
    fn no_character_is_shown_by_halves() {
        let tokenizer = tokenizer(&["<unk>", "▁Guten", "▁Tag", "<0xF0>", "<0x9F>", "<0x99>", "<0x82>", "!"]);
        let mut text = Detokeniser::new(&tokenizer, HashMap::new());
        let pieces: Vec<String> = [1, 2, 3, 4, 5, 6, 7, 3].into_iter().map(|id| text.push(id).unwrap()).collect();
        assert_eq!(pieces, ["Guten", " Tag", "", "", "", "🙂", "!", ""]);
        assert_eq!(text.finish().unwrap(), "\u{fffd}");
    }

    #[test]
    fn special_tokens_are_silent_unless_they_are_asked_for() {
        let tokenizer = tokenizer(&["<unk>", "▁a", "▁b"]);
        let mark = tokenizer.token_to_id("<mark>").unwrap();
        let quiet = tokenizer.token_to_id("<quiet>").unwrap();
        let mut text = Detokeniser::new(&tokenizer, HashMap::from([(mark, "<mark>".to_owned())]));
        let pieces: Vec<String> = [1, quiet, mark, 2].into_iter().map(|id| text.push(id).unwrap()).collect();
        assert_eq!(pieces, ["a", "", "<mark>", "b"]);
    }
}

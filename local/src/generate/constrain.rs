//! Answers that follow a JSON schema: before each choice, tokens that cannot go on are taken out. The grammar is llguidance's; what
//! tokens mean in bytes is told here.

use std::path::Path;
use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use millwork_worker::models::{Loaded, Pinned};
use millwork_worker::{Context, Error, Result, contain};
use serde_json::{Value as Json, json};
use tokenizers::Tokenizer;

use crate::tokens;

/// What may stand between the parts of JSON: enough to indent, not enough to go on with nothing else.
const SPACE: &str = r"[\x20\x0A\x09]{1,20}";
/// A token of the vocabulary takes about so many bytes in the tree of all of them.
const BYTES_A_TOKEN: u64 = 96;

/// The grammars of one tokenizer.
pub(super) struct Grammars(ParserFactory);

/// One answer's grammar and how far it has come.
pub(super) struct Constraint(Matcher);

impl Grammars {
    /// Those of a folder's tokenizer, for a model with logits for `vocabulary` tokens, from the worker's cache if they are there.
    pub(super) fn load(
        folder: &Path,
        tokenizer: &Tokenizer,
        vocabulary: usize,
        ends: &[u32],
        cx: &Context,
    ) -> Result<Pinned<Self>> {
        let key = format!("grammars:{vocabulary}:{ends:?}:{}", tokens::stamp(&folder.join("tokenizer.json")));
        cx.models().get_or_load(&key, &cx.cache_user(), || {
            let make = || Self::new(tokenizer, vocabulary, ends);
            let value = contain(make).unwrap_or_else(|panic| Err(panic.into_error().to_string()));
            let value = value.map_err(|why| {
                Error::unavailable(format!("`response_format` cannot be kept with this tokenizer: {why}")).permanent()
            })?;
            let name = format!("{} (grammars)", folder.file_name().unwrap_or_default().to_string_lossy());
            Ok(Loaded { value, name, bytes: vocabulary as u64 * BYTES_A_TOKEN })
        })
    }

    fn new(tokenizer: &Tokenizer, vocabulary: usize, ends: &[u32]) -> Result<Self, String> {
        let ends: Vec<u32> = ends.iter().copied().filter(|end| (*end as usize) < vocabulary).collect();
        let (Some(first), Ok(size)) = (ends.first(), u32::try_from(vocabulary)) else {
            return Err("the model has no token that ends an answer".to_owned());
        };
        let words = words(tokenizer, size)?;
        let trie = TokTrie::from(&TokRxInfo::new(size, *first), &words).with_eos_tokens(&ends);
        let tokens: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = llguidance::earley::SlicedBiasComputer::json_slices();
        let factory = ParserFactory::new(&tokens, InferenceCapabilities::default(), &slices);
        let mut factory = factory.map_err(|error| error.to_string())?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self(factory))
    }

    /// The grammar of a JSON schema.
    ///
    /// # Errors
    /// `invalid_input` that says what of the schema is wrong or not supported.
    pub(super) fn constraint(&self, schema: &Json) -> Result<Constraint> {
        let mut schema = match schema {
            Json::Object(map) => map.clone(),
            other => [("allOf".to_owned(), json!([other]))].into_iter().collect(),
        };
        schema.insert("x-guidance".to_owned(), json!({ "whitespace_flexible": true, "whitespace_pattern": SPACE }));
        let grammar = TopLevelGrammar::from_json_schema(Json::Object(schema));
        let parser = contain(|| self.0.create_parser(grammar));
        let parser = parser.map_err(|panic| panic.into_error().to_string());
        let parser = parser.and_then(|parser| parser.map_err(|error| error.to_string()));
        let parser =
            parser.map_err(|why| Error::invalid(format!("the schema of `response_format` cannot be used: {why}")))?;
        Ok(Constraint(Matcher::new(Ok(parser))))
    }
}

impl Constraint {
    /// Leaves only the logits of tokens that can come next.
    pub(super) fn mask(&mut self, logits: &mut [f32]) -> Result<()> {
        let allowed = self.0.compute_mask_or_eos().map_err(broken)?;
        for (id, logit) in logits.iter_mut().enumerate() {
            if id >= allowed.len() || !allowed.get(id) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Goes on by a token. Whether the answer is complete and nothing can follow.
    pub(super) fn take(&mut self, id: u32) -> Result<bool> {
        self.0.consume_token(id).map_err(broken)?;
        Ok(self.0.is_stopped())
    }
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::failed(format!("the grammar of the answer broke: {error}"))
}

/// How a tokenizer writes bytes in the names of its tokens.
enum Spelling {
    /// GPT-2's: each byte has a letter of its own.
    Letters,
    /// SentencePiece's: `<0x0A>` for single bytes, and a letter for the space.
    Fallback { space: String },
}

/// The bytes of each token. Special tokens begin with a byte that no text has, so that no grammar takes them for text.
fn words(tokenizer: &Tokenizer, size: u32) -> Result<Vec<Vec<u8>>, String> {
    let decoder = serde_json::to_value(tokenizer.get_decoder()).map_err(|error| error.to_string())?;
    let spelling = spelling(&decoder).ok_or_else(|| format!("its decoder is {}", decoder["type"]))?;
    let added = tokenizer.get_added_tokens_decoder();
    let marked = |text: &str| [&[TokTrie::SPECIAL_TOKEN_MARKER], text.as_bytes()].concat();
    let word = |id: u32| match (added.get(&id), tokenizer.id_to_token(id)) {
        (Some(token), _) if token.special => marked(&token.content),
        (Some(token), _) => token.content.as_bytes().to_vec(),
        (None, Some(name)) => spelling.bytes(&name),
        // Networks are often a little wider than their vocabularies.
        (None, None) => marked(&format!("<{id}>")),
    };
    Ok((0..size).map(word).collect())
}

fn spelling(decoder: &Json) -> Option<Spelling> {
    let parts = match decoder["decoders"].as_array() {
        Some(parts) => parts.as_slice(),
        None => std::slice::from_ref(decoder),
    };
    let is = |part: &Json, kind: &str| part["type"].as_str() == Some(kind);
    if parts.iter().any(|part| is(part, "ByteLevel")) {
        return Some(Spelling::Letters);
    }
    let replaced = parts.iter().find(|part| is(part, "Replace") && part["content"] == " ");
    let space = replaced.and_then(|part| part["pattern"]["String"].as_str());
    let space = space.or_else(|| parts.iter().find(|part| is(part, "Metaspace"))?["replacement"].as_str());
    let is_fallback = parts.iter().any(|part| is(part, "ByteFallback"));
    (is_fallback || space.is_some()).then(|| Spelling::Fallback { space: space.unwrap_or("▁").to_owned() })
}

impl Spelling {
    fn bytes(&self, name: &str) -> Vec<u8> {
        match self {
            // A letter that stands for no byte does not occur in such a vocabulary; a token with one means nothing.
            Self::Letters => name.chars().map(byte_of_letter).collect::<Option<Vec<u8>>>().unwrap_or_default(),
            Self::Fallback { space } => {
                let byte =
                    name.strip_prefix("<0x").and_then(|rest| u8::from_str_radix(rest.strip_suffix('>')?, 16).ok());
                byte.map_or_else(|| name.replace(space.as_str(), " ").into_bytes(), |byte| vec![byte])
            }
        }
    }
}

/// GPT-2's letters for bytes: printable ones of Latin-1 are themselves, the others follow from U+0100 on in their order.
fn byte_of_letter(letter: char) -> Option<u8> {
    let is_itself = |byte: &u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(letter) {
        code @ 0..=0xff => u8::try_from(code).ok().filter(is_itself),
        code => (0..=u8::MAX).filter(|byte| !is_itself(byte)).nth(usize::try_from(code - 0x100).ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_bytes() {
        assert_eq!(byte_of_letter('A'), Some(b'A'));
        assert_eq!(byte_of_letter('Ġ'), Some(b' '));
        assert_eq!(byte_of_letter('Ċ'), Some(b'\n'));
        assert_eq!(byte_of_letter('Ā'), Some(0));
        assert_eq!(byte_of_letter('Ń'), Some(0xad));
        assert_eq!(byte_of_letter('▁'), None);
        assert_eq!(byte_of_letter(' '), None);
        let fallback = Spelling::Fallback { space: "▁".into() };
        assert_eq!(fallback.bytes("<0xE2>"), [0xe2]);
        assert_eq!(fallback.bytes("▁é"), " é".as_bytes());
    }
}

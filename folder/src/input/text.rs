//! Texts as inputs of models: the tokens of a `tokenizer.json`.

use millwork_package::manifest::{Input, Part};
use millwork_package::{Kind, Problem};
use millwork_worker::convert::Tensor;
use millwork_worker::{Error, Result};
use tokenizers::{PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};
use toml::Spanned;

use crate::check::Check;
use crate::value::Datum;

/// How a text becomes a tensor, `[1, tokens]`.
pub(crate) struct Text {
    tokenizer: Tokenizer,
    part: Part,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Text").field("part", &self.part).finish_non_exhaustive()
    }
}

impl Text {
    pub(crate) fn new(check: &mut Check<'_>, input: &Input, file: &Spanned<String>) -> Option<Self> {
        let name = file.as_ref();
        let read = check.files.text(name).and_then(|text| {
            tokenizer(&text, input)
                .map_err(|error| Problem::new(Kind::InvalidTokenizer, format!("{name}: {error}")).at(name, None))
        });
        Some(Self { tokenizer: check.ok(file, read)?, part: input.part.unwrap_or(Part::Ids) })
    }

    pub(crate) fn make(&self, value: &Datum) -> Result<Tensor> {
        let Datum::Text(text) = value else {
            return Err(Error::invalid(format!("{} is no text", value.what())));
        };
        let encoding = self.tokenizer.encode_fast(text.as_str(), true);
        let encoding = encoding.map_err(|error| Error::invalid(format!("it cannot be made tokens: {error}")))?;
        let numbers = match self.part {
            Part::Ids => encoding.get_ids(),
            Part::AttentionMask => encoding.get_attention_mask(),
            Part::TypeIds => encoding.get_type_ids(),
        };
        let numbers: Vec<i64> = numbers.iter().copied().map(i64::from).collect();
        Tensor::from_slice(&[1, numbers.len()], &numbers).map_err(Error::failed)
    }
}

/// The tokenizer, cutting and filling as the manifest says and not as its own file does.
fn tokenizer(text: &str, input: &Input) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(text)?;
    let padding = tokenizer.get_padding().cloned().unwrap_or_else(|| {
        let usual = ["[PAD]", "<pad>", "<|endoftext|>"].into_iter();
        let known = usual.filter_map(|token| Some((token, tokenizer.token_to_id(token)?))).next();
        let (token, id) = known.unwrap_or(("", 0));
        PaddingParams { pad_id: id, pad_token: token.to_owned(), ..PaddingParams::default() }
    });
    let length = input.length.as_ref().map(|length| *length.as_ref());
    let padding = length.map(|length| PaddingParams { strategy: PaddingStrategy::Fixed(length), ..padding });
    tokenizer.with_padding(padding);
    let most = length.or(input.max_length);
    tokenizer.with_truncation(most.map(|max_length| TruncationParams { max_length, ..TruncationParams::default() }))?;
    Ok(tokenizer)
}

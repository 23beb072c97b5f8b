//! `embedding`: texts as vectors, by sentence encoders of the BERT family. What their files say is read by `files`.

mod encoder;
mod files;
mod pool;

use std::path::Path;

use millwork_worker::prelude::*;

pub(crate) use encoder::Encoder;

use crate::{LocalModel, Problem};

/// Architectures that take `input_ids` and `attention_mask` and give a vector for each token.
const ARCHITECTURES: &[&str] = &[
    "AlbertModel",
    "BertModel",
    "BertForMaskedLM",
    "CamembertModel",
    "DebertaV2Model",
    "DistilBertModel",
    "DistilBertForMaskedLM",
    "ElectraModel",
    "MPNetModel",
    "MPNetForMaskedLM",
    "ModernBertModel",
    "NewModel",
    "NomicBertModel",
    "RobertaModel",
    "RobertaForMaskedLM",
    "XLMRobertaModel",
    "XLMRobertaForMaskedLM",
];

/// Whether a model of this architecture is a sentence encoder.
pub(crate) fn is_encoder(architecture: &str) -> bool {
    ARCHITECTURES.contains(&architecture)
}

/// Whether the files of an encoder are all there and can be used.
pub(crate) fn check(folder: &Path) -> Result<(), Problem> {
    files::Files::read(folder).map(drop)
}

/// Answers `provider.embedding`: a vector for each text, in their order.
pub(crate) fn call(model: &LocalModel, data: &Map, cx: &Context) -> Result<Map> {
    let texts = texts(data.get("text"))?;
    let dimensions = match data.get("dimensions").filter(|value| !value.is_nil()) {
        None => None,
        Some(value) => Some(
            value
                .as_i64()
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| *number > 0)
                .ok_or_else(|| Error::invalid("`dimensions` must be a whole number from 1 on"))?,
        ),
    };
    let vectors = Encoder::load(model, cx)?.embed(&texts, dimensions, cx)?;
    let vectors =
        vectors.into_iter().map(|vector| Value::List(vector.into_iter().map(|x| Value::from(f64::from(x))).collect()));
    Ok(map! { "embeddings" => Value::List(vectors.collect()) })
}

fn texts(value: Option<&Value>) -> Result<Vec<String>> {
    let wrong = || Error::invalid("`text` must be a text or a list of texts");
    match value {
        Some(Value::Str(text)) => Ok(vec![text.clone()]),
        Some(Value::List(texts)) => texts
            .iter()
            .enumerate()
            .map(|(i, text)| {
                text.as_str().map(str::to_owned).ok_or_else(|| Error::invalid(format!("`text[{i}]` must be a text")))
            })
            .collect(),
        _ => Err(wrong()),
    }
}

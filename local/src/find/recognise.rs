//! What a folder holds, by the files in it. Each family checks its own files.

use std::path::Path;

use serde::Deserialize;

use super::Found;
use crate::{Kind, LocalModel, Problem, embed, generate, onnx_file, picture, read, speech};

/// What exporters call the graphs of the models that have a tokenizer.
const GRAPHS: [&str; 4] = ["model", "decoder_model_merged", "decoder_model", "encoder_model"];

/// What every config.json says.
#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    model_type: Option<String>,
}

/// The models of one folder, and not of those inside it; nothing where it is no model's.
pub(super) fn folder(folder: &Path, id: &str) -> Found {
    let mut found = Found::default();
    if folder.join(picture::INDEX).is_file() {
        match picture::check(folder) {
            Ok(architecture) => {
                let (kind, path) = (Kind::Picture, folder.to_owned());
                found.models.push(LocalModel { id: id.to_owned(), path, kind, architecture, is_in_hub: false });
            }
            Err(problem) => found.problems.push(problem),
        }
        return found;
    }
    let config = folder.join("config.json");
    if read::is_there(&config) {
        match transformer(folder, &config) {
            Ok((kind, architecture)) => {
                let model =
                    LocalModel { id: id.to_owned(), path: folder.to_owned(), kind, architecture, is_in_hub: false };
                found.models.push(model);
            }
            Err(problem) => found.problems.push(problem),
        }
    } else if folder.join("tokenizer.json").is_file() && onnx_file::find_if_there(folder, &GRAPHS).is_some() {
        let problem = Problem::new(folder, "has no config.json, which says what the model is");
        found.problems.push(problem.hint("take the whole folder that the export wrote"));
    }
    found
}

/// A model of the transformers library.
fn transformer(folder: &Path, config: &Path) -> Result<(Kind, String), Problem> {
    let Config { architectures, model_type } = read::json(config)?;
    let named = architectures.and_then(|all| all.into_iter().next()).filter(|name| !name.is_empty());
    let Some(architecture) = named.clone().or(model_type).filter(|name| !name.is_empty()) else {
        return Err(Problem::new(config, "names no `architectures` and no `model_type`"));
    };
    if embed::is_encoder(&architecture) {
        embed::check(folder)?;
        return Ok((Kind::Embedding, architecture));
    }
    if speech::is_recogniser(&architecture) {
        speech::check(folder)?;
        return Ok((Kind::Speech, architecture));
    }
    if generate::is_decoder(&architecture) {
        generate::check(folder)?;
        return Ok((Kind::Language, architecture));
    }
    if named.is_none() {
        let reason =
            format!("names no `architectures`, and its `model_type` {architecture:?} alone does not say what it does");
        return Err(Problem::new(config, reason)
            .hint("add the class that it was exported from: \"architectures\": [\"BertModel\"]"));
    }
    let known = "sentence encoders of the BERT family, decoder-only language models (…ForCausalLM), Whisper";
    Err(Problem::unsupported(config, format!("{architecture} is none of the architectures that run here"))
        .hint(format!("what runs: {known}")))
}

//! What can be said about a model on disk without loading it: its files, its limits, and what its ONNX files take and give. For
//! people; nothing here decides whether a model is used.

use std::path::{Path, PathBuf};

use millwork_worker::models::ModelCache;
use millwork_worker::onnx::{ModelInfo, Onnx};
use serde_json::Value;

use crate::read;
use crate::store::{files, operators};

/// Where configurations write how many tokens a model takes.
const LIMITS: [&str; 6] =
    ["max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_source_positions", "seq_length"];

/// A model as it lies on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Its files, relative to its folder, with their sizes in bytes.
    pub files: Vec<(String, u64)>,
    /// What `architectures` in its config.json says.
    pub architectures: Vec<String>,
    /// Tokens that it takes, where config.json says it.
    pub context: Option<u64>,
    /// The kind of its tokenizer, and how many tokens that knows.
    pub tokenizer: Option<(String, usize)>,
    /// Its ONNX files, or why one cannot be read.
    pub onnx: Vec<(String, Result<Graph, String>)>,
}

/// One ONNX file.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Name and shape of each input.
    pub inputs: Vec<(String, String)>,
    /// Name and shape of each output.
    pub outputs: Vec<(String, String)>,
    /// The version of the standard operators.
    pub opset: Option<i64>,
    /// How many weights there are.
    pub parameters: u64,
    /// Operators that do not run here, by name; empty where all do.
    pub unsupported: String,
}

/// Looks at a model's folder, or at a model that is one file.
#[must_use]
pub fn look(model: &Path) -> Look {
    let folder = if model.is_dir() { model } else { model.parent().unwrap_or(model) };
    let paths = files(model);
    let name = |path: &PathBuf| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
    let size = |path: &PathBuf| path.metadata().map_or(0, |data| data.len());
    let config = read::json::<Value>(&folder.join("config.json")).unwrap_or_default();
    let architectures = config.get("architectures").and_then(Value::as_array).into_iter().flatten();
    let onnx = Onnx::new(ModelCache::new(u64::MAX), 1);
    let graphs = paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "onnx"));
    Look {
        files: paths.iter().map(|path| (name(path), size(path))).collect(),
        architectures: architectures.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        context: LIMITS.iter().find_map(|key| config.get(key)?.as_u64()),
        tokenizer: tokenizer(&folder.join("tokenizer.json")),
        onnx: graphs
            .map(|path| (name(path), onnx.inspect(path.as_path()).map(Graph::from).map_err(|error| error.to_string())))
            .collect(),
    }
}

/// The bytes of a model's files.
#[must_use]
pub fn size_on_disk(model: &Path) -> u64 {
    files(model).iter().filter_map(|path| path.metadata().ok()).map(|data| data.len()).sum()
}

fn tokenizer(path: &Path) -> Option<(String, usize)> {
    let file: Value = read::json(path).ok()?;
    let model = file.get("model")?;
    let vocabulary = model.get("vocab")?;
    let words = vocabulary.as_object().map(serde_json::Map::len).or_else(|| vocabulary.as_array().map(Vec::len))?;
    // Old files leave the kind out where there is a doubt about none.
    let kind = model.get("type").and_then(Value::as_str).unwrap_or("unnamed");
    Some((kind.to_owned(), words))
}

impl From<ModelInfo> for Graph {
    fn from(info: ModelInfo) -> Self {
        let all = |values: Vec<millwork_worker::onnx::ValueInfo>| {
            values.into_iter().map(|value| (value.name.clone(), value.to_string())).collect()
        };
        Self {
            inputs: all(info.inputs),
            outputs: all(info.outputs),
            opset: info.opsets.iter().find(|(domain, _)| domain == "ai.onnx").map(|(_, version)| *version),
            parameters: info.parameters,
            unsupported: operators(&info.unsupported),
        }
    }
}

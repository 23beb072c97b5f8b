//! Which .onnx files a language model consists of. Exporters have published them in four ways; what the graphs take is `session`'s.

use std::path::{Path, PathBuf};

use crate::{Problem, onnx_file};

/// The files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// `model.onnx`: one graph for the prompt and for each further token, with or without a cache.
    One(PathBuf),
    /// `decoder_model_merged.onnx`: the input `use_cache_branch` decides between two graphs.
    Merged(PathBuf),
    /// `decoder_model.onnx` for the prompt, `decoder_with_past_model.onnx` for what follows.
    Pair(PathBuf, PathBuf),
}

impl Layout {
    /// The best of those that a folder has.
    pub(super) fn find(folder: &Path) -> Result<Self, Problem> {
        const NAMES: [&str; 3] = ["model", "decoder_model_merged", "decoder_model"];
        let has = |name: &str| onnx_file::find_if_there(folder, &[name]).is_some();
        let find = |name: &str| onnx_file::find(folder, &[name]);
        match NAMES.into_iter().find(|name| has(name)) {
            Some("model") => find("model").map(Self::One),
            Some("decoder_model_merged") => find("decoder_model_merged").map(Self::Merged),
            Some(first) if has("decoder_with_past_model") => {
                Ok(Self::Pair(find(first)?, find("decoder_with_past_model")?))
            }
            Some(alone) => find(alone).map(Self::One),
            None => onnx_file::find(folder, &NAMES).map(Self::One),
        }
    }

    /// All of them.
    pub(super) fn paths(&self) -> Vec<&Path> {
        match self {
            Self::One(path) | Self::Merged(path) => vec![path],
            Self::Pair(first, later) => vec![first, later],
        }
    }
}

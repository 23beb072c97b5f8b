//! What a model on disk is, before any of it is loaded.

use std::path::PathBuf;

use millwork_worker::prelude::*;

use crate::picture;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Decoder-only language models: `generate` and `stream`.
    Language,
    /// Sentence encoders: `embedding`.
    Embedding,
    /// Whisper: `asr`.
    Speech,
    /// Piper: `tts` and `tts_encoded`.
    Voice,
    /// Stable Diffusion: `text_to_image` and `image_to_image`.
    Picture,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Language, Kind::Embedding, Kind::Speech, Kind::Voice, Kind::Picture];

    /// As `provider.models` calls it.
    #[must_use]
    pub fn model_type(self) -> &'static str {
        match self {
            Kind::Language => "language",
            Kind::Embedding => "embedding",
            Kind::Speech => "asr",
            Kind::Voice => "tts",
            Kind::Picture => "image",
        }
    }

    /// The calls that its models answer.
    #[must_use]
    pub fn capabilities(self) -> &'static [&'static str] {
        match self {
            Kind::Language => &["generate", "stream"],
            Kind::Embedding => &["embedding"],
            Kind::Speech => &["asr"],
            Kind::Voice => &["tts", "tts_encoded"],
            Kind::Picture => &["text_to_image", "image_to_image"],
        }
    }

    /// What people call such a model.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Language => "language model",
            Kind::Embedding => "sentence encoder",
            Kind::Speech => "speech recogniser",
            Kind::Voice => "voice",
            Kind::Picture => "picture model",
        }
    }
}

/// A model on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalModel {
    /// What requests call it: `org/name` in the hub's cache, else its path inside the folder it was found in.
    pub id: String,
    /// Its folder; of a voice its .onnx file.
    pub path: PathBuf,
    /// What it is for.
    pub kind: Kind,
    /// Its architecture, as its own files name it.
    pub architecture: String,
    /// Whether it lies in the hub's cache.
    pub is_in_hub: bool,
}

impl LocalModel {
    /// As `provider.models` lists it.
    #[must_use]
    pub fn to_map(&self) -> Map {
        let mut map = map! {
            "id" => self.id.as_str(),
            "name" => self.name(),
            "provider" => crate::provider::ID,
            "type" => self.kind.model_type(),
            "path" => self.path.display().to_string(),
            "architecture" => self.architecture.as_str(),
        };
        if self.kind == Kind::Voice {
            map.extend(crate::voice::details(self));
        }
        map
    }

    /// Whether it answers one of the calls of its kind. Only pictures differ: a pipeline can lack what reads them.
    #[must_use]
    pub fn answers(&self, call: &str) -> bool {
        call != "image_to_image" || picture::reads_pictures(&self.path)
    }

    /// The last part of its id.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or(&self.id)
    }
}

//! Where a model comes from, and how to tell that it is still the same one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Framework;

use super::contain::contain;
use super::error::OnnxError;
use super::{external, names};
use crate::workspace::open_file;

/// A model file, or the bytes of one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Source {
    /// A file. Its folder may hold external data.
    File(PathBuf),
    /// A whole model in memory, without external data, and what to call it.
    Bytes {
        /// For messages.
        name: String,
        /// The contents of an .onnx file.
        data: Bytes,
    },
    /// A file as it was when [`Source::version`] looked: what the cache has of it is used also after the file has changed.
    Version(FileVersion),
}

/// A model file as it was at some time.
#[derive(Debug, Clone)]
pub struct FileVersion {
    path: PathBuf,
    state: FileState,
}

/// The cache's keys of a model start with `file`, and with `full` as long as its contents are the same.
pub(super) struct SourceKey {
    pub(super) file: String,
    pub(super) full: String,
}

impl Source {
    /// A file as it is now.
    ///
    /// # Errors
    /// [`OnnxError::Read`].
    pub fn version(path: impl Into<PathBuf>) -> Result<Self, OnnxError> {
        let file = Source::File(path.into());
        let found =
            file.file().unwrap_or(Path::new("")).canonicalize().and_then(|path| Ok((FileState::of(&path)?, path)));
        let (state, path) = found.map_err(|error| file.unreadable(&error))?;
        Ok(Source::Version(FileVersion { path, state }))
    }

    /// A model in memory, called `name` in messages.
    pub fn bytes(name: impl Into<String>, data: impl Into<Bytes>) -> Self {
        Source::Bytes { name: name.into(), data: data.into() }
    }

    /// The file, where it is one.
    fn file(&self) -> Option<&Path> {
        match self {
            Source::File(path) | Source::Version(FileVersion { path, .. }) => Some(path),
            Source::Bytes { .. } => None,
        }
    }

    /// The file name, or what the caller calls the bytes.
    pub fn name(&self) -> String {
        match self {
            Source::Bytes { name, .. } => name.clone(),
            Source::File(path) | Source::Version(FileVersion { path, .. }) => match path.file_name() {
                Some(name) => name.to_string_lossy().into_owned(),
                None => path.display().to_string(),
            },
        }
    }

    /// The folder that external data must lie in.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let file = self.file()?;
        external::blobs(file).or_else(|| file.parent().map(Path::to_owned))
    }

    /// Whether it stays what it is when the file changes.
    pub(super) fn is_version(&self) -> bool {
        matches!(self, Source::Version(_))
    }

    pub(super) fn key(&self) -> Result<SourceKey, OnnxError> {
        let of_file = |path: &Path, state: FileState| {
            let file = format!("onnx:{}@", path.display());
            SourceKey { full: format!("{file}{}-{}", state.bytes, state.modified), file }
        };
        match self {
            Source::File(path) => {
                let path = path.canonicalize().map_err(|error| self.unreadable(&error))?;
                let state = FileState::of(&path).map_err(|error| self.unreadable(&error))?;
                Ok(of_file(&path, state))
            }
            Source::Version(FileVersion { path, state }) => Ok(of_file(path, *state)),
            Source::Bytes { data, .. } => {
                let hash: String = Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
                let file = format!("onnx:sha256:{hash}@");
                Ok(SourceKey { full: file.clone(), file })
            }
        }
    }

    /// Reads and decodes. The file is read, not mapped: one that is replaced meanwhile must not end the process.
    pub(super) fn read(&self) -> Result<ModelProto, OnnxError> {
        let framework = tract_onnx::onnx();
        let decoded = match self {
            Source::File(path) | Source::Version(FileVersion { path, .. }) => {
                let mut file = open_file(path).map_err(|error| self.unreadable(&error))?;
                contain("decoding", || framework.proto_model_for_read(&mut file))
            }
            Source::Bytes { data, .. } => contain("decoding", || framework.proto_model_for_read(&mut &data[..])),
        };
        let mut proto = decoded.map_err(|reason| self.not_onnx(&format!("it is damaged or cut short ({reason})")))?;
        let Some(graph) = &mut proto.graph else {
            return Err(self.not_onnx("there is no graph in it"));
        };
        if let Some((file, blobs)) = self.file().and_then(|file| Some((file, external::blobs(file)?))) {
            external::follow(file, &blobs, graph);
        }
        names::settle(graph);
        Ok(proto)
    }

    fn unreadable(&self, error: &std::io::Error) -> OnnxError {
        let model = self.file().map_or_else(|| self.name(), |path| path.display().to_string());
        OnnxError::Read { model, reason: error.to_string() }
    }

    fn not_onnx(&self, reason: &str) -> OnnxError {
        OnnxError::NotOnnx { model: self.name(), reason: reason.into() }
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Source::File(path)
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Source::File(path.to_owned())
    }
}

/// Enough of a file's metadata to see that it was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileState {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: u128,
}

impl FileState {
    pub(super) fn bytes(self) -> u64 {
        self.bytes
    }

    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        Ok(FileState { bytes: metadata.len(), modified })
    }
}

//! Why something that looks like a model cannot be used.

use std::fmt;
use std::path::{Path, PathBuf};

use millwork_worker::protocol::message::LoadError;
use millwork_worker::{Error, ErrorKind};

/// What is wrong, and with which file. It is no `std::error::Error`, so that it can become a worker's error with a kind of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the folder where a file is missing.
    pub file: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// What would help.
    pub hint: Option<String>,
    /// Whether the files are all right and it is this build that cannot run them.
    pub is_unsupported: bool,
}

impl Problem {
    /// A file that is missing, unreadable or wrong.
    pub fn new(file: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self { file: file.as_ref().to_owned(), reason: reason.into(), hint: None, is_unsupported: false }
    }

    /// Something that this build does not have.
    pub fn unsupported(file: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self { is_unsupported: true, ..Self::new(file, reason) }
    }

    /// With what would help.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As `discover` and `worker.status` report it.
    #[must_use]
    pub fn load_error(&self) -> LoadError {
        let error_type = if self.is_unsupported { "UnsupportedModel" } else { "BrokenModel" };
        let mut error = LoadError::new("local", "model_load", error_type, self.to_string());
        error.extra.insert("file".to_owned(), self.file.display().to_string().into());
        if let Some(hint) = &self.hint {
            error.extra.insert("hint".to_owned(), hint.as_str().into());
        }
        error.extra.insert("deterministic".to_owned(), true.into());
        error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let text = match &problem.hint {
            Some(hint) => format!("{problem} ({hint})"),
            None => problem.to_string(),
        };
        Error::new(ErrorKind::Unavailable, text).permanent()
    }
}

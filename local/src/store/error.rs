//! Why a transfer fails. Each text names the repository or file and what would help; none holds a token.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use millwork_worker::{Error, ErrorKind};

/// Why a transfer, or a look into the cache, fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// A name, a path or a token that cannot be one.
    Invalid(String),
    /// The hub has no such thing.
    NotFound(String),
    /// The hub wants a token, or another one, or terms accepted first.
    NoAccess(String),
    /// The hub, or the network on the way to it, does not work now; `after` is how long it asked to be left alone.
    Unreachable {
        /// What happened.
        text: String,
        /// What `Retry-After` said.
        after: Option<Duration>,
    },
    /// The hub answers what it must not: a path that leads out of the folder, other bytes than it told.
    Wrong(String),
    /// The cache cannot be read or written.
    Disk(String),
    /// Whoever asked no longer wants it.
    Cancelled,
}

impl StoreError {
    /// The same with its text changed.
    pub(super) fn map(self, change: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Invalid(text) => Self::Invalid(change(&text)),
            Self::NotFound(text) => Self::NotFound(change(&text)),
            Self::NoAccess(text) => Self::NoAccess(change(&text)),
            Self::Unreachable { text, after } => Self::Unreachable { text: change(&text), after },
            Self::Wrong(text) => Self::Wrong(change(&text)),
            Self::Disk(text) => Self::Disk(change(&text)),
            Self::Cancelled => Self::Cancelled,
        }
    }

    /// What may go better the next time.
    pub(super) fn passing(text: impl Into<String>) -> Self {
        Self::Unreachable { text: text.into(), after: None }
    }

    /// What the system said about a file of the cache.
    pub(super) fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let what = path.display();
            Self::Disk(match error.kind() {
                io::ErrorKind::StorageFull => {
                    format!("{what}: the disk is full; make room and ask again, it goes on from there")
                }
                io::ErrorKind::QuotaExceeded => format!("{what}: your quota of this disk is used up"),
                io::ErrorKind::PermissionDenied => {
                    format!("{what}: may not be written here; HF_HOME names another cache")
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    format!("{what}: the disk is read-only; HF_HOME names another cache")
                }
                _ => format!("{what}: {error}"),
            })
        }
    }
}

// No `std::error::Error`: the worker's own error says its kind, and takes those for failures without one.
impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid(text)
            | Self::NotFound(text)
            | Self::NoAccess(text)
            | Self::Wrong(text)
            | Self::Disk(text) => text,
            Self::Unreachable { text, .. } => text,
            Self::Cancelled => "Cancelled",
        })
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Invalid(_) | StoreError::NotFound(_) => ErrorKind::InvalidInput,
            StoreError::NoAccess(_) => ErrorKind::MissingSetting,
            StoreError::Unreachable { .. } => ErrorKind::Unavailable,
            StoreError::Wrong(_) | StoreError::Disk(_) => ErrorKind::Failed,
            StoreError::Cancelled => return Error::cancelled(),
        };
        Error::new(kind, error)
    }
}

//! Looking inside a conversation: [`inspect`] sits between a host and a worker and shows, records and draws the frames;
//! [`replay`] sends a recorded host's frames to a worker and shows what it answers differently.
//!
//! It judges nothing: whether a frame is right is the conformance suite's business.

pub mod inspect;
mod recording;
mod redact;
pub mod replay;
mod show;
mod tap;
mod trace;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why there is nothing to look at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LookError {
    /// The worker's command does not start.
    #[error("cannot start `{command}`: {source}")]
    NotStarted {
        /// The program.
        command: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A recording cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A recording or a timeline cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A line of a recording is none.
    #[error("{} is no recording: line {line}: {text}", path.display())]
    NotARecording {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        text: String,
    },
    /// The system gives no pipes or threads.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

impl LookError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotStarted { .. } => {
                Some("after `--` stands what you would type in a terminal; a path where it is not on the PATH")
            }
            Self::NotARecording { .. } => Some("`millwork inspect --record FILE -- COMMAND` writes one"),
            Self::Unreadable { .. } | Self::Unwritable { .. } | Self::Io(_) => None,
        }
    }

    /// Whether the command line names a file that is not what it should be; else it is about the worker.
    #[must_use]
    pub fn is_about_a_file(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::Unwritable { .. } | Self::NotARecording { .. })
    }
}

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
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A line of a recording is none.
    #[error("{}:{line}: {text}", path.display())]
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

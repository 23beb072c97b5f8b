//! What can go wrong with the supervisor itself. How one request failed is [`RequestError`](crate::client::RequestError).

use std::io;

use thiserror::Error;

use crate::config::ConfigError;

/// Why a supervisor could not start, or cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system refused something that nothing works without.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, to be read after "cannot".
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The first attempt to start has failed for every worker.
    #[error("no worker is ready: {reasons}")]
    NoWorker {
        /// Why, for each worker.
        reasons: String,
    },
    /// The supervisor has been shut down.
    #[error("the supervisor has been shut down")]
    Stopped,
}

impl Error {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

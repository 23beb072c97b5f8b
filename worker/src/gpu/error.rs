//! What can go wrong on the GPU, as one enum: every case names the thing and what to do about it.

use std::time::Duration;

use millwork_protocol::message::ErrorKind;

use super::shader::ShaderError;
use crate::Error;

/// Why a GPU job gave no result. After every one of these the service answers the next job, except after
/// [`GpuError::Wedged`] and a [`GpuError::Timeout`] that left [`wedged`](super::Gpu::wedged) set.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No adapter that may be used; `reason` says why.
    #[error("no GPU is available: {reason}")]
    Unavailable {
        /// Why: no driver, switched off, no adapter of that name.
        reason: String,
    },
    /// The WGSL does not compile.
    #[error("{0}")]
    Shader(#[from] ShaderError),
    /// The shader has no compute entry point of that name, or several and none was named.
    #[error("{asked}; the shader's compute entry points are: {}", if available.is_empty() { "none".to_owned() } else { available.join(", ") })]
    EntryPoint {
        /// What was asked for, as a clause.
        asked: String,
        /// The compute entry points that are there.
        available: Vec<String>,
    },
    /// The buffers given and the bindings declared do not go together.
    #[error("{0}")]
    Binding(String),
    /// A buffer, or all of them together, is larger than may be.
    #[error("{what} takes {bytes} bytes, and the limit is {limit}")]
    TooLarge {
        /// Which buffer, or "the job".
        what: String,
        /// Bytes that it takes.
        bytes: u64,
        /// Bytes that it may take.
        limit: u64,
    },
    /// More workgroups along one axis than the device takes, or none at all.
    #[error("{count} workgroups along {axis}: the device takes 1 to {limit}")]
    Workgroups {
        /// `x`, `y` or `z`.
        axis: char,
        /// Workgroups asked for.
        count: u32,
        /// The device's limit.
        limit: u32,
    },
    /// The device refused a call that our own checks let through.
    #[error("the GPU refused the job: {0}")]
    Validation(String),
    /// The device has no memory left.
    #[error("the GPU is out of memory: {0}")]
    OutOfMemory(String),
    /// The driver or the GPU library failed.
    #[error("the GPU failed: {0}")]
    Internal(String),
    /// The device went away during the job. It is opened anew for the next one.
    #[error("the GPU device was lost: {0}")]
    DeviceLost(String),
    /// The job did not end in time.
    #[error("the GPU job did not end within {after:?} ({done} of {total} steps done)")]
    Timeout {
        /// The limit that the job had.
        after: Duration,
        /// Steps that were done.
        done: usize,
        /// Steps that the job has.
        total: usize,
    },
    /// The request was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// An earlier job hangs on the device; only a new worker process gets it back.
    #[error("an earlier GPU job hangs and this worker's device is lost with it; try again on a fresh worker")]
    Wedged,
}

impl GpuError {
    /// The kind that the host is told.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } | Self::Wedged => ErrorKind::Unavailable,
            Self::Shader(_) | Self::EntryPoint { .. } | Self::Binding(_) => ErrorKind::InvalidInput,
            Self::Workgroups { .. } | Self::Validation(_) => ErrorKind::InvalidInput,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::OutOfMemory(_) | Self::Internal(_) | Self::DeviceLost(_) => ErrorKind::Failed,
        }
    }

    /// As a node's failure, with its kind. (`?` alone would make every one of them `failed`.)
    #[must_use]
    pub fn for_node(self) -> Error {
        let error = Error::new(self.kind(), &self);
        match self {
            Self::Wedged | Self::DeviceLost(_) | Self::OutOfMemory(_) => error.retryable(),
            Self::Cancelled => Error::cancelled(),
            _ => error,
        }
    }
}

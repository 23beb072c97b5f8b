//! Where workers' stderr and the fleet's own news go. Never blocks: a host that does not read its logs must not stop us.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// Events of `tracing`, for a host in this process to filter.
    Tracing,
    /// Lines on this process's stderr.
    Stderr,
}

/// A pipe that polls as writable takes so much at once.
const ATOMIC: usize = 4096;

impl Log {
    /// A line of a worker's stderr.
    pub(crate) fn worker(self, name: &str, line: &str) {
        match self {
            Self::Tracing => tracing::info!(target: "millwork::worker", worker = name, "{line}"),
            Self::Stderr => write_line(&format!("[{name}] {line}\n")),
        }
    }

    /// Something that operators should know.
    pub(crate) fn news(self, text: &str) {
        match self {
            Self::Tracing => tracing::info!(target: "millwork", "{text}"),
            Self::Stderr => write_line(&format!("millwork: {text}\n")),
        }
    }
}

/// Writes as much as stderr takes without waiting, and drops the rest.
fn write_line(text: &str) {
    let stream = io::stderr();
    let mut stderr = stream.lock();
    for piece in text.as_bytes().chunks(ATOMIC) {
        let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
        let is_writable = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        if !is_writable || stderr.write_all(piece).is_err() {
            return;
        }
    }
}

//! Unix without a signal descriptor: signals keep their default action, which ends the process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A descriptor that never becomes readable.
#[derive(Debug)]
pub(crate) struct Signals(OwnedFd, #[expect(dead_code, reason = "keeps the pipe open")] OwnedFd);

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub(crate) fn take_signals() -> io::Result<Signals> {
    let (read, write) = rustix::pipe::pipe()?;
    Ok(Signals(read, write))
}

pub(crate) fn lead_own_group() {
    let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0));
}

/// The group dies as a whole, this process with it.
pub(crate) fn kill_descendants() {
    if nix::unistd::getpgrp() == nix::unistd::getpid() {
        let _ = nix::sys::signal::killpg(nix::unistd::getpgrp(), nix::sys::signal::Signal::SIGKILL);
    }
}

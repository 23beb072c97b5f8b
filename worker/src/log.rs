//! The log's way out: stderr, as far as it takes it. What is logged, and how it looks, is decided where the log starts.

use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use tracing_subscriber::fmt::MakeWriter;

/// A pipe that polls as writable takes so much at once.
const ATOMIC: usize = 4096;
const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Writes what stderr takes without waiting and drops the rest: a host that does not read our log must not stop us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stream = io::stderr();
        let mut stderr = stream.lock();
        for piece in bytes.chunks(ATOMIC) {
            let mut fds = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::OUT)];
            if !matches!(rustix::event::poll(&mut fds, Some(&NO_TIME)), Ok(1..)) || stderr.write_all(piece).is_err() {
                break;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! The protocol's own descriptors: nothing but frames reaches the host, and no child inherits a pipe. Frames are not known here.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, OFlags};

/// A pipe this large lets a host and a worker hand over a picture without waking each other for every page.
const PIPE_SIZE: usize = 256 << 10;

/// The two ends of the host's pipe, as private descriptors that no child inherits.
#[derive(Debug)]
pub(crate) struct Stdio {
    /// Frames from the host; reading it blocks, except where it is the same socket as the output.
    pub(crate) input: OwnedFd,
    /// Frames to the host; writing it blocks only where it is neither a pipe nor a socket.
    pub(crate) output: OwnedFd,
}

impl Stdio {
    /// Takes descriptors 0 and 1 away from the rest of the process: whoever reads standard input finds the end of it,
    /// whoever prints to standard output prints to standard error. Must run before any package code.
    pub(crate) fn take() -> io::Result<Self> {
        let input = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
        let output = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
        let null = std::fs::OpenOptions::new().read(true).open("/dev/null")?;
        nix::unistd::dup2_stdin(null)?;
        nix::unistd::dup2_stdout(io::stderr())?;
        if is_pipe_or_socket(&output) {
            let flags = rustix::fs::fcntl_getfl(&output)?;
            rustix::fs::fcntl_setfl(&output, flags | OFlags::NONBLOCK)?;
        }
        for pipe in [&input, &output] {
            enlarge(pipe);
        }
        Ok(Self { input, output })
    }
}

/// Hosts on libuv (Node, Electron) hand over sockets. Others, such as terminals, share their flags with strangers.
fn is_pipe_or_socket(fd: &OwnedFd) -> bool {
    let file_type = rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(file_type, Ok(FileType::Fifo | FileType::Socket))
}

/// Where the system has a size for pipes and allows this one; elsewhere nothing is lost but speed.
#[cfg(target_os = "linux")]
fn enlarge(pipe: impl AsFd) {
    if rustix::pipe::fcntl_getpipe_size(&pipe).is_ok_and(|size| size < PIPE_SIZE) {
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_SIZE);
    }
}

#[cfg(not(target_os = "linux"))]
fn enlarge(_: impl AsFd) {}

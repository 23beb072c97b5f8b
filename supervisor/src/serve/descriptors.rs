//! The process's own stdin and stdout, taken away so that nothing else can write between frames.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{dup2_stdin, dup2_stdout};

/// Descriptors that can be polled.
pub(super) struct Descriptors {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    /// Ends when everything has been written, where stdout itself cannot be polled.
    pub(super) copier: Option<JoinHandle<()>>,
}

/// Moves stdin and stdout to private descriptors. What others print goes to stderr from here on, and what they read is empty.
pub(super) fn take() -> io::Result<Descriptors> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(io::stderr())?;
    let input = if can_be_polled(&input)? { input } else { copied_input(input)? };
    if can_be_polled(&output)? {
        return Ok(Descriptors { input, output, copier: None });
    }
    let (output, copier) = copied_output(output)?;
    Ok(Descriptors { input, output, copier: Some(copier) })
}

/// Pipes and sockets can; files and terminals cannot, or not without disturbing those who share them.
fn can_be_polled(fd: &OwnedFd) -> io::Result<bool> {
    let kind = SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT;
    Ok(kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK)
}

/// A pipe that a thread fills from `file`. The thread may wait for ever on a terminal, so nobody waits for it.
fn copied_input(file: OwnedFd) -> io::Result<OwnedFd> {
    let (reader, mut writer) = io::pipe()?;
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || io::copy(&mut File::from(file), &mut writer))?;
    Ok(reader.into())
}

/// A pipe that a thread empties into `file`.
fn copied_output(file: OwnedFd) -> io::Result<(OwnedFd, JoinHandle<()>)> {
    let (mut reader, writer) = io::pipe()?;
    let copy = move || drop(io::copy(&mut reader, &mut File::from(file)));
    let thread = std::thread::Builder::new().name("stdout".to_owned()).spawn(copy)?;
    Ok((writer.into(), thread))
}

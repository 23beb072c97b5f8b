//! A command that a request runs to its end: in a process group of its own, with bounded output, for a limited time, and never
//! longer than the request or the worker. The one module of workers that starts processes. What a command is for, and what its
//! output means, is the caller's.
#![allow(clippy::disallowed_methods, reason = "the one module of workers that may start processes")]

use std::ffi::OsString;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::{CancelToken, Error, ErrorKind, system};

/// How long a cancelled request waits at most until its command is seen to.
const STEP: Duration = Duration::from_millis(25);
/// The end of standard error that is kept.
const STDERR: usize = 4096;
/// How long a command may take to end once its reader has all that it wants.
const FAREWELL: Duration = Duration::from_secs(2);

/// Groups that run now, so that the end of the worker is theirs too.
static LIVE: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A command and its bounds.
#[derive(Debug, Clone)]
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    folder: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    stdin: Bytes,
    limit: Duration,
    most: usize,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Whether its exit status is 0.
    pub is_success: bool,
    /// `exit status 1`, `signal 9`.
    pub how: String,
    /// The end of what it wrote on standard error, at most 4 KiB.
    pub stderr: String,
}

/// Why a command was not run to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// It cannot be started.
    #[error("cannot start `{program}`: {reason}")]
    Start {
        /// The program.
        program: String,
        /// What the system says, and what it may mean.
        reason: String,
    },
    /// Its time was up, and it was ended.
    #[error("`{program}` was ended: it took longer than {} s", limit.as_secs_f64())]
    TimedOut {
        /// The program.
        program: String,
        /// Its time.
        limit: Duration,
    },
    /// It wrote too much, and was ended.
    #[error("`{program}` was ended: it wrote more than {most} bytes on standard output")]
    TooMuch {
        /// The program.
        program: String,
        /// What it was allowed.
        most: usize,
    },
    /// The request was cancelled, and it was ended.
    #[error("Cancelled")]
    Cancelled,
}

impl ChildError {
    /// As the error of a request.
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            Self::Cancelled => Error::cancelled(),
            Self::Start { .. } => Error::unavailable(self).permanent(),
            Self::TimedOut { .. } => Error::new(ErrorKind::Timeout, self),
            other => Error::failed(other),
        }
    }
}

impl Command {
    /// A program, by its path or by its name on `PATH`: without arguments and input, in the folder and with the variables of
    /// the worker, for a minute, with 1 MiB of output.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            folder: None,
            variables: Vec::new(),
            stdin: Bytes::new(),
            limit: Duration::from_secs(60),
            most: 1 << 20,
        }
    }

    /// With arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// In a folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// With an environment variable, beside the worker's own.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// With what it reads on standard input, which then ends.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Bytes>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Ended after this time.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Ended once it has written more than so many bytes on standard output.
    #[must_use]
    pub fn most_output(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    /// Runs it, and gives what it wrote on standard output.
    ///
    /// # Errors
    /// [`ChildError`]; that it ends with another status than 0 is none.
    pub fn output(self, cancel: &CancelToken) -> Result<(Vec<u8>, Finished), ChildError> {
        let mut all = Vec::new();
        let finished = self.run(cancel, |bytes| {
            all.extend_from_slice(bytes);
            ControlFlow::Continue(())
        })?;
        Ok((all, finished))
    }

    /// Runs it, and gives `read` each line that it writes on standard output, without its end. Once `read` breaks off nothing
    /// more is read, and the command has two seconds to end by itself.
    ///
    /// # Errors
    /// As [`output`](Self::output).
    pub fn lines(
        self,
        cancel: &CancelToken,
        mut read: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Finished, ChildError> {
        let mut rest = Vec::new();
        let finished = self.run(cancel, |bytes| {
            // Only what is new can hold an end of line: a long line is not searched again with each piece of it.
            let mut pieces = bytes.split(|byte| *byte == b'\n');
            rest.extend_from_slice(pieces.next().unwrap_or_default());
            for piece in pieces {
                read(&std::mem::take(&mut rest))?;
                rest.extend_from_slice(piece);
            }
            ControlFlow::Continue(())
        })?;
        if !rest.is_empty() {
            let _ = read(&rest);
        }
        Ok(finished)
    }

    fn run(self, cancel: &CancelToken, mut read: impl FnMut(&[u8]) -> ControlFlow<()>) -> Result<Finished, ChildError> {
        let program = self.program.display().to_string();
        let started = Instant::now();
        let mut child = self.start(&program)?;
        let (mut stdin, mut stdout, mut stderr) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
        let (mut input, mut written, mut is_read, mut errors) = (self.stdin, 0, false, Vec::new());
        // No time that a clock cannot hold: then there is no limit.
        let mut deadline = started.checked_add(self.limit);
        let mut pause = Duration::from_millis(1);
        loop {
            if cancel.is_cancelled() {
                return Err(ChildError::Cancelled);
            }
            let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_late && !is_read {
                return Err(ChildError::TimedOut { program, limit: self.limit });
            }
            // Looked at before its pipes are: what it wrote before it ended is in them by then.
            let has_ended = is_late || child.has_ended();
            feed(&mut stdin, &mut input);
            drain(&mut stdout, |bytes| {
                written += bytes.len();
                if !is_read && written <= self.most {
                    is_read = read(bytes).is_break();
                }
            });
            drain(&mut stderr, |bytes| {
                errors.extend_from_slice(bytes);
                errors.drain(..errors.len().saturating_sub(STDERR));
            });
            if written > self.most && !is_read {
                return Err(ChildError::TooMuch { program, most: self.most });
            }
            if has_ended {
                let (is_success, how) = child.end();
                return Ok(Finished { is_success, how, stderr: String::from_utf8_lossy(&errors).trim().to_owned() });
            }
            if is_read {
                let farewell = Instant::now() + FAREWELL;
                deadline = Some(deadline.map_or(farewell, |deadline| deadline.min(farewell)));
            }
            let ends = [
                stdin.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::OUT)),
                stdout.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
                stderr.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            ];
            wait(ends, &mut pause, cancel);
        }
    }

    fn start(&self, program: &str) -> Result<Group, ChildError> {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
        system::part_from_parent(&mut command);
        let explained = |error: std::io::Error| {
            let hint = match error.kind() {
                IoErrorKind::NotFound => " (there is no such program, or its #! line names one that is not there)",
                IoErrorKind::PermissionDenied => " (it is not executable: chmod +x)",
                _ => "",
            };
            ChildError::Start { program: program.to_owned(), reason: format!("{error}{hint}") }
        };
        let child = Group::new(command.spawn().map_err(explained)?);
        let Child { stdin, stdout, stderr, .. } = &child.0;
        let pipes =
            [stdin.as_ref().map(AsFd::as_fd), stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)];
        for pipe in pipes.into_iter().flatten() {
            let nonblocking =
                rustix::fs::fcntl_getfl(pipe).and_then(|flags| rustix::fs::fcntl_setfl(pipe, flags | OFlags::NONBLOCK));
            nonblocking.map_err(|error| explained(error.into()))?;
        }
        Ok(child)
    }
}

/// A process and its group, which end together and with this value.
struct Group(Child);

impl Group {
    fn new(child: Child) -> Self {
        LIVE.lock().push(Pid::from_child(&child));
        Self(child)
    }

    /// Whether the process has ended. It stays unreaped, so that its number stays its own.
    fn has_ended(&self) -> bool {
        let pid = WaitId::Pid(Pid::from_child(&self.0));
        let seen = rustix::process::waitid(pid, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT);
        !matches!(seen, Ok(None) | Err(rustix::io::Errno::INTR))
    }

    /// Ends what is left of the group, and tells how the process ended.
    fn end(mut self) -> (bool, String) {
        match self.reap() {
            Some(status) => (status.success(), told(status)),
            None => (false, "nobody knows how".to_owned()),
        }
    }

    fn reap(&mut self) -> Option<ExitStatus> {
        let pid = Pid::from_child(&self.0);
        let mut live = LIVE.lock();
        // Not there: it has been reaped, and the number may be somebody else's.
        let at = live.iter().position(|other| *other == pid)?;
        live.swap_remove(at);
        drop(live);
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        self.0.wait().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.reap();
    }
}

/// Ends every command that still runs: the worker is about to end.
pub(crate) fn end_all() {
    for group in LIVE.lock().iter() {
        let _ = rustix::process::kill_process_group(*group, Signal::KILL);
    }
}

fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Writes what the pipe takes now, and closes it behind the last byte, or where nobody reads it any more.
fn feed(stdin: &mut Option<ChildStdin>, input: &mut Bytes) {
    while let Some(pipe) = stdin {
        match pipe.write(input) {
            Ok(count) if count < input.len() => input.advance(count),
            Err(error) if error.kind() == IoErrorKind::WouldBlock => return,
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Ok(_) | Err(_) => *stdin = None,
        }
    }
}

/// Reads what is in the pipe now, a MiB at most, and closes it at its end.
fn drain(pipe: &mut Option<impl Read>, mut take: impl FnMut(&[u8])) {
    let mut buffer = [0; 16 << 10];
    for _ in 0..64 {
        let Some(open) = pipe else { return };
        match open.read(&mut buffer) {
            Ok(0) => *pipe = None,
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == IoErrorKind::WouldBlock => return,
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Err(_) => *pipe = None,
        }
    }
}

/// Waits until a pipe is ready or a little time has passed. Without a pipe only the end of the process is still to come.
fn wait(ends: [Option<(BorrowedFd<'_>, PollFlags)>; 3], pause: &mut Duration, cancel: &CancelToken) {
    let mut fds: Vec<PollFd<'_>> =
        ends.into_iter().flatten().map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
    if fds.is_empty() {
        cancel.wait_until(Instant::now() + *pause);
        *pause = (*pause * 2).min(STEP);
        return;
    }
    let step = Timespec { tv_sec: 0, tv_nsec: STEP.as_nanos() as _ };
    // Interrupted or not, everything is looked at again.
    let _ = rustix::event::poll(&mut fds, Some(&step));
}

#[cfg(test)]
mod tests;

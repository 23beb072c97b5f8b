//! One process on raw pipes: bytes in, frames out with their times, stderr kept, nothing left behind. What the frames mean is
//! not known here.

mod spawn;
mod stderr;
mod stdout;
pub(crate) mod tree;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdin, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millwork_protocol::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use stderr::Stderr;
pub(crate) use stdout::Event;
use stdout::Reading;
pub use tree::Process;

/// A program to be started, with its arguments and what is added to its environment.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    command: Vec<OsString>,
    env: Vec<(String, OsString)>,
}

impl Launch {
    /// A program and its arguments.
    #[must_use]
    pub fn new(command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { command: command.into_iter().map(Into::into).collect(), env: Vec::new() }
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.command.push(arg.into());
        self
    }

    /// The command as one would type it.
    #[must_use]
    pub fn text(&self) -> String {
        let words: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    /// Starts it. It ends with the thread that called this, if not before.
    ///
    /// # Errors
    /// Where there is no such program, or the system gives no process.
    pub fn start(&self) -> io::Result<Peer> {
        let (mut child, mark) = spawn::spawn(&self.command, &self.env)?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let (Some(stdin), Some(stdout), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the system gave it no pipes"));
        };
        let (events, frames) = channel();
        let reading = Arc::<Reading>::default();
        let (for_stdout, gate) = (events.clone(), reading.clone());
        std::thread::spawn(move || stdout::read(stdout, &for_stdout, &gate));
        let exit = Arc::<Exit>::default();
        let watched = exit.clone();
        std::thread::spawn(move || {
            // Seen first and reaped under the lock: a signal never goes to somebody else's process.
            while waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
                == Err(nix::errno::Errno::EINTR)
            {}
            let mut state = watched.lock();
            state.status = child.wait().ok();
            state.at = Some(Instant::now());
            drop(state);
            watched.changed.notify_all();
            let _ = events.send(Event::Exited);
        });
        Ok(Peer {
            pid,
            mark,
            started: Instant::now(),
            stdin: Some(Stdin::follow(stdin)),
            events: frames,
            reading,
            stderr: Stderr::follow(errors),
            exit,
        })
    }
}

#[derive(Debug, Default)]
struct ExitState {
    status: Option<ExitStatus>,
    at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Exit {
    state: Mutex<ExitState>,
    changed: Condvar,
}

impl Exit {
    fn lock(&self) -> std::sync::MutexGuard<'_, ExitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writing on a thread of its own: who sends never waits for a worker that does not read.
#[derive(Debug)]
struct Stdin {
    queue: Sender<Bytes>,
    /// Bytes queued and not yet written.
    left: Arc<(Mutex<usize>, Condvar)>,
}

impl Stdin {
    fn follow(mut pipe: ChildStdin) -> Self {
        let (queue, bytes) = channel::<Bytes>();
        let left = Arc::<(Mutex<usize>, Condvar)>::default();
        let shared = left.clone();
        std::thread::spawn(move || {
            for bytes in bytes {
                // One that has gone takes none: what it answered before says why.
                let gone = pipe.write_all(&bytes).is_err();
                let mut left = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                *left = if gone { 0 } else { left.saturating_sub(bytes.len()) };
                shared.1.notify_all();
            }
        });
        Self { queue, left }
    }

    fn write(&self, bytes: Bytes) {
        *self.left.0.lock().unwrap_or_else(PoisonError::into_inner) += bytes.len();
        let _ = self.queue.send(bytes);
    }
}

/// A running process. Dropping it kills it and everything that it has started.
#[derive(Debug)]
pub struct Peer {
    pid: i32,
    mark: String,
    started: Instant,
    stdin: Option<Stdin>,
    events: Receiver<Event>,
    reading: Arc<Reading>,
    stderr: Arc<Stderr>,
    exit: Arc<Exit>,
}

impl Peer {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// When it was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Queues bytes for its stdin.
    pub fn write(&self, bytes: impl Into<Bytes>) {
        if let Some(stdin) = &self.stdin {
            stdin.write(bytes.into());
        }
    }

    /// Waits until its stdin has taken everything, and says whether it has.
    #[must_use]
    pub fn wait_written(&self, limit: Duration) -> bool {
        let Some(stdin) = &self.stdin else { return true };
        let left = stdin.left.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = stdin.left.1.wait_timeout_while(left, limit, |left| *left > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
    }

    /// Closes its stdin as soon as everything queued has been written.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next thing that comes from it.
    pub(crate) fn event(&self, limit: Duration) -> Result<Event, RecvTimeoutError> {
        let event = self.events.recv_timeout(limit)?;
        self.reading.taken(event.len());
        Ok(event)
    }

    /// Stops reading its stdout, or goes on. What is being read now still comes.
    pub fn pause_reading(&self, paused: bool) {
        self.reading.pause(paused);
    }

    /// When it wrote the first byte to stdout.
    #[must_use]
    pub fn first_byte(&self) -> Option<Instant> {
        self.reading.first_byte()
    }

    /// When it wrote the last byte to stdout so far.
    #[must_use]
    pub fn last_byte(&self) -> Option<Instant> {
        self.reading.last_byte()
    }

    /// The beginning of a frame that it has not finished, and how many bytes of it have come.
    #[must_use]
    pub fn unfinished(&self) -> (Bytes, usize) {
        self.reading.pending()
    }

    /// What it has written to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// How many bytes it has written to stderr so far.
    #[must_use]
    pub fn stderr_total(&self) -> usize {
        self.stderr.total()
    }

    /// When each READY line came.
    #[must_use]
    pub fn ready(&self) -> Vec<Instant> {
        self.stderr.ready()
    }

    /// Waits for the READY line, and says whether it came.
    #[must_use]
    pub fn wait_ready(&self, limit: Duration) -> bool {
        self.stderr.wait_ready(limit)
    }

    /// Waits until stderr matches, and says whether it does.
    pub fn wait_stderr(&self, limit: Duration, matches: impl Fn(&str) -> bool) -> bool {
        self.stderr.wait_text(limit, matches)
    }

    /// Sends it a signal, where it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.exit.lock().status.is_none() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// How it ended, and when, if it does within this time.
    #[must_use]
    pub fn wait_exit(&self, limit: Duration) -> Option<(ExitStatus, Instant)> {
        let waited = self.exit.changed.wait_timeout_while(self.exit.lock(), limit, |state| state.at.is_none());
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.status.zip(state.at)
    }

    /// The living processes that it has started, wherever they have moved to.
    #[must_use]
    pub fn others(&self) -> Vec<Process> {
        tree::others(self.pid, &self.mark)
    }

    /// Kills it and everything that it has started.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
        tree::kill_tree(self.pid, &self.mark);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.reading.let_go();
        self.kill();
    }
}

/// How a process ended, as one says it.
#[must_use]
pub fn exit_text(status: ExitStatus) -> String {
    match (status.code(), status.signal().and_then(|signal| Signal::try_from(signal).ok())) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by {signal}"),
        (None, None) => status.to_string(),
    }
}

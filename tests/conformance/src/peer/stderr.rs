//! A worker's stderr: always read, kept up to a bound, and looked through for the READY line.

use std::io::{BufRead, BufReader, Read};
use std::process::ChildStderr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millwork_protocol::READY_LINE;

/// So much of it is kept; what comes later is counted only.
const KEPT: usize = 4 << 20;
/// A line is looked at up to here.
const LINE: u64 = 64 << 10;

#[derive(Debug, Default)]
struct State {
    text: String,
    total: usize,
    /// When each READY line came.
    ready: Vec<Instant>,
    ended: bool,
}

/// What has been written to stderr.
#[derive(Debug, Default)]
pub(super) struct Stderr {
    state: Mutex<State>,
    changed: Condvar,
}

impl Stderr {
    /// Follows `pipe` on a thread of its own.
    pub(super) fn follow(pipe: ChildStderr) -> Arc<Self> {
        let this = Arc::<Self>::default();
        let writer = this.clone();
        std::thread::spawn(move || writer.read(pipe));
        this
    }

    fn read(&self, pipe: ChildStderr) {
        let mut pipe = BufReader::with_capacity(64 << 10, pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            match pipe.by_ref().take(LINE).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => self.push(&line),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.state().ended = true;
        self.changed.notify_all();
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.state();
        let text = String::from_utf8_lossy(line);
        if text.trim_end() == READY_LINE {
            state.ready.push(Instant::now());
        }
        state.total += line.len();
        if state.text.len() < KEPT {
            state.text.push_str(&text);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text so far.
    pub(super) fn text(&self) -> String {
        self.state().text.clone()
    }

    /// How many bytes there were so far, kept or not.
    pub(super) fn total(&self) -> usize {
        self.state().total
    }

    /// When each READY line came.
    pub(super) fn ready(&self) -> Vec<Instant> {
        self.state().ready.clone()
    }

    /// Waits until there is a READY line, or stderr ends, or the time is over; says whether there is one.
    pub(super) fn wait_ready(&self, limit: Duration) -> bool {
        self.wait(limit, |state| !state.ready.is_empty() || state.ended);
        !self.state().ready.is_empty()
    }

    /// Waits until the text matches, or stderr ends, or the time is over; says whether it does.
    pub(super) fn wait_text(&self, limit: Duration, matches: impl Fn(&str) -> bool) -> bool {
        self.wait(limit, |state| matches(&state.text) || state.ended);
        matches(&self.state().text)
    }

    fn wait(&self, limit: Duration, done: impl Fn(&State) -> bool) {
        drop(self.changed.wait_timeout_while(self.state(), limit, |state| !done(state)));
    }
}

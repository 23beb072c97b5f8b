//! What is kept beside a measured child: a thread that kills it when it hangs, and the end of its stderr.

use std::io::Read;
use std::process::ChildStderr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::{Condvar, Mutex};

/// Kills a child at a deadline. A read that blocks for ever ends so, without a clock in the measured path.
pub(crate) struct Watch(Arc<State>);

struct State {
    pid: Pid,
    deadline: Mutex<Option<Instant>>,
    changed: Condvar,
    fired: AtomicBool,
}

impl Watch {
    pub(crate) fn new(pid: u32) -> Self {
        let state = Arc::new(State {
            pid: Pid::from_raw(pid.cast_signed()),
            deadline: Mutex::new(None),
            changed: Condvar::new(),
            fired: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&state);
        std::thread::spawn(move || watch(&weak));
        Self(state)
    }

    pub(crate) fn arm(&self, deadline: Instant) {
        *self.0.deadline.lock() = Some(deadline);
        self.0.changed.notify_one();
    }

    /// After this the child may be reaped: its id is not used any more.
    pub(crate) fn disarm(&self) {
        *self.0.deadline.lock() = None;
    }

    pub(crate) fn has_fired(&self) -> bool {
        self.0.fired.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.disarm();
        self.0.changed.notify_one();
    }
}

fn watch(weak: &Weak<State>) {
    const TICK: std::time::Duration = std::time::Duration::from_secs(1);
    while let Some(state) = weak.upgrade() {
        let mut deadline = state.deadline.lock();
        if deadline.is_some_and(|at| at <= Instant::now()) {
            // Under the lock: whoever reaps the child disarms first.
            state.fired.store(true, Ordering::Relaxed);
            let _ = kill(state.pid, Signal::SIGKILL);
            *deadline = None;
        }
        state.changed.wait_for(&mut deadline, TICK);
    }
}

/// The last lines of a child's stderr.
#[derive(Default)]
pub(crate) struct Tail(Mutex<Vec<u8>>);

impl Tail {
    const KEPT: usize = 4096;

    /// Takes bytes, and says whether `line` stands in what is kept.
    pub(crate) fn push(&self, bytes: &[u8], line: &str) -> bool {
        let mut kept = self.0.lock();
        kept.extend_from_slice(bytes);
        let extra = kept.len().saturating_sub(Self::KEPT);
        kept.drain(..extra);
        !line.is_empty() && kept.split(|byte| *byte == b'\n').any(|l| l.trim_ascii() == line.as_bytes())
    }

    /// Reads the rest of `stderr` on a thread, so that the child never waits for it.
    pub(crate) fn follow(self: Arc<Self>, mut stderr: ChildStderr) {
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = stderr.read(&mut chunk) {
                self.push(chunk.get(..n).unwrap_or_default(), "");
            }
        });
    }

    /// What to put behind an error text.
    pub(crate) fn quote(&self) -> String {
        let kept = self.0.lock();
        let text = String::from_utf8_lossy(&kept);
        match text.trim() {
            "" => String::new(),
            text => format!("; its stderr ends with:\n{text}"),
        }
    }
}

//! What is due when: one ordered set, so that the shell needs a single timer. Entries can be taken back.

use std::collections::BTreeSet;

use super::policy::Millis;
use super::requests::RequestKey;
use super::state::WorkerId;

/// Something that happens by itself once its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A request's deadline, or the end of its grace once it has been cancelled.
    Request(RequestKey),
    /// A limit on one run of a worker; void where the worker has moved on.
    Worker(WorkerId, u32, Watch),
    /// What waits for a pool has waited for a while.
    Grow(usize),
    /// The next step of the shutdown.
    Shutdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watch {
    Ready,
    Handshake,
    Terminate,
    Kill,
    Closed,
    Deaf,
    Restart,
    Idle,
    Age,
    Health,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    set: BTreeSet<(Millis, Timer)>,
}

impl Timers {
    pub(super) fn add(&mut self, at: Millis, timer: Timer) {
        self.set.insert((at, timer));
    }

    pub(super) fn remove(&mut self, at: Millis, timer: Timer) {
        self.set.remove(&(at, timer));
    }

    pub(super) fn next(&self) -> Option<Millis> {
        self.set.first().map(|(at, _)| *at)
    }

    /// Takes the first timer whose time has come.
    pub(super) fn due(&mut self, now: Millis) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.set.pop_first().map(|(_, timer)| timer)
    }
}

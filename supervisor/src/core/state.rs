//! One worker as the state machine sees it, and the states that it goes through.
//!
//! ```text
//! idle → starting → discovering → ready → draining → idle, or stopped
//!            └──────────┴───────────┴── crash → backing off → starting
//!                                             → failed (circuit open) → starting, on trial
//! ```

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use millwork_protocol::{Map, Value};
use serde::Deserialize;

use super::figures::Figures;
use super::policy::{Crashes, Millis};
use super::requests::RequestKey;

/// A worker's place in the fleet.
pub(crate) type WorkerId = usize;

/// Where a worker stands. Its text is what `worker.status` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkerState {
    /// It does not run because nothing needs it, and is started when something does.
    Idle,
    /// Its process is being started, or has not said READY.
    Starting,
    /// It is READY and is being asked what it has.
    Discovering,
    /// It takes requests.
    Ready,
    /// It takes no further requests and is about to end.
    Draining,
    /// It crashed, and starts again after a wait.
    BackingOff,
    /// It crashed too often: the circuit is open.
    Failed,
    /// It has ended for good.
    Stopped,
}

impl WorkerState {
    /// The state in one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Discovering => "discovering",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::BackingOff => "backing_off",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// Whether there is a process, or is about to be one.
    pub(super) fn is_alive(self) -> bool {
        matches!(self, Self::Starting | Self::Discovering | Self::Ready | Self::Draining)
    }
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a worker that lives is being ended.
#[derive(Debug, Clone)]
pub(super) struct Condemned {
    /// The reason, for the errors of the requests that it takes along.
    pub(super) reason: String,
    /// Whether the worker is at fault, which counts as a crash.
    pub(super) is_crash: bool,
    /// The strongest signal that it was sent.
    pub(super) signal: &'static str,
}

/// What follows the end of a worker that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It rests until it is needed.
    Rest,
    /// It starts again at once.
    Restart,
}

/// What a worker has told about itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) discover: Option<Map>,
    pub(super) status: Option<Map>,
    pub(super) providers: Option<Vec<Value>>,
}

impl Known {
    pub(super) fn is_complete(&self) -> bool {
        self.discover.is_some() && self.status.is_some() && self.providers.is_some()
    }
}

#[derive(Debug)]
pub(super) struct Worker {
    /// Its name in texts; of several instances each has a number.
    pub(super) name: String,
    pub(super) group: usize,
    pub(super) max_in_flight: usize,
    pub(super) state: WorkerState,
    /// Counts its processes: what comes from an earlier one is void.
    pub(super) run: u32,
    pub(super) pid: Option<u32>,
    /// What bounds its last process, in words; empty where nothing does.
    pub(super) bounds: String,
    pub(super) started_at: Millis,
    pub(super) ready_at: Option<Millis>,
    /// The ids that it has been sent and has not ended.
    pub(super) in_flight: HashMap<Arc<str>, RequestKey>,
    /// Sent to its pipe, in order, and not begun to be written when last heard.
    pub(super) unwritten: VecDeque<RequestKey>,
    /// All bytes ever sent to this run.
    pub(super) sent: u64,
    /// What this run has told so far.
    pub(super) learning: Known,
    /// What the last complete run told.
    pub(super) known: Option<Known>,
    /// Whether the first attempt to start has ended, well or not.
    pub(super) attempted: bool,
    /// Whether its last run ended before there was a process.
    pub(super) never_ran: bool,
    pub(super) condemned: Option<Condemned>,
    /// It takes nothing more and ends when it has finished what it has.
    pub(super) leaving: Option<After>,
    /// Why it is to be replaced when it is its turn.
    pub(super) due: Option<String>,
    /// How many requests of hosts this run has ended.
    pub(super) served: u64,
    /// Since when it has had nothing to do for hosts.
    pub(super) idle_since: Millis,
    /// When it last said something.
    pub(super) heard_at: Millis,
    /// Its resident memory, when last heard.
    pub(super) rss_bytes: Option<u64>,
    /// What it has done for hosts, over all its runs.
    pub(super) figures: Figures,
    pub(super) crashes: Crashes,
    pub(super) restarts: u32,
    pub(super) last_error: Option<String>,
}

impl Worker {
    pub(super) fn new(name: String, group: usize, max_in_flight: usize) -> Self {
        Self {
            name,
            group,
            max_in_flight,
            state: WorkerState::Idle,
            run: 0,
            pid: None,
            bounds: String::new(),
            started_at: 0,
            ready_at: None,
            in_flight: HashMap::new(),
            unwritten: VecDeque::new(),
            sent: 0,
            learning: Known::default(),
            known: None,
            attempted: false,
            never_ran: false,
            condemned: None,
            leaving: None,
            due: None,
            served: 0,
            idle_since: 0,
            heard_at: 0,
            rss_bytes: None,
            figures: Figures::default(),
            crashes: Crashes::default(),
            restarts: 0,
            last_error: None,
        }
    }

    /// Whether it can be sent a request with this id now.
    pub(super) fn takes(&self, id: &str) -> bool {
        self.state == WorkerState::Ready
            && self.in_flight.len() < self.max_in_flight
            && !self.in_flight.contains_key(id)
    }

    /// Whether it is ready, or will be again by itself.
    pub(super) fn counts(&self) -> bool {
        (self.state.is_alive() && self.leaving != Some(After::Rest)) || self.state == WorkerState::BackingOff
    }

    /// Whether it rests until it is needed, or is about to.
    pub(super) fn can_rest(&self) -> bool {
        self.state == WorkerState::Idle || (self.state == WorkerState::Draining && self.leaving == Some(After::Rest))
    }

    /// Makes it as it is before its next process.
    pub(super) fn reset(&mut self, now: Millis) {
        self.run += 1;
        self.restarts = self.run - 1;
        self.pid = None;
        self.started_at = now;
        self.ready_at = None;
        self.sent = 0;
        self.learning = Known::default();
        self.condemned = None;
        self.leaving = None;
        self.due = None;
        self.served = 0;
        self.idle_since = now;
        self.rss_bytes = None;
    }
}

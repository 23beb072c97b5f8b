//! The supervisor's state machine: events and times in, actions out. No clock, no IO, no process: those are the fleet's.
//!
//! Requests come in with [`Core::handle`] and end with exactly one [`Action::End`]: see [`requests`].

mod absent;
mod answers;
mod fairness;
mod figures;
mod gather;
mod handshake;
mod health;
mod idempotent;
mod labels;
mod lifecycle;
mod merge;
mod poison;
mod policy;
mod pool;
mod queue;
mod recycle;
mod reload;
mod requests;
mod route;
mod routing;
mod scale;
mod shutdown;
mod state;
mod sticky;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::VecDeque;
use std::sync::Arc;

use millwork_protocol::message::ErrorData;
use millwork_protocol::{Bytes, Frame, Map};

pub(crate) use absent::Unloaded;
pub(crate) use answers::decode;
pub(crate) use figures::{BOUNDS, Figures};
pub(crate) use poison::{Fingerprint, fingerprint};
pub(crate) use policy::{GroupPolicy, Millis, Policy};
pub(crate) use reload::Changes;
pub(crate) use requests::HostId;
pub(crate) use route::Route;
pub(crate) use state::WorkerId;
pub use state::WorkerState;
pub(crate) use sticky::Affinity;

use poison::Poison;
use pool::{Group, Pool};
use requests::{Cause, Owner, Place, Request, RequestKey, Requests};
use routing::Inventory;
use shutdown::Shutdown;
use state::Worker;
use sticky::Sticky;
use timers::{Timer, Timers};

/// A request as it comes in. An empty id stands for nil.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) host: HostId,
    pub(crate) id: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) route: Route,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) frame: Frame,
}

/// What has happened. Those that concern a worker carry its run; events of an earlier run are void.
#[derive(Debug)]
pub(crate) enum Event {
    /// Begin: start every worker.
    Start,
    Request(Incoming),
    Cancel {
        host: HostId,
        id: Arc<str>,
    },
    /// The process is there.
    Spawned {
        worker: WorkerId,
        run: u32,
        pid: u32,
    },
    /// What bounds the process that is there, in words.
    Bounded {
        worker: WorkerId,
        run: u32,
        bounds: String,
    },
    /// It said READY.
    Ready {
        worker: WorkerId,
        run: u32,
    },
    /// A frame from it.
    Frame {
        worker: WorkerId,
        run: u32,
        payload: Bytes,
    },
    /// So many bytes of all that this run was sent have gone into its pipe.
    Wrote {
        worker: WorkerId,
        run: u32,
        total: u64,
    },
    /// Its stdout has ended.
    Closed {
        worker: WorkerId,
        run: u32,
    },
    /// Its stdin takes no more.
    Deaf {
        worker: WorkerId,
        run: u32,
    },
    /// Its stdout is no stream of frames.
    Broken {
        worker: WorkerId,
        run: u32,
        cause: String,
    },
    /// It is gone, or never came to be; `exit` says how, `tail` is the end of its stderr.
    Exited {
        worker: WorkerId,
        run: u32,
        exit: String,
        tail: String,
    },
    /// So much memory its process has.
    Usage {
        worker: WorkerId,
        run: u32,
        rss_bytes: u64,
    },
    /// Go by other settings.
    Configure(Box<Changes>),
    /// End everything: with the grace periods, or at once because nobody is there to read an answer.
    Shutdown {
        at_once: bool,
    },
    /// Time has passed.
    Tick,
}

/// A worker's answer, decoded.
type Outcome = Result<Map, Box<ErrorData>>;

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// With a worker's own frame.
    Forward(Bytes),
    /// With a frame of this type that the supervisor put together.
    Message(&'static str, Map),
    /// With an error that the supervisor found.
    Error(ErrorData),
}

/// What has become of a request, for whoever counts or records it.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// Its type.
    pub(crate) kind: Arc<str>,
    /// The node or the provider that it is for.
    pub(crate) target: Option<Arc<str>>,
    /// The worker that had it last.
    pub(crate) worker: Option<WorkerId>,
    /// When it came in.
    pub(crate) came: Millis,
    /// When it was handed to that worker.
    pub(crate) sent: Option<Millis>,
    /// Whether it ended with an error.
    pub(crate) is_error: bool,
}

/// What the fleet is doing.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The workers' lines in `worker.status`.
    pub(crate) rows: Vec<Map>,
    /// By worker name; also those without a line.
    pub(crate) figures: Vec<(String, Figures)>,
    /// Requests of hosts that have not ended, and those of them that wait for a worker.
    pub(crate) open: usize,
    pub(crate) queued: usize,
    /// Frames from workers that belonged to no request.
    pub(crate) dropped: u64,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    Spawn {
        worker: WorkerId,
        run: u32,
    },
    Send {
        worker: WorkerId,
        frame: Frame,
    },
    CloseStdin {
        worker: WorkerId,
    },
    /// SIGTERM to the worker's process group.
    Terminate {
        worker: WorkerId,
    },
    /// SIGKILL to the worker's process group.
    Kill {
        worker: WorkerId,
    },
    /// Passes on a frame that does not end its request.
    Emit {
        host: HostId,
        id: Arc<str>,
        payload: Bytes,
        is_progress: bool,
    },
    /// The terminal frame of a request.
    End {
        host: HostId,
        id: Arc<str>,
        answer: Answer,
        trace: Trace,
    },
    /// A worker's state has changed.
    Changed {
        worker: WorkerId,
        state: WorkerState,
        detail: Option<String>,
    },
    /// Every worker is gone and every request has ended.
    Stopped,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Core {
    policy: Policy,
    workers: Vec<Worker>,
    groups: Vec<Group>,
    pools: Vec<Pool>,
    requests: Requests,
    /// Requests that wait for the first attempts to start.
    waiting: VecDeque<RequestKey>,
    timers: Timers,
    inventory: Inventory,
    /// What did not load before any process.
    unloaded: Vec<Unloaded>,
    poison: Poison,
    sticky: Sticky,
    shutdown: Shutdown,
    /// Starts the ids of the supervisor's own requests.
    prefix: String,
    next_own_id: u64,
    /// Frames from workers that belong to no request: late, doubled, or invented.
    dropped: u64,
    out: Vec<Action>,
}

impl Core {
    /// A fleet of groups. `prefix` must not occur in hosts' ids.
    pub(crate) fn new(policy: Policy, groups: impl IntoIterator<Item = GroupPolicy>, prefix: String) -> Self {
        let mut core = Self {
            policy,
            workers: Vec::new(),
            groups: Vec::new(),
            pools: Vec::new(),
            requests: Requests::default(),
            waiting: VecDeque::new(),
            timers: Timers::default(),
            inventory: Inventory::default(),
            unloaded: Vec::new(),
            poison: Poison::default(),
            sticky: Sticky::default(),
            shutdown: Shutdown::Running,
            prefix,
            next_own_id: 0,
            dropped: 0,
            out: Vec::new(),
        };
        groups.into_iter().for_each(|group| core.add_group(group));
        core
    }

    /// With what did not load before any process was started.
    pub(crate) fn without(mut self, unloaded: Vec<Unloaded>) -> Self {
        self.unloaded = unloaded;
        self
    }

    /// Takes in one event; what is to be done about it comes out of [`Core::actions`].
    pub(crate) fn handle(&mut self, now: Millis, event: Event) {
        match event {
            Event::Start => {
                self.rebuild_inventory();
                (0..self.workers.len()).for_each(|worker| self.start(now, worker));
            }
            Event::Request(incoming) => self.receive(now, incoming),
            Event::Cancel { host, id } => {
                if let Some(key) = self.requests.find(host, &id) {
                    self.cancel(now, key, Cause::Host);
                }
            }
            Event::Spawned { worker, run, pid } if self.is_current(worker, run) => self.spawned(worker, pid),
            Event::Bounded { worker, run, bounds } if self.is_current(worker, run) => self.bounded(worker, bounds),
            Event::Ready { worker, run } if self.is_current(worker, run) => self.up(now, worker),
            Event::Frame { worker, run, payload } if self.is_current(worker, run) => self.frame(now, worker, payload),
            Event::Wrote { worker, run, total } if self.is_current(worker, run) => self.wrote(worker, total),
            Event::Closed { worker, run } if self.is_current(worker, run) => self.closed(now, worker),
            Event::Deaf { worker, run } if self.is_current(worker, run) => self.deaf(now, worker),
            Event::Broken { worker, run, cause } if self.is_current(worker, run) => self.broken(now, worker, cause),
            Event::Exited { worker, run, exit, tail } if self.is_current(worker, run) => {
                self.exited(now, worker, &exit, &tail);
            }
            Event::Usage { worker, run, rss_bytes } if self.is_current(worker, run) => {
                self.usage(now, worker, rss_bytes);
            }
            Event::Configure(changes) => self.reconfigure(now, *changes),
            Event::Shutdown { at_once } => self.begin_shutdown(now, at_once),
            Event::Tick
            | Event::Spawned { .. }
            | Event::Bounded { .. }
            | Event::Ready { .. }
            | Event::Frame { .. }
            | Event::Wrote { .. }
            | Event::Closed { .. }
            | Event::Deaf { .. }
            | Event::Broken { .. }
            | Event::Usage { .. }
            | Event::Exited { .. } => {}
        }
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Request(key) => self.request_due(now, key),
                Timer::Worker(worker, run, watch) if self.is_current(worker, run) => {
                    self.worker_due(now, worker, watch)
                }
                Timer::Worker(..) => {}
                Timer::Grow(pool) => self.grow_due(now, pool),
                Timer::Shutdown => self.shutdown_due(now),
            }
        }
        self.continue_shutdown(now);
    }

    /// What is to be done, in order. The caller empties it.
    pub(crate) fn actions(&mut self) -> &mut Vec<Action> {
        &mut self.out
    }

    /// When [`Event::Tick`] is due at the latest.
    pub(crate) fn next_due(&self) -> Option<Millis> {
        self.timers.next().filter(|at| *at < Millis::MAX)
    }

    /// Whether so much waits for workers that hosts should not be read any further.
    pub(crate) fn is_congested(&self) -> bool {
        self.requests.bytes() > self.policy.max_queued_bytes
    }

    /// Counts a request that has ended for the worker that it was on.
    pub(crate) fn count(&mut self, now: Millis, trace: &Trace) {
        if let (Some(worker), Some(sent)) = (trace.worker.and_then(|id| self.workers.get_mut(id)), trace.sent) {
            worker.figures.record(now, now.saturating_sub(sent), trace.is_error);
        }
    }

    /// What the fleet is doing now.
    pub(crate) fn snapshot(&self, now: Millis) -> Snapshot {
        Snapshot {
            rows: self.rows(now),
            figures: self
                .workers
                .iter()
                .filter(|worker| worker.state != WorkerState::Stopped)
                .map(|worker| (worker.name.clone(), worker.figures.clone()))
                .collect(),
            open: self.requests.open(),
            queued: self.pools.iter().map(|pool| pool.queue.len()).sum::<usize>() + self.waiting.len(),
            dropped: self.dropped,
        }
    }

    /// The name of a worker.
    pub(crate) fn name(&self, worker: WorkerId) -> &str {
        self.workers.get(worker).map_or("", |worker| &worker.name)
    }

    /// The process that it has.
    pub(crate) fn pid(&self, worker: WorkerId) -> Option<u32> {
        self.workers.get(worker).and_then(|worker| worker.pid)
    }

    /// The group that a worker belongs to.
    pub(crate) fn group(&self, worker: WorkerId) -> usize {
        self.workers.get(worker).map_or(0, |worker| worker.group)
    }

    /// Whether some worker is ready.
    pub(crate) fn has_ready(&self) -> bool {
        self.workers.iter().any(|worker| worker.state == WorkerState::Ready)
    }

    /// Whether the first attempt to start has ended for every worker.
    pub(crate) fn all_attempted(&self) -> bool {
        self.workers.iter().all(|worker| worker.attempted)
    }

    /// Why workers are not ready, a line each.
    pub(crate) fn failures(&self) -> String {
        let reasons: Vec<&str> = self.workers.iter().filter_map(|worker| worker.last_error.as_deref()).collect();
        reasons.join("\n")
    }

    fn is_current(&self, worker: WorkerId, run: u32) -> bool {
        self.workers.get(worker).is_some_and(|worker| worker.run == run)
    }
}

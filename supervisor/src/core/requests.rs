//! The requests that have not ended. A [`Request`] leaves the table by value, and only a request by value can be ended.

use std::collections::HashMap;
use std::sync::Arc;

use millwork_protocol::{Bytes, Frame, Map};

use super::fairness::Flow;
use super::poison::Fingerprint;
use super::policy::Millis;
use super::pool::Home;
use super::state::WorkerId;
use super::timers::{Timer, Timers};
use super::{Action, Answer, Outcome, Route, Trace};

/// Whoever sends requests: the pipe, or the Rust clients in this process. Ids of two hosts never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) u32);

/// Names a request inside the state machine, in order of arrival.
pub(crate) type RequestKey = u64;

/// Who waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Host(HostId),
    /// A request to several workers, of which this is one part.
    Part(RequestKey, WorkerId),
    /// The supervisor, which is getting to know a worker.
    Handshake(WorkerId),
    /// The supervisor, which wonders whether a worker is still there.
    Probe(WorkerId),
}

/// How far a request has come.
#[derive(Debug)]
pub(super) enum Place {
    /// It waits for the first attempt to start of some worker to end.
    Waiting,
    /// It waits for a worker of its home.
    Queued,
    /// A worker has it. `start` is where its first byte stands in all that was ever sent to this run of the worker.
    Sent { worker: WorkerId, start: u64 },
    /// Several workers have a part of it.
    Gathering(Vec<(WorkerId, Option<Outcome>)>),
}

/// Why a request is to end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Host,
    Deadline,
    Shutdown,
}

/// What a request costs beside its frame: many tiny ones are no small thing.
const OVERHEAD: usize = 1 << 10;

#[derive(Debug)]
pub(super) struct Request {
    pub(super) owner: Owner,
    pub(super) id: Arc<str>,
    pub(super) kind: Arc<str>,
    pub(super) route: Route,
    /// When it came in, and when it was handed to a worker.
    pub(super) came: Millis,
    pub(super) sent: Option<Millis>,
    pub(super) place: Place,
    /// Where it may go, once that is known.
    pub(super) home: Home,
    /// The encoded request, for as long as it may be sent to another worker: as a rule until its first byte has been written.
    pub(super) frame: Option<Frame>,
    /// Whether some of it has been written to a worker.
    pub(super) has_begun: bool,
    /// How often it was sent again after it had begun.
    pub(super) retries: u8,
    pub(super) fingerprint: Fingerprint,
    /// When its timer is due: the deadline, or the end of the grace after a cancel.
    pub(super) due: Millis,
    pub(super) cancel: Option<Cause>,
    /// Whether it waited in vain long enough for its worker to be killed.
    pub(super) overdue: bool,
}

impl Request {
    /// One of the supervisor's own.
    pub(super) fn own(owner: Owner, id: Arc<str>, kind: Arc<str>, data: &Map, due: Millis) -> Self {
        Self {
            owner,
            frame: Some(Frame::message(&kind, Some(&id), data)),
            id,
            kind,
            route: Route::default(),
            came: 0,
            sent: None,
            place: Place::Waiting,
            home: Home::default(),
            has_begun: false,
            retries: 0,
            fingerprint: 0,
            due,
            cancel: None,
            overdue: false,
        }
    }

    /// The line that it waits in.
    pub(super) fn flow(&self) -> Flow {
        let host = match self.owner {
            Owner::Host(host) => host,
            Owner::Part(..) | Owner::Handshake(_) | Owner::Probe(_) => HostId(0),
        };
        Flow { host, job: self.route.job, members: self.home.members }
    }

    /// What it is called in texts.
    pub(super) fn label(&self) -> &str {
        self.route.node_type.as_deref().unwrap_or(&self.kind)
    }

    /// Whether it was told to end and is expected to.
    pub(super) fn is_stopping(&self) -> bool {
        self.cancel.is_some() && !self.overdue
    }

    /// What it costs to keep it, in bytes.
    pub(super) fn size(&self) -> usize {
        OVERHEAD + self.frame.as_ref().map_or(0, Frame::len)
    }

    /// The one way to end a host's request.
    pub(super) fn end(self, answer: Answer, out: &mut Vec<Action>) {
        let is_error = matches!(answer, Answer::Error(_));
        self.end_as(is_error, answer, out);
    }

    /// [`Request::end`] with what a worker said, which may be an error too.
    pub(super) fn end_as(self, is_error: bool, answer: Answer, out: &mut Vec<Action>) {
        let Owner::Host(host) = self.owner else { return };
        let worker = match self.place {
            Place::Sent { worker, .. } => Some(worker),
            Place::Waiting | Place::Queued | Place::Gathering(_) => None,
        };
        let target = self.route.node_type.or(self.route.provider);
        let trace = Trace { kind: self.kind, target, worker, came: self.came, sent: self.sent, is_error };
        out.push(Action::End { host, id: self.id, answer, trace });
    }

    /// Passes on a frame that does not end it.
    pub(super) fn emit(&self, payload: Bytes, is_progress: bool, out: &mut Vec<Action>) {
        if let Owner::Host(host) = self.owner {
            out.push(Action::Emit { host, id: self.id.clone(), payload, is_progress });
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    table: HashMap<RequestKey, Request>,
    by_id: HashMap<(HostId, Arc<str>), RequestKey>,
    next: RequestKey,
    hosts: usize,
    bytes: usize,
}

impl Requests {
    pub(super) fn get(&self, key: RequestKey) -> Option<&Request> {
        self.table.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: RequestKey) -> Option<&mut Request> {
        self.table.get_mut(&key)
    }

    pub(super) fn find(&self, host: HostId, id: &Arc<str>) -> Option<RequestKey> {
        self.by_id.get(&(host, id.clone())).copied()
    }

    /// Takes a request in and sets its timer.
    pub(super) fn insert(&mut self, request: Request, timers: &mut Timers) -> RequestKey {
        let key = self.next;
        self.next += 1;
        if let Owner::Host(host) = request.owner {
            self.by_id.insert((host, request.id.clone()), key);
            self.hosts += 1;
        }
        self.bytes += request.size();
        timers.add(request.due, Timer::Request(key));
        self.table.insert(key, request);
        key
    }

    /// Takes a request out, and its timer.
    pub(super) fn take(&mut self, key: RequestKey, timers: &mut Timers) -> Option<Request> {
        let request = self.table.remove(&key)?;
        timers.remove(request.due, Timer::Request(key));
        self.bytes -= request.size();
        if let Owner::Host(host) = request.owner {
            self.by_id.remove(&(host, request.id.clone()));
            self.hosts -= 1;
        }
        Some(request)
    }

    /// Moves a request's timer.
    pub(super) fn postpone(&mut self, key: RequestKey, due: Millis, timers: &mut Timers) {
        if let Some(request) = self.table.get_mut(&key) {
            timers.remove(request.due, Timer::Request(key));
            request.due = due;
            timers.add(due, Timer::Request(key));
        }
    }

    /// A request has begun to be written: its bytes are let go, unless they are kept for another worker.
    pub(super) fn begin(&mut self, key: RequestKey, is_kept: bool) {
        if let Some(request) = self.table.get_mut(&key) {
            request.has_begun = true;
            if !is_kept {
                self.bytes -= request.frame.take().map_or(0, |frame| frame.len());
            }
        }
    }

    /// How many bytes the open requests cost.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many requests of hosts have not ended.
    pub(super) fn open(&self) -> usize {
        self.hosts
    }

    /// The hosts' requests, oldest first.
    pub(super) fn of_hosts(&self) -> Vec<RequestKey> {
        let mut keys: Vec<RequestKey> = self.by_id.values().copied().collect();
        keys.sort_unstable();
        keys
    }
}

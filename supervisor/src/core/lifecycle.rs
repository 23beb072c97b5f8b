//! Workers from their start to their end. What they are asked in between is in [`handshake`](super::handshake), the end
//! of the whole fleet in [`shutdown`](super::shutdown).

use millwork_protocol::message::{ErrorData, ErrorKind};

use super::policy::Next;
use super::state::{After, Condemned, WorkerId, WorkerState};
use super::timers::Watch;
use super::{Action, Answer, Cause, Core, Millis, Owner, Request, RequestKey, Timer};

/// How long a worker may live on that has closed a pipe.
const CLOSED_PIPE: Millis = 200;
/// So much of a dead worker's stderr goes into errors, in bytes.
const TAIL_IN_ERRORS: usize = 2048;

impl Core {
    pub(super) fn change(&mut self, id: WorkerId, state: WorkerState, detail: Option<String>) {
        if let Some(worker) = self.workers.get_mut(id).filter(|worker| worker.state != state) {
            worker.state = state;
            self.out.push(Action::Changed { worker: id, state, detail });
        }
    }

    /// Starts a worker's next process.
    pub(super) fn start(&mut self, now: Millis, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        worker.reset(now);
        let run = worker.run;
        self.change(id, WorkerState::Starting, None);
        self.watch(id, Watch::Ready, now.saturating_add(self.policy.ready_timeout));
        self.out.push(Action::Spawn { worker: id, run });
    }

    pub(super) fn watch(&mut self, id: WorkerId, watch: Watch, at: Millis) {
        let run = self.workers.get(id).map_or(0, |worker| worker.run);
        self.timers.add(at, Timer::Worker(id, run, watch));
    }

    /// What bounds its process is for people to see.
    pub(super) fn bounded(&mut self, id: WorkerId, bounds: String) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.bounds = bounds;
        }
    }

    /// What the worker says is not what a worker says: it is replaced.
    pub(super) fn broken(&mut self, now: Millis, id: WorkerId, cause: String) {
        self.condemn(now, id, cause, true);
        // Nothing that it may still say could be understood.
        self.kill(id);
    }

    /// Its stdout has ended: its process should be next.
    pub(super) fn closed(&mut self, now: Millis, id: WorkerId) {
        self.watch(id, Watch::Closed, now.saturating_add(CLOSED_PIPE));
    }

    /// It reads no more: its process should be next. What it was not sent goes to another.
    pub(super) fn deaf(&mut self, now: Millis, id: WorkerId) {
        self.watch(id, Watch::Deaf, now.saturating_add(CLOSED_PIPE));
    }

    /// Ends a worker that lives. What it still answers on the way counts.
    pub(super) fn condemn(&mut self, now: Millis, id: WorkerId, reason: String, is_crash: bool) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        if !worker.state.is_alive() || worker.condemned.is_some() {
            return;
        }
        worker.condemned = Some(Condemned { reason: reason.clone(), is_crash, signal: "SIGTERM" });
        self.change(id, WorkerState::Draining, Some(reason));
        self.out.push(Action::Terminate { worker: id });
        self.watch(id, Watch::Kill, now.saturating_add(self.policy.kill_grace));
    }

    fn kill(&mut self, id: WorkerId) {
        if let Some(condemned) = self.workers.get_mut(id).and_then(|worker| worker.condemned.as_mut()) {
            condemned.signal = "SIGKILL";
        }
        self.out.push(Action::Kill { worker: id });
    }

    /// A limit on a worker is due.
    pub(super) fn worker_due(&mut self, now: Millis, id: WorkerId, watch: Watch) {
        let Some(state) = self.workers.get(id).map(|worker| worker.state) else { return };
        match (watch, state) {
            (Watch::Ready, WorkerState::Starting) => {
                let reason = format!("it did not say READY within {} ms", self.policy.ready_timeout);
                self.condemn(now, id, reason, true);
            }
            (Watch::Handshake, WorkerState::Discovering) => {
                let reason =
                    format!("it did not answer discover and status within {} ms", self.policy.handshake_timeout);
                self.condemn(now, id, reason, true);
            }
            (Watch::Terminate, state) if state.is_alive() => {
                self.out.push(Action::Terminate { worker: id });
                self.watch(id, Watch::Kill, now.saturating_add(self.policy.kill_grace));
            }
            (Watch::Closed, state) if state.is_alive() => self.broken(now, id, "it closed its stdout".to_owned()),
            (Watch::Deaf, state) if state.is_alive() => self.condemn(now, id, "it closed its stdin".to_owned(), true),
            (Watch::Kill, state) if state.is_alive() => self.kill(id),
            (Watch::Idle, _) => self.idle_due(now, id),
            (Watch::Health, _) => self.health_due(now, id),
            (Watch::Age, _) => self.age_due(now, id),
            (Watch::Restart, WorkerState::BackingOff | WorkerState::Failed) => self.start(now, id),
            _ => {}
        }
    }

    /// The process is gone. Every request that it had ends here, or goes back to the queue where it had not begun.
    pub(super) fn exited(&mut self, now: Millis, id: WorkerId, exit: &str, tail: &str) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        if !worker.state.is_alive() {
            return;
        }
        worker.never_ran = worker.pid.take().is_none();
        worker.unwritten.clear();
        let mut keys: Vec<RequestKey> = worker.in_flight.drain().map(|(_, key)| key).collect();
        keys.sort_unstable();
        let condemned = worker.condemned.take();
        let leaving = worker.leaving.take();
        // One that was let go has nothing to be blamed for, however it ends.
        let is_expected = leaving.is_some() && condemned.as_ref().is_some_and(|c| !c.is_crash) && keys.is_empty();
        let uptime = worker.ready_at.take().map_or(0, |at| now.saturating_sub(at));
        let group = worker.group;
        let first_attempt = !std::mem::replace(&mut worker.attempted, true);
        let death = describe(&worker.name, exit, tail, condemned.as_ref());
        if !is_expected {
            worker.last_error = Some(death.clone());
        }

        self.blame(now, &keys, condemned.is_none());
        let mut again = Vec::new();
        for key in keys {
            if self.can_go_again(key, now) {
                again.push(key);
            } else if let Some(request) = self.requests.take(key, &mut self.timers) {
                self.bury(now, request, &death, condemned.as_ref());
            }
        }
        self.requeue(&again);
        let is_removed = self.groups.get(group).is_some_and(|group| group.is_removed);
        match leaving {
            _ if is_removed && self.is_running() => self.bid_farewell(id),
            Some(After::Rest) if self.is_running() => self.rest(id, group),
            Some(After::Restart) if is_expected && self.is_running() => self.start(now, id),
            _ => self.succeed(now, id, uptime, condemned.as_ref(), death),
        }
        self.settle(now, group);
        // That a successor does not come up is told while the old one serves on.
        let is_successor = self.groups.get(group).is_some_and(|group| group.successor == Some(id));
        if first_attempt || is_successor || self.workers.get(id).is_some_and(|worker| !worker.counts()) {
            self.rebuild_inventory();
        }
        if first_attempt {
            self.release_waiting(now);
        }
        if let Some(pool) = self.groups.get(group).map(|group| group.home.pool) {
            self.fail_hopeless(pool);
            self.pump(now, pool);
        }
    }

    /// A worker that left has gone. What it told is kept where nobody else of its group has told anything.
    fn rest(&mut self, id: WorkerId, group: usize) {
        self.change(id, WorkerState::Idle, None);
        let Some(group) = self.groups.get_mut(group) else { return };
        group.successor = group.successor.filter(|successor| *successor != id);
        let knows = |other: &WorkerId| self.workers.get(*other).is_some_and(|worker| worker.known.is_some());
        if group.workers.iter().any(|other| *other != id && knows(other))
            && let Some(worker) = self.workers.get_mut(id)
        {
            worker.known = None;
        }
    }

    /// A crash with a single request running is that request's doing.
    fn blame(&mut self, now: Millis, keys: &[RequestKey], is_crash: bool) {
        let begun = keys.iter().filter_map(|key| self.requests.get(*key)).filter(|request| request.has_begun);
        let mut begun = begun.map(|request| (request.owner, request.fingerprint));
        if let (true, Some((Owner::Host(_), fingerprint)), None) = (is_crash, begun.next(), begun.next()) {
            self.poison.blame(fingerprint, now);
        }
    }

    /// Ends a request whose worker died.
    fn bury(&mut self, now: Millis, request: Request, death: &str, condemned: Option<&Condemned>) {
        let signal = condemned.map_or("its end", |condemned| condemned.signal);
        let error = match (request.cancel, request.overdue) {
            (Some(Cause::Host | Cause::Shutdown), true) => {
                let text = format!("cancelled; {} did not stop, so its worker was ended by {signal}", request.label());
                ErrorData::new(ErrorKind::Cancelled, text)
            }
            (Some(Cause::Host | Cause::Shutdown), false) => {
                ErrorData::new(ErrorKind::Cancelled, format!("cancelled; meanwhile {death}"))
            }
            (Some(Cause::Deadline), true) => {
                let text = format!("timed out; {} did not stop, so its worker was ended by {signal}", request.label());
                ErrorData::new(ErrorKind::Timeout, text)
            }
            (Some(Cause::Deadline), false) => {
                ErrorData::new(ErrorKind::Timeout, format!("timed out; meanwhile {death}"))
            }
            (None, _) => ErrorData::new(ErrorKind::WorkerDied, format!("{} failed: {death}", request.label())),
        };
        match request.owner {
            Owner::Part(parent, worker) => self.part_done(now, parent, worker, Err(Box::new(error))),
            Owner::Host(_) | Owner::Handshake(_) | Owner::Probe(_) => request.end(Answer::Error(error), &mut self.out),
        }
    }

    /// Decides what becomes of a worker whose process is gone.
    fn succeed(&mut self, now: Millis, id: WorkerId, uptime: Millis, condemned: Option<&Condemned>, death: String) {
        if !self.is_running() {
            return self.change(id, WorkerState::Stopped, None);
        }
        if condemned.is_some_and(|condemned| !condemned.is_crash) {
            return self.start(now, id);
        }
        let jitter = now.wrapping_mul(31).wrapping_add(id as u64 * 7);
        let Some(worker) = self.workers.get_mut(id) else { return };
        let (state, wait) = match worker.crashes.add(uptime, jitter, &self.policy.restart) {
            Next::BackOff(wait) => (WorkerState::BackingOff, wait),
            Next::Open(wait) => (WorkerState::Failed, wait),
        };
        self.change(id, state, Some(death));
        self.watch(id, Watch::Restart, now.saturating_add(wait));
    }
}

/// How a worker ended, in a sentence with the end of its stderr.
fn describe(name: &str, exit: &str, tail: &str, condemned: Option<&Condemned>) -> String {
    let mut text = match condemned {
        Some(condemned) => format!("worker `{name}` was ended because {} ({exit})", condemned.reason),
        None if exit.ends_with("(SIGKILL)") => {
            format!("worker `{name}` died ({exit}; the system may be out of memory)")
        }
        None => format!("worker `{name}` died ({exit})"),
    };
    let tail = tail.trim_end();
    let from = tail.len().saturating_sub(TAIL_IN_ERRORS);
    let from = (from..=tail.len()).find(|at| tail.is_char_boundary(*at)).unwrap_or_default();
    if let Some(tail) = tail.get(from..).filter(|tail| !tail.is_empty()) {
        text.push_str(". Its last output:\n");
        text.push_str(tail);
    }
    text
}

//! Requests in: taken up, refused, queued, sent, cancelled. What comes back for them is in [`answers`](super::answers).

use millwork_protocol::Frame;
use millwork_protocol::Map;
use millwork_protocol::message::{ErrorData, ErrorKind};

use super::pool::Home;
use super::routing::Decision;
use super::shutdown::Shutdown;
use super::state::WorkerId;
use super::{Answer, Cause, Core, Incoming, Millis, Owner, Place, Request, RequestKey};

/// A host waits 30 s for `discover`: it hears before that what there is so far.
const DISCOVER_WAIT: Millis = 25_000;
/// A download takes as long as a network makes it, and ends by itself where nothing comes.
const TRANSFER_WAIT: Millis = 24 * 60 * 60 * 1000;

impl Core {
    pub(super) fn receive(&mut self, now: Millis, incoming: Incoming) {
        let Incoming { host, id, kind, route, fingerprint, frame } = incoming;
        let timeout = match &*kind {
            "discover" => DISCOVER_WAIT,
            "models.download" | "models.prepare" => route.timeout_ms.unwrap_or(TRANSFER_WAIT),
            _ => route.timeout_ms.unwrap_or(self.policy.request_timeout),
        };
        let request = Request {
            owner: Owner::Host(host),
            id,
            kind,
            route,
            came: now,
            sent: None,
            place: Place::Waiting,
            frame: Some(frame),
            fingerprint,
            due: now.saturating_add(timeout),
            cancel: None,
            overdue: false,
            home: Home::default(),
            has_begun: false,
            retries: 0,
        };
        if let Some(error) = self.objection(now, &request) {
            return request.end(Answer::Error(error), &mut self.out);
        }
        self.route(now, request);
    }

    /// What speaks against a request whatever it is about.
    fn objection(&self, now: Millis, request: &Request) -> Option<ErrorData> {
        let Owner::Host(host) = request.owner else { return None };
        if self.requests.find(host, &request.id).is_some() {
            let text = format!("request id `{}` is still in flight: each request needs an id of its own", request.id);
            return Some(ErrorData::new(ErrorKind::InvalidInput, text));
        }
        if matches!(self.shutdown, Shutdown::Stopping | Shutdown::Stopped) {
            return Some(ErrorData::new(ErrorKind::Unavailable, "the supervisor is shutting down"));
        }
        if self.poison.is_poison(request.fingerprint, now) {
            let text = format!("{} is refused: the same request has ended two workers lately", request.label());
            return Some(ErrorData::new(ErrorKind::Poison, text));
        }
        None
    }

    /// Sends a request on its way, for the first time or again. Its timer runs while it is in the table.
    fn route(&mut self, now: Millis, request: Request) {
        match self.decide(&request) {
            Decision::Home(home) => self.enqueue(now, request, home),
            Decision::Gather => self.gather(now, request),
            Decision::Answer(answer) => request.end(answer, &mut self.out),
            Decision::Wait if self.is_full() => self.refuse_overload(request),
            Decision::Wait => {
                let key = self.requests.insert(request, &mut self.timers);
                self.waiting.push_back(key);
            }
        }
    }

    fn is_full(&self) -> bool {
        let queued: usize = self.pools.iter().map(|pool| pool.queue.len()).sum();
        queued + self.waiting.len() >= self.policy.max_queued
    }

    fn refuse_overload(&mut self, request: Request) {
        let text = format!("overloaded: {} requests wait already (max_queued)", self.policy.max_queued);
        request.end(Answer::Error(ErrorData::new(ErrorKind::Overloaded, text)), &mut self.out);
    }

    fn enqueue(&mut self, now: Millis, mut request: Request, home: Home) {
        if request.id.is_empty() {
            let text = format!("{}: request_id must be text and not empty", request.kind);
            return request.end(Answer::Error(ErrorData::new(ErrorKind::InvalidInput, text)), &mut self.out);
        }
        if let Some(error) = self.hopeless(home) {
            return request.end(Answer::Error(error), &mut self.out);
        }
        let queue_is_empty = self.pools.get(home.pool).is_none_or(|pool| pool.queue.is_empty());
        request.home = home;
        request.place = Place::Queued;
        match self.pick(&request).filter(|_| queue_is_empty) {
            Some(worker) => {
                let key = self.requests.insert(request, &mut self.timers);
                self.assign(now, key, worker);
            }
            None if self.is_full() => self.refuse_overload(request),
            None => {
                let flow = request.flow();
                let key = self.requests.insert(request, &mut self.timers);
                if let Some(pool) = self.pools.get_mut(home.pool) {
                    pool.queue.push(flow, key);
                }
                self.pump(now, home.pool);
            }
        }
    }

    /// Hands a request to the worker that was picked for it.
    pub(super) fn assign(&mut self, now: Millis, key: RequestKey, to: WorkerId) {
        let affinity = self.requests.get(key).and_then(|request| request.route.affinity);
        if let (Some(affinity), Some(worker), true) = (affinity, self.workers.get(to), self.workers.len() > 1) {
            self.sticky.remember(affinity, to, worker.run);
        }
        if let Some(request) = self.requests.get_mut(key) {
            request.sent = Some(now);
        }
        self.send(key, to);
    }

    /// Hands a request to a worker.
    pub(super) fn send(&mut self, key: RequestKey, to: WorkerId) {
        let (Some(request), Some(worker)) = (self.requests.get_mut(key), self.workers.get_mut(to)) else { return };
        let Some(frame) = request.frame.clone() else { return };
        request.place = Place::Sent { worker: to, start: worker.sent };
        worker.in_flight.insert(request.id.clone(), key);
        worker.unwritten.push_back(key);
        self.push(to, frame);
    }

    /// Hands a frame to a worker and counts its bytes.
    fn push(&mut self, to: WorkerId, frame: Frame) {
        if let Some(worker) = self.workers.get_mut(to) {
            worker.sent += frame.len() as u64;
            self.out.push(super::Action::Send { worker: to, frame });
        }
    }

    /// The pipe has taken bytes: requests that have begun can no longer be sent elsewhere, and need not be kept.
    pub(super) fn wrote(&mut self, id: WorkerId, total: u64) {
        while let Some(worker) = self.workers.get(id)
            && let Some(key) = worker.unwritten.front().copied()
        {
            let request = self.requests.get(key);
            if matches!(request.map(|r| &r.place), Some(Place::Sent { start, .. }) if *start >= total) {
                return;
            }
            let is_kept = request.is_some_and(|request| self.is_kept(request, worker));
            self.requests.begin(key, is_kept);
            self.workers.get_mut(id).map(|worker| worker.unwritten.pop_front());
        }
    }

    /// Ends a request before its time: at once where no worker has it, else through its worker.
    pub(super) fn cancel(&mut self, now: Millis, key: RequestKey, cause: Cause) {
        let Some(request) = self.requests.get_mut(key) else { return };
        let Place::Sent { worker, .. } = request.place else {
            return self.drop_unsent(key, cause);
        };
        if request.cancel.is_some() {
            return;
        }
        request.cancel = Some(cause);
        let frame = Frame::message("cancel", Some(&request.id), &Map::new());
        let due = now.saturating_add(self.policy.cancel_grace);
        self.requests.postpone(key, due, &mut self.timers);
        self.push(worker, frame);
    }

    /// Ends a request that no worker has.
    fn drop_unsent(&mut self, key: RequestKey, cause: Cause) {
        let Some(request) = self.requests.take(key, &mut self.timers) else { return };
        match request.place {
            Place::Queued => {
                if let Some(pool) = self.pools.get_mut(request.home.pool) {
                    pool.queue.remove(request.flow(), key);
                }
            }
            Place::Waiting => self.waiting.retain(|other| *other != key),
            Place::Sent { .. } | Place::Gathering(_) => {}
        }
        let was = if matches!(request.place, Place::Gathering(_)) {
            "before all workers answered"
        } else {
            "before it was sent to a worker"
        };
        let error = match cause {
            Cause::Host => ErrorData::new(ErrorKind::Cancelled, format!("cancelled {was}")),
            Cause::Shutdown => {
                ErrorData::new(ErrorKind::Cancelled, format!("cancelled {was}: the host closed the connection"))
            }
            Cause::Deadline => ErrorData::new(ErrorKind::Timeout, format!("timed out {was}")),
        };
        request.end(Answer::Error(error), &mut self.out);
    }

    /// A request's timer is due: its deadline, or the end of its grace after a cancel.
    pub(super) fn request_due(&mut self, now: Millis, key: RequestKey) {
        let Some(request) = self.requests.get_mut(key) else { return };
        match (&request.place, request.owner) {
            (_, Owner::Part(parent, worker)) => self.part_overdue(now, key, parent, worker),
            (_, Owner::Probe(worker)) => self.probe_overdue(now, key, worker),
            (_, Owner::Handshake(_)) => {}
            (Place::Waiting, _) if &*request.kind == "discover" => self.discover_now(key),
            (Place::Sent { worker, .. }, _) if request.cancel.is_some() => {
                let worker = *worker;
                request.overdue = true;
                let label = request.label().to_owned();
                let grace = self.policy.cancel_grace;
                let reason = format!("a cancelled request on it ({label}) did not stop within {grace} ms");
                self.condemn(now, worker, reason, false);
            }
            _ => self.cancel(now, key, Cause::Deadline),
        }
    }

    /// Answers `discover` while workers are still starting.
    fn discover_now(&mut self, key: RequestKey) {
        self.waiting.retain(|other| *other != key);
        if let Some(request) = self.requests.take(key, &mut self.timers) {
            let answer = Answer::Message("discover", self.inventory_so_far());
            request.end(answer, &mut self.out);
        }
    }

    /// Some first attempt has ended: decides again about what waited for it.
    pub(super) fn release_waiting(&mut self, now: Millis) {
        for key in std::mem::take(&mut self.waiting) {
            if let Some(mut request) = self.requests.take(key, &mut self.timers) {
                request.place = Place::Waiting;
                self.route(now, request);
            }
        }
    }

    /// Puts requests that had not begun back to the head of their lines, in their order.
    pub(super) fn requeue(&mut self, keys: &[RequestKey]) {
        for key in keys.iter().rev() {
            if let Some(request) = self.requests.get_mut(*key)
                && let Some(pool) = self.pools.get_mut(request.home.pool)
            {
                request.place = Place::Queued;
                request.retries += u8::from(std::mem::take(&mut request.has_begun));
                pool.queue.put_back(request.flow(), *key);
            }
        }
    }

    /// Fails requests that have been taken out of their queue.
    pub(super) fn fail(&mut self, keys: Vec<RequestKey>, error: &ErrorData) {
        for key in keys {
            if let Some(request) = self.requests.take(key, &mut self.timers) {
                request.end(Answer::Error(error.clone()), &mut self.out);
            }
        }
    }
}

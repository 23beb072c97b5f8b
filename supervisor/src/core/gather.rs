//! A request to several workers at once: its parts, and putting their answers together when the last is in.

use millwork_protocol::message::{ErrorData, ErrorKind};
use millwork_protocol::{Envelope, Frame, Limits, Map};

use super::routing::has_store;
use super::state::{Worker, WorkerId, WorkerState};
use super::{Answer, Core, Millis, Outcome, Owner, Place, Request, RequestKey, merge};

/// How long a worker may take to tell its status before the last known one is used.
const STATUS_WAIT: Millis = 5000;

impl Core {
    /// Asks every ready worker.
    pub(super) fn gather(&mut self, now: Millis, mut request: Request) {
        let data = match request.frame.take().map(|frame| decode(&frame)) {
            Some(Ok(data)) => data,
            Some(Err(text)) => {
                return request.end(Answer::Error(ErrorData::new(ErrorKind::InvalidInput, text)), &mut self.out);
            }
            None => Map::new(),
        };
        let ready = |id: &WorkerId| self.workers.get(*id).is_some_and(|worker| worker.state == WorkerState::Ready);
        let kind = request.kind.clone();
        // A worker without a model store has nothing to say about models, and would say it over another's error.
        let fits = |id: &WorkerId| {
            let known = self.workers.get(*id).and_then(|worker| worker.known.as_ref());
            !matches!(&*kind, "models.delete" | "models.list_cached")
                || known.and_then(|known| known.status.as_ref()).is_none_or(has_store)
        };
        let ready: Vec<WorkerId> = (0..self.workers.len()).filter(ready).collect();
        let fitting: Vec<WorkerId> = ready.iter().copied().filter(fits).collect();
        let workers = if fitting.is_empty() { ready } else { fitting };
        // What these carry means nothing, and would wait with each worker that does not read.
        let data = match &*kind {
            "worker.status" | "provider.list" | "models.list_cached" => Map::new(),
            _ => data,
        };
        let limit = match &*kind {
            "worker.status" => now.saturating_add(STATUS_WAIT),
            // These free memory or disk, which may take a while.
            "models.delete" | "models.evict" => request.due,
            _ => now.saturating_add(self.policy.handshake_timeout),
        };
        request.place = Place::Gathering(workers.iter().map(|worker| (*worker, None)).collect());
        let parent = self.requests.insert(request, &mut self.timers);
        for worker in &workers {
            let id = self.own_id();
            // Before the whole is due, so that it can still be answered.
            let due = limit.saturating_sub(1).max(now);
            let part = Request::own(Owner::Part(parent, *worker), id, kind.clone(), &data, due);
            let key = self.requests.insert(part, &mut self.timers);
            self.send(key, *worker);
        }
        self.conclude(now, parent);
    }

    /// One part has ended.
    pub(super) fn part_done(&mut self, now: Millis, parent: RequestKey, from: WorkerId, answer: Outcome) {
        // The whole may have been cancelled meanwhile.
        if let Some(Request { place: Place::Gathering(parts), .. }) = self.requests.get_mut(parent) {
            if let Some((_, slot)) = parts.iter_mut().find(|(worker, _)| *worker == from) {
                *slot = Some(answer);
            }
            self.conclude(now, parent);
        }
    }

    /// A part takes too long: the whole does without it.
    pub(super) fn part_overdue(&mut self, now: Millis, key: RequestKey, parent: RequestKey, from: WorkerId) {
        let Some(part) = self.requests.take(key, &mut self.timers) else { return };
        if let Some(worker) = self.workers.get_mut(from) {
            worker.in_flight.remove(&part.id);
        }
        self.dismiss(now, from);
        let text = format!("worker `{}` did not answer {} in time", self.name(from), part.kind);
        self.part_done(now, parent, from, Err(Box::new(ErrorData::new(ErrorKind::Timeout, text))));
    }

    /// Answers the whole once every part has ended.
    fn conclude(&mut self, now: Millis, parent: RequestKey) {
        let Some(Request { place: Place::Gathering(parts), .. }) = self.requests.get(parent) else { return };
        if parts.iter().any(|(_, answer)| answer.is_none()) {
            return;
        }
        let Some(mut request) = self.requests.take(parent, &mut self.timers) else { return };
        let Place::Gathering(parts) = std::mem::replace(&mut request.place, Place::Waiting) else { return };
        let mut parts: Vec<_> = parts.into_iter().filter_map(|(worker, answer)| Some((worker, answer?))).collect();
        let answer = match &*request.kind {
            "worker.status" => Ok(self.merged_status(now, parts)),
            kind => {
                self.refresh(kind, &parts);
                let answers = parts.drain(..).map(|(_, answer)| answer);
                merge::answers(kind, &self.inventory.provider_list, answers)
            }
        };
        let answer = answer.map_or_else(|error| Answer::Error(*error), |data| Answer::Message("result", data));
        request.end(answer, &mut self.out);
    }

    /// A fresh list of providers also decides where their requests go.
    fn refresh(&mut self, kind: &str, parts: &[(WorkerId, Outcome)]) {
        if kind != "provider.list" {
            return;
        }
        for (worker, answer) in parts {
            let known = self.workers.get_mut(*worker).and_then(|worker| worker.known.as_mut());
            if let (Some(known), Ok(answer)) = (known, answer) {
                known.providers = answer.get("providers").and_then(|list| list.as_list()).map(<[_]>::to_vec);
            }
        }
        self.rebuild_inventory();
    }

    /// The fleet's status: fresh where a worker answered, else as it was last known.
    fn merged_status(&mut self, now: Millis, parts: Vec<(WorkerId, Outcome)>) -> Map {
        for (worker, answer) in parts {
            let known = self.workers.get_mut(worker).and_then(|worker| worker.known.as_mut());
            if let (Some(known), Ok(answer)) = (known, answer) {
                known.status = Some(answer);
            }
        }
        let statuses = self.workers.iter().filter(|worker| worker.counts() || worker.can_rest());
        let statuses: Vec<&Map> = statuses.filter_map(|worker| worker.known.as_ref()?.status.as_ref()).collect();
        let rows = self.rows(now);
        merge::status(&statuses, &self.inventory, self.policy.max_frame, rows, self.dropped)
    }
}

impl Core {
    /// A line for each worker that is worth one.
    pub(super) fn rows(&self, now: Millis) -> Vec<Map> {
        let shown = self.workers.iter().enumerate().filter(|(id, worker)| self.is_shown(*id, worker));
        let row = |(_, worker): (WorkerId, &Worker)| {
            let pool = self.groups.get(worker.group).and_then(|group| self.pools.get(group.home.pool));
            let queued = pool.map_or(0, |pool| pool.queue.len());
            // The supervisor's own questions are not what people ask about.
            let is_hosts = |key: &&RequestKey| {
                self.requests.get(**key).is_some_and(|request| matches!(request.owner, Owner::Host(_)))
            };
            let in_flight = worker.in_flight.values().filter(is_hosts).count();
            merge::worker_row(worker, in_flight, queued, now)
        };
        shown.map(row).collect()
    }

    /// Whether a worker is worth a line: it does something, or stands for a group of which nobody does.
    fn is_shown(&self, id: WorkerId, worker: &Worker) -> bool {
        let Some(group) = self.groups.get(worker.group) else { return false };
        let is_idle = |worker: &Worker| worker.state == WorkerState::Idle;
        if group.is_removed && worker.state == WorkerState::Stopped {
            return false;
        }
        !is_idle(worker) || (group.workers.first() == Some(&id) && group.members(&self.workers).all(is_idle))
    }
}

fn decode(frame: &Frame) -> Result<Map, String> {
    let payload = frame.to_payload();
    let envelope = Envelope::peek(&payload).map_err(|error| error.to_string())?;
    envelope.decode_data(&payload, &Limits::default()).map_err(|error| error.to_string())
}

//! Workers that are replaced without anything going wrong: old, heavy, or started with other settings. One at a time, each
//! by a successor that is ready before the old one stops taking requests; and no request fails because of it.

use super::shutdown::Shutdown;
use super::state::{After, Condemned, WorkerId, WorkerState};
use super::timers::Watch;
use super::{Action, Core, Millis};

/// How long a worker that has been let go may take to end once its stdin is closed.
const FAREWELL: Millis = 2000;

impl Core {
    /// A worker is to be replaced as soon as it is its turn.
    pub(super) fn retire(&mut self, now: Millis, id: WorkerId, reason: String) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        if worker.state == WorkerState::Ready && worker.due.is_none() {
            worker.due = Some(reason);
            let group = worker.group;
            self.roll(now, group);
        }
    }

    /// Replaces the next worker of a group that is due, if none is being replaced.
    pub(super) fn roll(&mut self, now: Millis, group: usize) {
        let is_ended = self.shutdown != Shutdown::Running;
        let Some(place) = self.groups.get(group).filter(|group| group.successor.is_none() && !is_ended) else { return };
        let Some((old, reason)) = self.due(group) else { return };
        let successor = if place.policy.recycle.stop_first {
            self.leave(now, old, After::Restart, reason);
            Some(old)
        } else {
            self.start_another(now, group)
        };
        if let Some(group) = self.groups.get_mut(group) {
            group.successor = successor;
        }
    }

    /// The first worker of a group that is due for replacement.
    fn due(&self, group: usize) -> Option<(WorkerId, String)> {
        let mut members = self.groups.get(group)?.workers.iter().filter_map(|id| Some((*id, self.workers.get(*id)?)));
        members.find_map(|(id, worker)| Some((id, worker.due.clone().filter(|_| worker.state == WorkerState::Ready)?)))
    }

    /// A worker is ready: where it came in another's place, that one goes.
    pub(super) fn succeeded(&mut self, now: Millis, id: WorkerId, group: usize) {
        if let Some(place) = self.groups.get_mut(group).filter(|group| group.successor == Some(id)) {
            place.successor = None;
            let stop_first = place.policy.recycle.stop_first;
            if let Some((old, reason)) = self.due(group).filter(|_| !stop_first) {
                self.leave(now, old, After::Rest, reason);
            }
        }
        self.settle(now, group);
    }

    /// Takes a worker out of service: it finishes what it has, and then ends.
    pub(super) fn leave(&mut self, now: Millis, id: WorkerId, after: After, reason: String) {
        let Some(worker) = self.workers.get_mut(id).filter(|worker| worker.state == WorkerState::Ready) else { return };
        worker.leaving = Some(after);
        self.change(id, WorkerState::Draining, Some(reason));
        self.dismiss(now, id);
    }

    /// Ends a worker that is leaving, once nothing is left on it.
    pub(super) fn dismiss(&mut self, now: Millis, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        if worker.leaving.is_none() || worker.condemned.is_some() || !worker.in_flight.is_empty() {
            return;
        }
        let reason = "it was not needed any more".to_owned();
        worker.condemned = Some(Condemned { reason, is_crash: false, signal: "SIGTERM" });
        self.out.push(Action::CloseStdin { worker: id });
        self.watch(id, Watch::Terminate, now.saturating_add(FAREWELL));
    }

    /// A host's request has ended on a worker.
    pub(super) fn served(&mut self, now: Millis, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        worker.served += 1;
        worker.idle_since = now;
        let group = worker.group;
        self.dissolve(now, group);
        let Some(worker) = self.workers.get_mut(id) else { return };
        let Some(limit) = self.groups.get(worker.group).map(|group| group.policy.recycle.max_requests) else { return };
        if limit > 0 && worker.served >= limit {
            let served = worker.served;
            self.retire(now, id, format!("it has served {served} requests (recycle.max_requests)"));
        }
    }

    /// It has grown as old as it may.
    pub(super) fn age_due(&mut self, now: Millis, id: WorkerId) {
        let age = self.workers.get(id).map_or(0, |worker| now.saturating_sub(worker.started_at));
        self.retire(now, id, format!("it has run for {age} ms (recycle.max_age_ms)"));
    }

    /// So much memory it has.
    pub(super) fn usage(&mut self, now: Millis, id: WorkerId, rss_bytes: u64) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        worker.rss_bytes = Some(rss_bytes);
        let Some(limit) = self.groups.get(worker.group).map(|group| group.policy.recycle.max_rss_bytes) else { return };
        if limit > 0 && rss_bytes > limit {
            let reason = format!("it has {rss_bytes} bytes of memory; {limit} is the limit (recycle.max_rss_bytes)");
            self.retire(now, id, reason);
        }
    }

    /// Replaces every worker of a group by one that is started anew.
    pub(super) fn replace(&mut self, now: Millis, group: usize, reason: &str) {
        let workers = self.groups.get(group).map(|group| group.workers.clone()).unwrap_or_default();
        for id in workers {
            let Some(worker) = self.workers.get_mut(id) else { continue };
            match worker.state {
                WorkerState::Ready => self.retire(now, id, reason.to_owned()),
                WorkerState::Starting | WorkerState::Discovering => self.condemn(now, id, reason.to_owned(), false),
                // The new settings may be the remedy.
                WorkerState::BackingOff | WorkerState::Failed => {
                    worker.crashes = super::policy::Crashes::default();
                    self.start(now, id);
                }
                WorkerState::Draining | WorkerState::Idle | WorkerState::Stopped => {}
            }
        }
        // A group that rests is started once: what it has may have changed.
        if self.running(group) == 0 {
            self.start_another(now, group);
        }
    }
}

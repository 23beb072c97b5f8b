//! Workers that are alive and silent: one that has said nothing for a while is asked for its status, and one that does not
//! answer that either is replaced.

use millwork_protocol::Map;

use super::state::{WorkerId, WorkerState};
use super::timers::Watch;
use super::{Core, Millis, Owner, Request, RequestKey};

impl Core {
    /// Begins to listen to a worker, or goes on with it.
    pub(super) fn listen(&mut self, now: Millis, id: WorkerId) {
        if self.policy.health_interval > 0 {
            self.watch(id, Watch::Health, now.saturating_add(self.policy.health_interval));
        }
    }

    /// Whether silence says something about a worker: one that answers nothing while it computes may be busy.
    fn should_answer(&self, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get(id) else { return false };
        let status = worker.known.as_ref().and_then(|known| known.status.as_ref());
        // Workers that are built with Millwork's own runtime have a thread for answers.
        let is_ours = || status.and_then(|s| s.get("extensions")?.get("millwork")).is_some();
        let configured = self.groups.get(worker.group).and_then(|group| group.policy.health_while_busy);
        worker.in_flight.is_empty() || configured.unwrap_or_else(is_ours)
    }

    /// A worker may have been silent for long enough to be asked.
    pub(super) fn health_due(&mut self, now: Millis, id: WorkerId) {
        let Some(worker) = self.workers.get(id) else { return };
        if !matches!(worker.state, WorkerState::Ready | WorkerState::Draining) || worker.condemned.is_some() {
            return;
        }
        let due = worker.heard_at.saturating_add(self.policy.health_interval);
        if now < due {
            return self.watch(id, Watch::Health, due);
        }
        if !self.should_answer(id) {
            return self.listen(now, id);
        }
        let until = now.saturating_add(self.policy.health_timeout);
        let probe = Request::own(Owner::Probe(id), self.own_id(), "worker.status".into(), &Map::new(), until);
        let key = self.requests.insert(probe, &mut self.timers);
        self.send(key, id);
    }

    /// A worker has not answered in time. Whatever else it has said since counts as well.
    pub(super) fn probe_overdue(&mut self, now: Millis, key: RequestKey, id: WorkerId) {
        let Some(worker) = self.workers.get(id) else { return };
        let until = worker.heard_at.saturating_add(self.policy.health_timeout);
        if now < until {
            return self.requests.postpone(key, until, &mut self.timers);
        }
        let limit = self.policy.health_timeout;
        let reason = format!("it is alive but silent: it did not answer worker.status within {limit} ms");
        self.condemn(now, id, reason, true);
    }

    /// What a worker says cannot be heard at the moment, which is not its fault.
    pub(crate) fn excuse(&mut self, now: Millis, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.heard_at = now;
        }
    }
}

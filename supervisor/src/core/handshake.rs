//! Getting to know a worker: what it is asked once its process is there, and what becomes of its answers.

use std::sync::Arc;

use millwork_protocol::{MIN_PROTOCOL_VERSION, Map, Value};

use super::routing::protocol_version;
use super::state::{WorkerId, WorkerState};
use super::timers::Watch;
use super::{Action, Core, Millis, Outcome, Owner, Request};

/// What a worker is asked before it gets requests.
const HANDSHAKE: [&str; 3] = ["discover", "worker.status", "provider.list"];

impl Core {
    /// The process is there. It is asked at once: the frames wait in its pipe until it is ready.
    pub(super) fn spawned(&mut self, id: WorkerId, pid: u32) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        worker.pid = Some(pid);
        if worker.state != WorkerState::Starting {
            return self.out.push(Action::Kill { worker: id });
        }
        for kind in HANDSHAKE {
            let own_id = self.own_id();
            let request = Request::own(Owner::Handshake(id), own_id, kind.into(), &Map::new(), Millis::MAX);
            let key = self.requests.insert(request, &mut self.timers);
            self.send(key, id);
        }
    }

    /// An id for a request of the supervisor's own.
    pub(super) fn own_id(&mut self) -> Arc<str> {
        self.next_own_id += 1;
        format!("{}{}", self.prefix, self.next_own_id).into()
    }

    /// It said READY, or answered as only a ready worker can.
    pub(super) fn up(&mut self, now: Millis, id: WorkerId) {
        if self.workers.get(id).is_some_and(|worker| worker.state == WorkerState::Starting) {
            self.change(id, WorkerState::Discovering, None);
            self.watch(id, Watch::Handshake, now.saturating_add(self.policy.handshake_timeout));
        }
    }

    /// An answer to one of the questions of the handshake.
    pub(super) fn learn(&mut self, now: Millis, id: WorkerId, question: &str, answer: Outcome) {
        self.up(now, id);
        let Some(worker) = self.workers.get_mut(id) else { return };
        match (question, answer) {
            ("discover", Ok(discover)) => {
                let version = protocol_version(Some(&discover));
                if version < i64::from(MIN_PROTOCOL_VERSION) {
                    let reason =
                        format!("it speaks protocol version {version}; {MIN_PROTOCOL_VERSION} is the oldest known");
                    return self.condemn(now, id, reason, true);
                }
                match discover.get("nodes") {
                    Some(Value::List(_)) => worker.learning.discover = Some(discover),
                    other => {
                        let found = other.map_or("nothing", Value::type_name);
                        let reason = format!("its answer to discover has {found} where the list `nodes` belongs");
                        return self.condemn(now, id, reason, true);
                    }
                }
            }
            ("discover", Err(error)) => {
                let reason = format!("it answered discover with an error: {}", error.error);
                return self.condemn(now, id, reason, true);
            }
            // The other two are younger than the protocol: a worker without them has no providers, and no status to show.
            ("worker.status", answer) => worker.learning.status = Some(answer.unwrap_or_default()),
            (_, answer) => {
                let listed = answer.ok().and_then(|mut map| map.swap_remove("providers"));
                let providers = listed.and_then(|value| match value {
                    Value::List(providers) => Some(providers),
                    _ => None,
                });
                worker.learning.providers = Some(providers.unwrap_or_default());
            }
        }
        if worker.learning.is_complete() && worker.state == WorkerState::Discovering {
            worker.known = Some(std::mem::take(&mut worker.learning));
            worker.ready_at = Some(now);
            worker.attempted = true;
            let group = worker.group;
            worker.idle_since = now;
            worker.heard_at = now;
            self.change(id, WorkerState::Ready, None);
            self.watch_over(now, id, group);
            self.succeeded(now, id, group);
            self.rebuild_inventory();
            self.release_waiting(now);
            if let Some(pool) = self.groups.get(group).map(|group| group.home.pool) {
                self.pump(now, pool);
            }
        }
    }

    /// Sets the timers that run while it is ready.
    fn watch_over(&mut self, now: Millis, id: WorkerId, group: usize) {
        let Some(policy) = self.groups.get(group).map(|group| &group.policy) else { return };
        let (idle, age) = (policy.idle_stop, policy.recycle.max_age_ms);
        if idle > 0 && policy.min < policy.max {
            self.watch(id, Watch::Idle, now.saturating_add(idle));
        }
        self.listen(now, id);
        if age > 0 {
            self.watch(id, Watch::Age, now.saturating_add(age));
        }
    }
}

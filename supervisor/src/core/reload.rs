//! Other settings for a fleet that runs: what changes at once, what changes by replacement, what is added, and what goes when
//! its last request has ended. Which is which, whoever has read the settings says.

use super::absent::Unloaded;
use super::policy::{GroupPolicy, Policy};
use super::state::{After, WorkerId, WorkerState};
use super::timers::Watch;
use super::{Core, Millis};

/// What has become of the settings.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) policy: Policy,
    /// Groups that stay, with their settings as they are now; and why their workers are to be replaced, if they are.
    pub(crate) kept: Vec<(usize, GroupPolicy, Option<String>)>,
    pub(crate) added: Vec<GroupPolicy>,
    pub(crate) removed: Vec<usize>,
    /// What did not load before any process.
    pub(crate) unloaded: Vec<Unloaded>,
}

impl Core {
    /// Goes by other settings from now on.
    pub(super) fn reconfigure(&mut self, now: Millis, changes: Changes) {
        if !self.is_running() {
            return;
        }
        let watched = self.policy.health_interval;
        self.policy = changes.policy;
        self.unloaded = changes.unloaded;
        if watched == 0 && self.policy.health_interval > 0 {
            let due = now.saturating_add(self.policy.health_interval);
            (0..self.workers.len()).for_each(|worker| self.watch(worker, Watch::Health, due));
        }
        for group in changes.removed {
            self.remove(now, group);
        }
        for (group, policy, reason) in changes.kept {
            self.adjust(now, group, policy, reason.as_deref());
        }
        for policy in changes.added {
            let first = self.workers.len();
            self.add_group(policy);
            (first..self.workers.len()).for_each(|worker| self.start(now, worker));
        }
        self.rebuild_inventory();
        self.release_waiting(now);
        for pool in 0..self.pools.len() {
            self.fail_hopeless(pool);
            self.pump(now, pool);
        }
    }

    fn adjust(&mut self, now: Millis, id: usize, policy: GroupPolicy, reason: Option<&str>) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let (room, idle_stop, max_age) = (policy.max_in_flight, policy.idle_stop, policy.recycle.max_age_ms);
        let is_other_stop = idle_stop != group.policy.idle_stop || policy.min != group.policy.min;
        let is_other_age = max_age != group.policy.recycle.max_age_ms;
        group.policy = policy;
        for worker in group.workers.clone() {
            let Some(place) = self.workers.get_mut(worker) else { continue };
            place.max_in_flight = room;
            let started_at = place.started_at;
            if is_other_stop && idle_stop > 0 {
                self.watch(worker, Watch::Idle, now.saturating_add(idle_stop));
            }
            if is_other_age && max_age > 0 {
                self.watch(worker, Watch::Age, started_at.saturating_add(max_age).max(now));
            }
        }
        if let Some(reason) = reason {
            self.replace(now, id, reason);
        }
        self.settle(now, id);
    }

    /// A group that is no more: nobody finds it any longer, and its workers go when nothing waits for them.
    fn remove(&mut self, now: Millis, id: usize) {
        let Some(group) = self.groups.get_mut(id) else { return };
        group.is_removed = true;
        (group.policy.min, group.policy.max) = (0, 0);
        for worker in group.workers.clone() {
            match self.workers.get(worker).map(|worker| worker.state) {
                Some(WorkerState::Starting | WorkerState::Discovering) => {
                    self.condemn(now, worker, "it is not in the configuration any more".to_owned(), false);
                }
                Some(WorkerState::BackingOff | WorkerState::Failed | WorkerState::Idle) => self.bid_farewell(worker),
                Some(WorkerState::Ready | WorkerState::Draining | WorkerState::Stopped) | None => {}
            }
        }
        self.dissolve(now, id);
    }

    /// Lets the workers of a removed group go, unless something waits for them.
    pub(super) fn dissolve(&mut self, now: Millis, id: usize) {
        let Some(group) = self.groups.get(id).filter(|group| group.is_removed) else { return };
        let home = group.home;
        let is_wanted = self.pools.get(home.pool).is_some_and(|pool| pool.queue.wanted().any(|m| m.has(home.members)));
        if !is_wanted {
            for worker in group.workers.clone() {
                self.leave(now, worker, After::Rest, "it is not in the configuration any more".to_owned());
            }
        }
    }

    /// A worker of a removed group has ended for good.
    pub(super) fn bid_farewell(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.known = None;
            worker.attempted = true;
            worker.last_error = Some("it is not in the configuration any more".to_owned());
        }
        self.change(id, WorkerState::Stopped, None);
    }
}

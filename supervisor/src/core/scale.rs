//! How many workers of a group run: more while requests wait, fewer after a while with nothing to do, none where that is
//! allowed. What waits for a worker that rests has it started.

use super::pool::Home;
use super::state::{After, Worker, WorkerId, WorkerState};
use super::timers::{Timer, Watch};
use super::{Core, Millis};

/// So long requests have waited before one more worker is started for them, and then each further one.
pub(super) const GROW_AFTER: Millis = 100;

impl Core {
    /// How many workers of a group run, or will without anybody's doing.
    pub(super) fn running(&self, group: usize) -> usize {
        let Some(group) = self.groups.get(group) else { return 0 };
        let runs = |worker: &&Worker| worker.counts() || worker.state == WorkerState::Failed;
        group.members(&self.workers).filter(runs).count()
    }

    /// Starts one more worker of a group, unless too many are on their way out.
    pub(super) fn start_another(&mut self, now: Millis, group: usize) -> Option<WorkerId> {
        if !self.is_running() {
            return None;
        }
        let place = self.groups.get(group)?;
        // One more than there may be, which takes the place of one that goes.
        let is_taken = |worker: &&Worker| !matches!(worker.state, WorkerState::Idle | WorkerState::Stopped);
        if place.members(&self.workers).filter(is_taken).count() > place.policy.max {
            return None;
        }
        let is_free = |id: &WorkerId| self.workers.get(*id).is_some_and(|worker| worker.state == WorkerState::Idle);
        let free = place.workers.iter().copied().find(is_free);
        let id = match free {
            Some(id) => id,
            None => self.add_worker(group)?,
        };
        if let Some(worker) = self.workers.get_mut(id) {
            // What its group has is known, or is being found out by another.
            worker.attempted = true;
        }
        self.start(now, id);
        Some(id)
    }

    /// Sees to it that somebody is there for what waits, and looks again later whether that is enough.
    pub(super) fn relieve(&mut self, now: Millis, pool: usize) {
        let Some(queue) = self.pools.get(pool).map(|pool| &pool.queue).filter(|queue| !queue.is_empty()) else {
            return;
        };
        let wanted: Vec<Home> = queue.wanted().map(|members| Home { pool, members }).collect();
        for home in wanted {
            // One start may have helped those that come after it.
            if !self.groups_of(home).flat_map(|(_, group)| group.members(&self.workers)).any(Worker::counts) {
                let groups = self.groups_of(home).filter(|(_, group)| group.counts(&self.workers));
                let groups: Vec<usize> = groups.map(|(group, _)| group).collect();
                groups.into_iter().find_map(|group| self.start_another(now, group));
            }
        }
        if self.growing(pool).is_some()
            && let Some(pool_) = self.pools.get_mut(pool).filter(|pool| !pool.is_growing)
        {
            pool_.is_growing = true;
            self.timers.add(now.saturating_add(GROW_AFTER), Timer::Grow(pool));
        }
    }

    /// The group that may have one more worker for what waits. One that is still starting, or crashes, is waited for.
    fn growing(&self, pool: usize) -> Option<usize> {
        let queue = &self.pools.get(pool)?.queue;
        let mut groups = queue.wanted().flat_map(|members| self.groups_of(Home { pool, members }));
        let may_grow = groups.find(|(id, group)| {
            let mut coming = group.members(&self.workers).filter(|w| w.counts() || w.state == WorkerState::Failed);
            self.running(*id) < group.policy.max && coming.all(|worker| worker.state == WorkerState::Ready)
        });
        may_grow.map(|(id, _)| id)
    }

    /// Requests have waited for a while: if they still do, there is one more worker for them.
    pub(super) fn grow_due(&mut self, now: Millis, pool: usize) {
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.is_growing = false;
        }
        if let Some(group) = self.growing(pool) {
            self.start_another(now, group);
        }
        self.relieve(now, pool);
    }

    /// A worker may have had nothing to do for long enough.
    pub(super) fn idle_due(&mut self, now: Millis, id: WorkerId) {
        let Some(worker) = self.workers.get(id).filter(|worker| worker.state == WorkerState::Ready) else { return };
        let (group, is_busy, idle_since) = (worker.group, !worker.in_flight.is_empty(), worker.idle_since);
        let Some(policy) = self.groups.get(group).map(|group| &group.policy) else { return };
        let (limit, min) = (policy.idle_stop, policy.min);
        let due = idle_since.saturating_add(limit);
        if is_busy || self.running(group) <= min {
            self.watch(id, Watch::Idle, now.saturating_add(limit));
        } else if now < due {
            self.watch(id, Watch::Idle, due);
        } else {
            self.leave(now, id, After::Rest, format!("it had nothing to do for {limit} ms (idle_stop_ms)"));
        }
    }

    /// Sees to it that a group has as many workers as it should, after one of them has come or gone.
    pub(super) fn settle(&mut self, now: Millis, group: usize) {
        let Some((min, max, successor)) =
            self.groups.get(group).map(|group| (group.policy.min, group.policy.max, group.successor))
        else {
            return;
        };
        while self.running(group) < min && self.start_another(now, group).is_some() {}
        let members = self.groups.get(group).into_iter().flat_map(|group| group.workers.iter().copied());
        let ready = members.filter_map(|id| Some((id, self.workers.get(id)?)));
        let ready: Vec<_> = ready.filter(|(_, worker)| worker.state == WorkerState::Ready).collect();
        if ready.len() > max && successor.is_none() {
            let least = ready.iter().min_by_key(|(_, worker)| worker.in_flight.len()).map(|(id, _)| *id);
            if let Some(id) = least {
                self.leave(now, id, After::Rest, "there are enough without it".to_owned());
            }
        }
        self.roll(now, group);
        self.dissolve(now, group);
    }
}

//! Workers that can stand in for each other: the instances of one entry of the configuration are a group, and groups of the
//! same pool are alternatives. How many instances run is decided in [`scale`](super::scale).

use millwork_protocol::message::{ErrorData, ErrorKind};

use super::fairness::FairQueue;
use super::policy::GroupPolicy;
use super::requests::Request;
use super::state::{Worker, WorkerId, WorkerState};
use super::{Core, Millis};

/// Some of the groups of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Members(u64);

impl Members {
    /// How many groups a pool can have.
    pub(super) const MOST: usize = crate::config::MOST_IN_A_POOL;

    /// One group, by its place in the pool.
    pub(super) fn of(place: usize) -> Self {
        Self(1 << (place % Self::MOST))
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Where a request may go: some groups of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Home {
    pub(super) pool: usize,
    pub(super) members: Members,
}

impl Home {
    /// Takes in further groups of the same pool; false where they are of another, or there already.
    pub(super) fn join(&mut self, other: Self) -> bool {
        let is_alternative = self.pool == other.pool && !self.members.has(other.members);
        if is_alternative {
            self.members = self.members.with(other.members);
        }
        is_alternative
    }
}

/// The workers of one entry of the configuration, any of which can do the same.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) policy: GroupPolicy,
    pub(super) home: Home,
    pub(super) workers: Vec<WorkerId>,
    /// The worker that is being started in another's place, until it is ready.
    pub(super) successor: Option<WorkerId>,
    /// Whether it is gone from the configuration.
    pub(super) is_removed: bool,
}

/// Groups that are alternatives, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pub(super) name: Option<String>,
    pub(super) groups: Vec<usize>,
    pub(super) queue: FairQueue,
    /// Whether a timer runs after which it is looked at whether more workers are needed.
    pub(super) is_growing: bool,
}

impl Group {
    pub(super) fn members<'a>(&'a self, workers: &'a [Worker]) -> impl Iterator<Item = &'a Worker> + Clone {
        self.workers.iter().filter_map(|id| workers.get(*id))
    }

    /// Whether its inventory counts: some worker is there, or will be by itself or on demand.
    pub(super) fn counts(&self, workers: &[Worker]) -> bool {
        let mut members = self.members(workers);
        members.clone().any(Worker::counts)
            || (members.clone().any(Worker::can_rest) && !members.any(|worker| worker.state == WorkerState::Failed))
    }
}

impl Core {
    /// Adds a group, to its pool if that is there already.
    pub(super) fn add_group(&mut self, policy: GroupPolicy) {
        let group = self.groups.len();
        let known = policy.pool.as_ref().and_then(|name| self.pools.iter().position(|p| p.name.as_ref() == Some(name)));
        let pool = known.unwrap_or_else(|| {
            self.pools.push(Pool { name: policy.pool.clone(), ..Pool::default() });
            self.pools.len() - 1
        });
        let Some(alternatives) = self.pools.get_mut(pool).map(|pool| &mut pool.groups) else { return };
        let home = Home { pool, members: Members::of(alternatives.len()) };
        alternatives.push(group);
        let first = policy.min.max(1);
        self.groups.push(Group { policy, home, workers: Vec::new(), successor: None, is_removed: false });
        (0..first).for_each(|_| {
            self.add_worker(group);
        });
    }

    /// Makes room for one worker more in a group.
    pub(super) fn add_worker(&mut self, group: usize) -> Option<WorkerId> {
        let id = self.workers.len();
        let into = self.groups.get_mut(group)?;
        let number = into.workers.len() + 1;
        let name = &into.policy.name;
        let name = if number > 1 || into.policy.max > 1 { format!("{name}/{number}") } else { name.clone() };
        into.workers.push(id);
        self.workers.push(Worker::new(name, group, into.policy.max_in_flight));
        Some(id)
    }

    /// The groups of a home.
    pub(super) fn groups_of(&self, home: Home) -> impl Iterator<Item = (usize, &Group)> + Clone {
        let all = self.pools.get(home.pool).map_or(&[][..], |pool| &pool.groups);
        let groups = all.iter().filter_map(|id| Some((*id, self.groups.get(*id)?)));
        groups.filter(move |(_, group)| home.members.has(group.home.members))
    }

    /// The worker that takes a request now: the one that knows its model, or else the least busy one.
    pub(super) fn pick(&self, request: &Request) -> Option<WorkerId> {
        let groups = self.groups_of(request.home).map(|(_, group)| group);
        let workers = groups.flat_map(|group| group.workers.iter().copied());
        let free = workers.filter_map(|id| Some((id, self.workers.get(id)?)));
        let free = free.filter(|(_, worker)| worker.takes(&request.id));
        let preferred = self.sticky.prefer(request, free.clone());
        preferred.or_else(|| free.min_by_key(|(_, worker)| worker.in_flight.len()).map(|(id, _)| id))
    }

    /// Why nothing can be sent to these groups any more, if so.
    pub(super) fn hopeless(&self, home: Home) -> Option<ErrorData> {
        if self.groups_of(home).any(|(_, group)| group.counts(&self.workers)) {
            return None;
        }
        let (_, group) = self.groups_of(home).next()?;
        let mut members = self.groups_of(home).flat_map(|(_, group)| group.members(&self.workers));
        let why =
            members.find_map(|worker| worker.last_error.clone()).unwrap_or_else(|| "it has been stopped".to_owned());
        let text = format!("worker `{}` is not available: {why}", group.policy.name);
        Some(ErrorData::new(ErrorKind::Unavailable, text))
    }

    /// Fails what waits for groups that will not come back.
    pub(super) fn fail_hopeless(&mut self, pool: usize) {
        let wanted: Vec<Members> = self.pools.get(pool).into_iter().flat_map(|pool| pool.queue.wanted()).collect();
        for members in wanted {
            if let Some(error) = self.hopeless(Home { pool, members }) {
                let keys = self.pools.get_mut(pool).map(|pool| pool.queue.take(members));
                self.fail(keys.unwrap_or_default(), &error);
            }
        }
    }

    /// Sends what waits for a pool as far as its workers have room, and sees to it that there are enough of them.
    pub(super) fn pump(&mut self, now: Millis, pool: usize) {
        let mut passed = 0;
        while let Some(queue) = self.pools.get(pool).map(|pool| &pool.queue) {
            let Some(key) = queue.head().filter(|_| passed < queue.flows()) else { break };
            let request = self.requests.get(key);
            let worker = request.and_then(|request| self.pick(request));
            let is_done = worker.is_some() || request.is_none();
            if let Some(queue) = self.pools.get_mut(pool).map(|pool| &mut pool.queue) {
                if is_done { queue.pop() } else { queue.pass() }
            }
            passed = if is_done { 0 } else { passed + 1 };
            if let Some(worker) = worker {
                self.assign(now, key, worker);
            }
        }
        self.relieve(now, pool);
    }
}

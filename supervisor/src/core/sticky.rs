//! Which worker served what last, so that a model need not be loaded twice. A preference: where that worker has no room,
//! another one serves.

use std::collections::HashMap;

use super::requests::Request;
use super::state::{Worker, WorkerId};

/// So many are remembered at least, and twice as many at most.
const KEPT: usize = 2048;

/// What requests have in common that should go to the same worker. Where two meet in one number, they share a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Affinity {
    /// A provider's model: loading it takes long, so its worker is preferred even where others are less busy.
    Model(u64),
    /// A node of a graph, which may have kept something: not worth waiting behind others.
    Node(u64),
}

/// The last worker, and which run of it, by affinity; the older half is forgotten when there are too many.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    young: HashMap<Affinity, (WorkerId, u32)>,
    old: HashMap<Affinity, (WorkerId, u32)>,
}

impl Sticky {
    pub(super) fn remember(&mut self, affinity: Affinity, worker: WorkerId, run: u32) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(affinity, (worker, run));
    }

    /// The worker that is preferred for a request among those that have room.
    pub(super) fn prefer<'a>(
        &self,
        request: &Request,
        mut free: impl Iterator<Item = (WorkerId, &'a Worker)> + Clone,
    ) -> Option<WorkerId> {
        let affinity = request.route.affinity?;
        let (last, run) = *self.young.get(&affinity).or_else(|| self.old.get(&affinity))?;
        let (_, worker) = free.clone().find(|(id, worker)| *id == last && worker.run == run)?;
        let is_worth_it = match affinity {
            Affinity::Model(_) => true,
            Affinity::Node(_) => worker.in_flight.is_empty() || !free.any(|(_, other)| other.in_flight.is_empty()),
        };
        Some(last).filter(|_| is_worth_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_lately_is_remembered_and_there_is_a_bound() {
        let mut sticky = Sticky::default();
        for n in 0..10 * KEPT as u64 {
            sticky.remember(Affinity::Model(n), 1, 1);
        }
        assert!(sticky.young.len() + sticky.old.len() <= 2 * KEPT);
        let last = Affinity::Model(9 * KEPT as u64);
        assert!(sticky.young.contains_key(&last) || sticky.old.contains_key(&last));
    }
}

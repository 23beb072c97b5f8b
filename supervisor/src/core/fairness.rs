//! The order of what waits for a pool: each job of each host has its turn, and within a job the oldest is first. Which
//! worker has room is not known here.

use std::collections::{HashMap, VecDeque};

use super::pool::Members;
use super::requests::{HostId, RequestKey};

/// Requests that wait in one line. What can go to other workers stands in another one, so that neither holds up the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    pub(super) host: HostId,
    /// The job's `job_id` as a hash; 0 for what belongs to none.
    pub(super) job: u64,
    pub(super) members: Members,
}

/// Lines that take turns.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    flows: HashMap<Flow, VecDeque<RequestKey>>,
    /// Every line that is not empty, the next one first.
    turns: VecDeque<Flow>,
    /// How many requests wait for each set of groups.
    wanted: Vec<(Members, usize)>,
    len: usize,
}

impl FairQueue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many lines there are.
    pub(super) fn flows(&self) -> usize {
        self.turns.len()
    }

    /// The sets of groups that something waits for.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Members> {
        self.wanted.iter().map(|(members, _)| *members)
    }

    /// Behind its line.
    pub(super) fn push(&mut self, flow: Flow, key: RequestKey) {
        let line = self.flows.entry(flow).or_default();
        if line.is_empty() {
            self.turns.push_back(flow);
        }
        line.push_back(key);
        self.count(flow.members);
    }

    /// To the head of its line, which is the next one if it was empty.
    pub(super) fn put_back(&mut self, flow: Flow, key: RequestKey) {
        let line = self.flows.entry(flow).or_default();
        if line.is_empty() {
            self.turns.push_front(flow);
        }
        line.push_front(key);
        self.count(flow.members);
    }

    /// Whose turn it is.
    pub(super) fn head(&self) -> Option<RequestKey> {
        self.flows.get(self.turns.front()?)?.front().copied()
    }

    /// The next line has its turn without anything being taken from this one.
    pub(super) fn pass(&mut self) {
        if !self.turns.is_empty() {
            self.turns.rotate_left(1);
        }
    }

    /// Takes the head; the next line has its turn.
    pub(super) fn pop(&mut self) {
        let Some(flow) = self.turns.pop_front() else { return };
        let Some(line) = self.flows.get_mut(&flow) else { return };
        if line.pop_front().is_some() {
            if line.is_empty() {
                self.flows.remove(&flow);
            } else {
                self.turns.push_back(flow);
            }
            self.discount(flow.members, 1);
        }
    }

    /// Takes one out, wherever it stands.
    pub(super) fn remove(&mut self, flow: Flow, key: RequestKey) {
        let Some(line) = self.flows.get_mut(&flow) else { return };
        let Some(at) = line.iter().position(|other| *other == key) else { return };
        line.remove(at);
        if line.is_empty() {
            self.drop_line(flow);
        }
        self.discount(flow.members, 1);
    }

    /// Takes out everything that waits for exactly these groups, oldest first.
    pub(super) fn take(&mut self, members: Members) -> Vec<RequestKey> {
        let flows: Vec<Flow> = self.turns.iter().copied().filter(|flow| flow.members == members).collect();
        let mut keys: Vec<RequestKey> = flows.into_iter().flat_map(|flow| self.drop_line(flow)).collect();
        self.discount(members, keys.len());
        keys.sort_unstable();
        keys
    }

    fn drop_line(&mut self, flow: Flow) -> VecDeque<RequestKey> {
        self.turns.retain(|other| *other != flow);
        self.flows.remove(&flow).unwrap_or_default()
    }

    fn count(&mut self, members: Members) {
        self.len += 1;
        match self.wanted.iter_mut().find(|(other, _)| *other == members) {
            Some((_, count)) => *count += 1,
            None => self.wanted.push((members, 1)),
        }
    }

    fn discount(&mut self, members: Members, by: usize) {
        self.len -= by;
        if let Some((_, count)) = self.wanted.iter_mut().find(|(other, _)| *other == members) {
            *count -= by;
        }
        self.wanted.retain(|(_, count)| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(host: u32, job: u64) -> Flow {
        Flow { host: HostId(host), job, members: Members::of(0) }
    }

    fn drain(queue: &mut FairQueue) -> Vec<RequestKey> {
        let next = || {
            let head = queue.head();
            queue.pop();
            head
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn lines_take_turns_and_keep_their_order() {
        let mut queue = FairQueue::default();
        (0..4).for_each(|key| queue.push(flow(1, 7), key));
        (4..6).for_each(|key| queue.push(flow(1, 8), key));
        queue.push(flow(2, 7), 6);
        assert_eq!((queue.len(), queue.flows()), (7, 3));
        assert_eq!(drain(&mut queue), [0, 4, 6, 1, 5, 2, 3]);
        assert!(queue.is_empty() && queue.wanted().next().is_none() && queue.flows.is_empty());
    }

    #[test]
    fn a_line_that_is_passed_over_keeps_its_place_among_the_others() {
        let mut queue = FairQueue::default();
        (0..3).for_each(|key| queue.push(flow(1, key), key));
        queue.pass();
        assert_eq!(queue.head(), Some(1));
        queue.pop();
        assert_eq!(drain(&mut queue), [2, 0]);
    }

    #[test]
    fn what_comes_back_is_next_and_what_is_taken_out_leaves_no_trace() {
        let mut queue = FairQueue::default();
        queue.push(flow(1, 1), 1);
        [3, 2].iter().for_each(|key| queue.put_back(flow(1, 2), *key));
        let other = Flow { members: Members::of(1), ..flow(1, 1) };
        queue.push(other, 9);
        queue.remove(flow(1, 1), 1);
        assert_eq!((queue.len(), queue.wanted().count()), (3, 2));
        assert_eq!(queue.take(Members::of(0)), [2, 3]);
        assert_eq!((queue.head(), queue.flows()), (Some(9), 1));
        queue.remove(other, 9);
        assert!(queue.is_empty() && queue.head().is_none());
    }
}

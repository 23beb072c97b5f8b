//! Linux: whether the kernel has killed somebody for lack of memory lately. It does not say whom; a process that got a
//! SIGKILL at that moment, and not from us, knows.

use std::fs;
use std::time::{Duration, Instant};

/// How old the count is that a later one is compared with, at least: a large process takes a while to go.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// The last two counts.
#[derive(Debug)]
pub(super) struct OomKills {
    counts: [Option<u64>; 2],
    next: Instant,
}

impl OomKills {
    pub(super) fn new() -> Self {
        Self { counts: [count(); 2], next: Instant::now() + INTERVAL }
    }

    /// Takes a count, where it is time.
    pub(super) fn look(&mut self) {
        if Instant::now() >= self.next {
            let [_, last] = self.counts;
            *self = Self { counts: [last, count()], next: Instant::now() + INTERVAL };
        }
    }

    /// Whether there are more now than there were 5 to 10 seconds ago.
    pub(super) fn have_risen(&self) -> bool {
        let [before, _] = self.counts;
        before.zip(count()).is_some_and(|(before, now)| now > before)
    }
}

fn count() -> Option<u64> {
    let counters = fs::read_to_string("/proc/vmstat").ok()?;
    counters.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

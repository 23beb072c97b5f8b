//! Linux: how much memory and how many processes a worker takes, and whether that is more than it may, where no cgroup
//! limits it. Looked at so often; ending it is the caller's.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::cgroup::Cell;
use super::mark::Mark;

/// How often its processes are measured.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);
/// How often processes that have moved away are looked for, which takes a look at every process of the system.
const SEARCH: Duration = Duration::from_secs(1);

/// A watch over one worker and everything that it has started.
#[derive(Debug)]
pub(super) struct Usage {
    /// In bytes.
    pub(super) memory: Option<u64>,
    pub(super) processes: Option<u64>,
    pub(super) mark: Mark,
    pub(super) cell: Option<Arc<Cell>>,
    found: Vec<Pid>,
    searched: Option<Instant>,
}

impl Usage {
    pub(super) fn new(memory: Option<u64>, processes: Option<u64>, mark: Mark, cell: Option<Arc<Cell>>) -> Self {
        Self { memory, processes, mark, cell, found: Vec::new(), searched: None }
    }

    /// The limit that it is over, in words.
    pub(super) fn excess(&mut self) -> Option<String> {
        self.search(self.searched.is_none_or(|at| at.elapsed() >= SEARCH));
        if !self.is_over() {
            return None;
        }
        // Once more and exactly: a number may belong to another process by now, and pages that several share count once.
        self.search(true);
        let (memory, processes) = (self.sum(proportional), self.sum(tasks));
        match (self.memory.filter(|most| memory > *most), self.processes.filter(|most| processes > *most)) {
            (Some(most), _) => {
                Some(format!("it used {} MiB where limits.memory_mb allows {}", memory >> 20, most >> 20))
            }
            (_, Some(most)) => {
                Some(format!("it had {processes} processes and threads where limits.processes allows {most}"))
            }
            (None, None) => None,
        }
    }

    fn search(&mut self, everywhere: bool) {
        match &self.cell {
            Some(cell) => self.found = cell.members(),
            None if everywhere => {
                self.found = self.mark.members();
                self.searched = Some(Instant::now());
            }
            None => {}
        }
    }

    /// At a glance.
    fn is_over(&self) -> bool {
        self.memory.is_some_and(|most| self.sum(resident) > most)
            || self.processes.is_some_and(|most| self.sum(tasks) > most)
    }

    fn sum(&self, of: fn(Pid) -> Option<u64>) -> u64 {
        self.found.iter().filter_map(|pid| of(*pid)).sum()
    }
}

fn read(pid: Pid, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_nonzero())).ok()
}

/// Memory that is in use, in bytes.
fn resident(pid: Pid) -> Option<u64> {
    let pages: u64 = read(pid, "statm")?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The same with shared pages in parts, which takes the kernel longer to tell.
fn proportional(pid: Pid) -> Option<u64> {
    let shares = read(pid, "smaps_rollup").and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse().ok())
    });
    shares.map(|kib: u64| kib << 10).or_else(|| resident(pid))
}

/// Threads, of which every process has at least one.
fn tasks(pid: Pid) -> Option<u64> {
    let stat = read(pid, "stat")?;
    // The name in brackets may hold anything. Behind it, the 18th field counts threads.
    stat.rsplit_once(')')?.1.split_whitespace().nth(17)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_measured() {
        let this = rustix::process::getpid();
        let resident = resident(this).unwrap();
        assert!(resident > 1 << 20 && proportional(this).unwrap() > 1 << 19);
        assert!(tasks(this).unwrap() >= 2, "the test harness has threads");
    }
}

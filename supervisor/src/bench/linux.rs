//! What a measurement asks of Linux: pipes set up alike, one core, and the memory of a tree of processes.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Every child's pipes get this size, so that none is faster only for that.
const PIPE_SIZE: i32 = 256 << 10;

/// Our end towards a child: never blocks, and as wide as all the others.
pub(crate) fn prepare_pipe(fd: impl AsFd) -> Result<()> {
    widen_pipe(&fd);
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

pub(crate) fn widen_pipe(fd: impl AsFd) {
    // Refused where the user has used up what pipes may hold; then all of them stay as they are.
    let _ = fcntl(&fd, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
}

/// Keeps this process, and every child it starts from now on, on one core.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).with_context(|| format!("no core {cpu} here"))
}

/// Resident memory of a process and of all its descendants, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Of the process itself, now.
    pub(crate) own: u64,
    /// Of its descendants together, now.
    pub(crate) children: u64,
    /// The most that the process itself has ever had.
    pub(crate) own_peak: u64,
    /// The most that each of its descendants has ever had, together.
    pub(crate) children_peak: u64,
    /// How many descendants there are.
    pub(crate) count: usize,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let (own, own_peak) = resident(pid)?;
        let mut memory = Self { own, own_peak, ..Self::default() };
        for child in descendants(pid) {
            if let Some((now, peak)) = resident(child) {
                memory.children += now;
                memory.children_peak += peak;
                memory.count += 1;
            }
        }
        Some(memory)
    }
}

/// `VmRSS` and `VmHWM` of one process.
fn resident(pid: u32) -> Option<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

fn descendants(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in brackets may hold anything; the parent is the second field behind it.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = children.remove(&root).unwrap_or_default();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let more = children.remove(pid).unwrap_or_default();
        found.extend(more);
        next += 1;
    }
    found
}

/// The machine in one line: processor, cores, kernel.
pub(crate) fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, {cores} cores, Linux {}", model.unwrap_or("unknown processor"), kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_this_process() {
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.own > 1 << 20 && memory.own_peak >= memory.own, "{memory:?}");
    }
}

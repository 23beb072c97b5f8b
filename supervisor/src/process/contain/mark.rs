//! Linux: whose a process is, wherever it hangs in the process tree. A mark in the environment says it, which children
//! inherit; one that leaves its session and its parent keeps it. A program that clears its environment loses it: only a
//! cgroup holds that one.

use std::fs;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The variable. Its value is a chain, since a worker may be a supervisor itself: the outermost comes first.
pub(crate) const MARK: &str = "MILLWORK_FLEET";

/// Between two looks for processes that escaped the first: one that is just starting a program shows no environment.
const PAUSE: Duration = Duration::from_millis(20);

/// Nobody can guess it, so that nothing carries it by chance.
static OWN: LazyLock<String> = LazyLock::new(|| uuid::Uuid::new_v4().simple().to_string());

/// The id of this process among all that supervise.
pub(super) fn own_id() -> &'static str {
    &OWN
}

/// What some processes carry: those of one worker process, or all of one supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    One(String),
    /// Everything that begins so.
    All(String),
}

impl Mark {
    /// A new one, for the next process of this supervisor.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self::One(format!("{}.{}", own_id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// That of everything that a supervisor has started.
    pub(super) fn of_supervisor(id: &str) -> Self {
        Self::All(format!("{id}."))
    }

    /// The variable's value for a process, behind what this process has itself.
    pub(super) fn chained(&self) -> String {
        let (Self::One(own) | Self::All(own)) = self;
        match std::env::var(MARK) {
            Ok(outer) if !outer.is_empty() => format!("{outer}:{own}"),
            _ => own.clone(),
        }
    }

    fn is_in(&self, chain: &str) -> bool {
        chain.split(':').any(|link| match self {
            Self::One(own) => link == own,
            Self::All(beginning) => link.starts_with(beginning),
        })
    }

    fn is_on(&self, pid: Pid) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        let value = |variable: &[u8]| {
            let value = variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"=")?;
            Some(self.is_in(std::str::from_utf8(value).ok()?))
        };
        variables.any(|variable| value(variable) == Some(true))
    }

    /// The living processes that carry it.
    pub(super) fn members(&self) -> Vec<Pid> {
        let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = folders.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
        pids.filter(|pid| self.is_on(*pid)).collect()
    }

    /// Kills what carries it. How many those were.
    pub(super) fn sweep(&self) -> usize {
        let kill = |pid: &Pid| {
            // A number may go to another process at any time, a descriptor cannot: so the mark is read once it is held.
            let Ok(process) = pidfd_open(*pid, PidfdFlags::empty()) else { return false };
            self.is_on(*pid) && pidfd_send_signal(process, Signal::KILL).is_ok()
        };
        self.members().iter().filter(|pid| kill(pid)).count()
    }

    /// Kills what carries it, also what is born meanwhile.
    pub(super) fn sweep_all(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut empty = 0;
        while empty < 2 && Instant::now() < until {
            empty = if self.sweep() == 0 { empty + 1 } else { 0 };
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_anywhere_in_a_chain_and_only_whole() {
        let mark = Mark::One("abc.1".to_owned());
        for chain in ["abc.1", "x.1:abc.1", "abc.1:y.2"] {
            assert!(mark.is_in(chain) && Mark::of_supervisor("abc").is_in(chain), "{chain}");
        }
        for chain in ["", "abc.12", "abc", "xabc.1"] {
            assert!(!mark.is_in(chain), "{chain}");
        }
        assert!(Mark::of_supervisor("abc").is_in("abc.12") && !Mark::of_supervisor("abc").is_in("abcd.1"));
        assert_ne!(Mark::next(), Mark::next());
    }
}

//! What is left of a process: everything that carries its mark, or hangs below it, wherever it has moved to. Linux' `/proc`;
//! elsewhere only the process group is known.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// The variable that marks every process that is started here, and theirs.
pub(super) const MARK: &str = "MILLWORK_CONFORMANCE_MARK";

/// One living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its arguments, joined by spaces.
    pub command: String,
}

/// The living processes that belong to the tree of `root`, `root` itself not among them.
pub(super) fn others(root: i32, mark: &str) -> Vec<Process> {
    let wanted = format!("{MARK}={mark}");
    let all = stats();
    let mut family = BTreeSet::from([root]);
    loop {
        let before = family.len();
        let next: Vec<i32> =
            all.iter().filter(|s| family_of(s, root) || family.contains(&s.parent)).map(|s| s.pid).collect();
        family.extend(next);
        if family.len() == before {
            break;
        }
    }
    let ours = |s: &&Stat| s.pid != root && (family.contains(&s.pid) || has_mark(s.pid, |mark| mark == wanted));
    all.iter().filter(ours).map(|s| Process { pid: s.pid, command: command_of(s.pid) }).collect()
}

/// Kills the tree of `root`, also what is born meanwhile.
pub(super) fn kill_tree(root: i32, mark: &str) {
    let _ = killpg(Pid::from_raw(root), Signal::SIGKILL);
    // Whoever forks faster than this is stopped by the mark of the next round; ten rounds end any tree that can end.
    for _ in 0..10 {
        let left = others(root, mark);
        if left.is_empty() {
            return;
        }
        left.iter().for_each(|process| _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL));
    }
}

/// Kills everything that this process has started through this module.
pub(crate) fn kill_all_marked() {
    let ours = format!("{MARK}={}-", std::process::id());
    for _ in 0..10 {
        let left: Vec<i32> =
            stats().iter().map(|s| s.pid).filter(|pid| has_mark(*pid, |mark| mark.starts_with(&ours))).collect();
        if left.is_empty() {
            return;
        }
        left.iter().for_each(|pid| _ = kill(Pid::from_raw(*pid), Signal::SIGKILL));
    }
}

struct Stat {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
}

fn family_of(stat: &Stat, root: i32) -> bool {
    stat.parent == root || stat.group == root || stat.session == root
}

/// The living ones: what has ended and was not waited for is left out.
fn stats() -> Vec<Stat> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    folders.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let alive = !matches!(fields.next()?, "Z" | "X");
    let mut number = || fields.next()?.parse().ok();
    let stat = Stat { pid, parent: number()?, group: number()?, session: number()? };
    alive.then_some(stat)
}

fn has_mark(pid: i32, matches: impl Fn(&str) -> bool) -> bool {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environ.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok()).any(matches)
}

fn command_of(pid: i32) -> String {
    let bytes = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

//! Linux: the processes that carry a mark in their environment, wherever they hang in the process tree.
//!
//! A child whose parent has died belongs to somebody else, but its environment still says where it came from.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable that marks every process a test starts, and theirs.
pub const MARK: &str = "MILLWORK_E2E_MARK";

/// One living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its arguments, joined by spaces.
    pub command: String,
}

/// The living processes with this mark. One that has ended and was not waited for has no environment any more.
#[must_use]
pub fn marked(mark: &str) -> Vec<Process> {
    let wanted = format!("{MARK}={mark}");
    let has_mark = |folder: &Path| {
        let environ = fs::read(folder.join("environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let all = fs::read_dir("/proc").expect("this system has /proc");
    all.flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            has_mark(&entry.path()).then(|| Process { pid, command: command_of(&entry.path()) })
        })
        .collect()
}

/// The guardians of these processes. They show no environment, and so no mark; once their parents have gone nobody can
/// tell whose they were, so they are looked for before.
#[must_use]
pub fn guardians(of: &[Process]) -> Vec<Process> {
    let all = fs::read_dir("/proc").expect("this system has /proc").flatten();
    all.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let parent = parent_of_guardian(&entry.path())?;
        let is_theirs = of.iter().any(|process| process.pid == parent);
        is_theirs.then(|| Process { pid, command: GUARDIAN.to_owned() })
    })
    .collect()
}

/// Those of these guardians that still live.
#[must_use]
pub fn living_guardians(guardians: &[Process]) -> Vec<Process> {
    let lives = |process: &&Process| parent_of_guardian(Path::new(&format!("/proc/{}", process.pid))).is_some();
    guardians.iter().filter(lives).cloned().collect()
}

const GUARDIAN: &str = "mw-guardian";

/// The parent of what is a guardian and has not ended (proc(5): pid, name, state, parent).
fn parent_of_guardian(folder: &Path) -> Option<i32> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let (name, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let lives = name.ends_with(GUARDIAN) && fields.next() != Some("Z");
    lives.then(|| fields.next()?.parse().ok())?
}

/// Kills them all.
pub fn kill_marked(mark: &str) {
    for process in marked(mark) {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
}

/// A number of bytes that `/proc` tells of a process, such as `VmRSS` or `VmHWM`; nothing where it has gone.
#[must_use]
pub fn memory(pid: i32, key: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

fn command_of(folder: &Path) -> String {
    let bytes = fs::read(folder.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

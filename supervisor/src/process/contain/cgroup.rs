//! Linux: cgroups (version 2), where this process may make some: one for each worker that has a limit on memory or
//! processes. They hold every descendant, whatever it does, and the kernel itself counts, limits and kills.
//!
//! Not every worker has one: moving a process into it takes the kernel up to 30 ms, which a start has not.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Pid;

use super::mark;

/// How long the kernel may take to empty a cgroup that was killed.
const EMPTYING: Duration = Duration::from_millis(500);
const TRIES: usize = 10;

/// The cgroup of this supervisor, which those of its workers are in.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    pub(super) has_memory: bool,
    pub(super) has_pids: bool,
}

/// The cgroup of one worker process.
#[derive(Debug)]
pub(super) struct Cell {
    path: PathBuf,
}

/// The supervisor's, made when it is first asked for; or why there is none.
pub(super) fn home() -> Result<&'static Home, &'static str> {
    static HOME: OnceLock<Option<Home>> = OnceLock::new();
    HOME.get_or_init(Home::create).as_ref().ok_or("this process may not make a cgroup (version 2)")
}

/// Where the cgroup of a supervisor may be.
pub(super) fn folders_of(id: &str) -> Vec<PathBuf> {
    places().into_iter().map(|place| place.join(format!("millwork-{id}"))).collect()
}

/// The cgroups that one could be made in: this process's own, and the one around it.
fn places() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mount = mounts.lines().find_map(|line| {
        let (fields, kind) = line.split_once(" - ")?;
        let mut fields = fields.split(' ').skip(3);
        kind.starts_with("cgroup2 ").then_some((fields.next()?, fields.next()?))
    });
    let own = own.lines().find_map(|line| line.strip_prefix("0::"));
    let (Some((root, point)), Some(own)) = (mount, own) else { return Vec::new() };
    let Ok(inside) = Path::new(own).strip_prefix(root) else { return Vec::new() };
    let place = Path::new(point).join(inside);
    let around = place.parent().filter(|_| !inside.as_os_str().is_empty()).map(Path::to_owned);
    std::iter::once(place).chain(around).collect()
}

/// Lets the cgroups inside have the two controllers, as far as it is allowed.
fn share(path: &Path) {
    let control = path.join("cgroup.subtree_control");
    let shared = fs::read_to_string(&control).unwrap_or_default();
    for controller in ["memory", "pids"].into_iter().filter(|name| !has_word(&shared, name)) {
        let _ = fs::write(&control, format!("+{controller}"));
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split_whitespace().any(|each| each == word)
}

impl Home {
    /// The first place that gives it both controllers; else one without, which still holds what is in it together.
    fn create() -> Option<Self> {
        let mut best: Option<Self> = None;
        for (place, path) in places().into_iter().zip(folders_of(mark::own_id())) {
            // Whoever may not write here may not move a process from here either.
            if File::options().write(true).open(place.join("cgroup.procs")).is_err() {
                continue;
            }
            share(&place);
            if fs::create_dir(&path).is_err() {
                continue;
            }
            let controllers = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
            let home =
                Self { has_memory: has_word(&controllers, "memory"), has_pids: has_word(&controllers, "pids"), path };
            share(&home.path);
            let is_best = home.has_memory || best.is_none();
            let other = if is_best { best.replace(home) } else { Some(home) };
            other.iter().for_each(|other| _ = fs::remove_dir(&other.path));
            if best.as_ref().is_some_and(|best| best.has_memory) {
                break;
            }
        }
        best
    }
}

impl Cell {
    pub(super) fn create(home: &Home) -> io::Result<Self> {
        let path = home.path.join(uuid::Uuid::new_v4().simple().to_string());
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        // The last worker may have taken the supervisor's away with its own, a moment ago as well.
        for _ in 0..TRIES {
            match fs::create_dir(&path) {
                Err(error) if gone(&error) => _ = fs::create_dir(&home.path).map(|()| share(&home.path)),
                made => return made.map(|()| Self { path }),
            }
        }
        Err(io::Error::other("the supervisor's own cgroup comes and goes"))
    }

    /// What a process writes `0` to in order to be in it.
    pub(super) fn door(&self) -> io::Result<File> {
        File::options().write(true).open(self.path.join("cgroup.procs"))
    }

    pub(super) fn limit_memory(&self, bytes: u64) -> io::Result<()> {
        fs::write(self.path.join("memory.max"), bytes.to_string())?;
        // Memory that was moved out counts too; there may be no swap at all.
        let _ = fs::write(self.path.join("memory.swap.max"), "0");
        // A worker that has lost one of its processes is no longer one.
        let _ = fs::write(self.path.join("memory.oom.group"), "1");
        Ok(())
    }

    pub(super) fn limit_processes(&self, most: u64) -> io::Result<()> {
        fs::write(self.path.join("pids.max"), most.to_string())
    }

    /// Whether the kernel has killed something in it for lack of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        killed.is_some_and(|count| count.trim() != "0")
    }

    pub(super) fn members(&self) -> Vec<Pid> {
        let pids = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        pids.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
    }

    pub(super) fn kill(&self) {
        kill(&self.path);
    }

    /// Removes it, and the supervisor's where it was the last one there.
    pub(super) fn remove(self) {
        remove(&self.path);
        if let Some(home) = self.path.parent() {
            let _ = fs::remove_dir(home);
        }
    }
}

/// Kills everything in a cgroup and below it. Linux 5.14.
pub(super) fn kill(path: &Path) {
    let _ = fs::write(path.join("cgroup.kill"), "1");
}

/// Removes a cgroup and those in it, as soon as the kernel has emptied them.
pub(super) fn remove(path: &Path) {
    let inside = fs::read_dir(path).into_iter().flatten().flatten();
    inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).for_each(|entry| remove(&entry.path()));
    let until = std::time::Instant::now() + EMPTYING;
    while fs::remove_dir(path).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
        && std::time::Instant::now() < until
    {
        std::thread::sleep(Duration::from_millis(2));
    }
}

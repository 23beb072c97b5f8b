//! What a supervisor may leave behind: processes with its mark, its temporary folders, its cgroup. Its guardian removes
//! them when it is gone; and whoever starts next removes what nobody did.

use std::path::PathBuf;
use std::time::Duration;

use super::mark::Mark;
use super::{cgroup, temp};

/// Where the remains of one supervisor are. Found out beforehand: the guardian has no environment to ask.
#[derive(Debug)]
pub(super) struct Place {
    mark: Mark,
    folder: PathBuf,
    cgroups: Vec<PathBuf>,
}

impl Place {
    /// That of the supervisor with this id.
    pub(super) fn of(id: &str) -> Self {
        Self { mark: Mark::of_supervisor(id), folder: temp::folder_of(id), cgroups: cgroup::folders_of(id) }
    }

    /// Removes everything. Without patience, processes are looked for once only.
    pub(super) fn remove(&self, patience: Duration) {
        let cgroups = || self.cgroups.iter().filter(|path| path.is_dir());
        cgroups().for_each(|path| cgroup::kill(path));
        if patience.is_zero() {
            self.mark.sweep();
        } else {
            self.mark.sweep_all(patience);
        }
        temp::remove_all(&self.folder);
        cgroups().for_each(|path| cgroup::remove(path));
    }
}

/// Removes what supervisors have left that were killed together with their guardians, or had none. Those that live are
/// known by a lock that they hold.
pub(in crate::process) fn remove_stale() {
    for (id, lock) in temp::abandoned() {
        Place::of(&id).remove(Duration::from_secs(10));
        drop(lock);
    }
}

//! One repository in the hub's cache, as every tool of the hub writes it: contents once in `blobs`, named by their tags; a folder
//! of links for each commit in `snapshots`; which commit a branch was at in `refs`; and beside the repositories, in `.locks`, a
//! lock for each tag, so that two programs never write the same file. Locks stay: whoever removes one takes it from somebody.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millwork_worker::CancelToken;

use super::{StoreError, names};
use crate::find::{Hub, Repository};

/// How often a lock that somebody else holds is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// The lock of a repository as a whole: held with others by downloads, alone by a removal. No tag's lock has such a name.
const WHOLE: &str = ".millwork";

/// Tells temporary names of one process apart.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Where things of one repository lie.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    repository: Repository,
    locks: PathBuf,
}

impl Layout {
    /// Of a repository whose name has been checked; it need not be there.
    pub(super) fn new(hub: &Hub, id: &str) -> Self {
        let repository = hub.repository(id);
        let name = repository.folder.file_name().unwrap_or_default();
        Self { locks: hub.folder().join(".locks").join(name), repository }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.repository.folder
    }

    /// Makes the folders.
    pub(super) fn create(&self) -> Result<(), StoreError> {
        for folder in [
            self.folder().join("blobs"),
            self.folder().join("snapshots"),
            self.folder().join("refs"),
            self.locks.clone(),
        ] {
            fs::create_dir_all(&folder).map_err(StoreError::disk(&folder))?;
        }
        Ok(())
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// What has arrived so far of a blob.
    pub(super) fn incomplete(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(format!("{etag}.incomplete"))
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }

    /// The commit that a revision was at when it was last fetched, if its snapshot is there.
    pub(super) fn commit_of(&self, revision: &str) -> Option<String> {
        let noted = fs::read_to_string(self.folder().join("refs").join(revision)).ok();
        let commit = noted.map_or_else(|| revision.to_owned(), |text| text.trim().to_owned());
        (names::is_commit(&commit) && self.snapshot(&commit).is_dir()).then_some(commit)
    }

    /// Waits until nobody else works on this blob.
    pub(super) fn lock(&self, etag: &str, stop: &CancelToken) -> Result<Lock, StoreError> {
        let path = self.locks.join(format!("{etag}.lock"));
        let file = open(&path).map_err(StoreError::disk(&path))?;
        wait(&path, file, File::try_lock, stop)
    }

    /// Waits until nobody removes the repository, and keeps it from being removed. Where nothing may be written nobody removes
    /// anything, and what is there can be used without a lock.
    pub(super) fn hold(&self, stop: &CancelToken) -> Result<Option<Lock>, StoreError> {
        let path = self.locks.join(WHOLE);
        match fs::create_dir_all(&self.locks).and_then(|()| open(&path)) {
            Ok(file) => wait(&path, file, File::try_lock_shared, stop).map(Some),
            Err(error) => match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Ok(None),
                _ => Err(StoreError::disk(&path)(error)),
            },
        }
    }

    /// Sees to it that nobody downloads the repository, nor begins to.
    fn alone(&self) -> Result<Lock, StoreError> {
        let path = self.locks.join(WHOLE);
        let own = fs::create_dir_all(&self.locks).and_then(|()| open(&path)).map_err(StoreError::disk(&path))?;
        let is_held = |file: &File| matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        // The hub's own tools lock blobs alone.
        let locks = fs::read_dir(&self.locks).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut others = locks.filter(|lock| *lock != path);
        if is_held(&own) || others.any(|lock| File::open(lock).is_ok_and(|file| is_held(&file))) {
            let text = format!("{} is being downloaded, or removed: cancel that first", self.repository.id);
            return Err(StoreError::Invalid(text));
        }
        Ok(Lock { _file: own })
    }

    /// Puts a file, whose path has been checked, into a snapshot.
    pub(super) fn link(&self, commit: &str, path: &str, etag: &str) -> Result<(), StoreError> {
        let pointer = self.snapshot(commit).join(path);
        let parent = pointer.parent().unwrap_or(&pointer);
        fs::create_dir_all(parent).map_err(StoreError::disk(parent))?;
        // From the file's folder up to the repository's: the cache may be moved as a whole.
        let depth = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).count();
        let target = PathBuf::from("../".repeat(depth + 1)).join("blobs").join(etag);
        if !fs::read_link(&pointer).is_ok_and(|there| there == target) {
            let fresh = parent.join(temporary());
            symlink(&target, &fresh).and_then(|()| fs::rename(&fresh, &pointer)).map_err(StoreError::disk(&pointer))?;
        }
        // Other programs ask no lock of ours before they remove things.
        if pointer.is_file() {
            return Ok(());
        }
        let id = &self.repository.id;
        Err(StoreError::Disk(format!("{id}: {path}: its contents were removed meanwhile; ask for the model again")))
    }

    /// Notes that a branch or tag is at a commit.
    pub(super) fn set_ref(&self, revision: &str, commit: &str) -> Result<(), StoreError> {
        let path = self.folder().join("refs").join(revision);
        if revision == commit || fs::read_to_string(&path).is_ok_and(|there| there == commit) {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(&path);
        let fresh = parent.join(temporary());
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&fresh, commit))
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(StoreError::disk(&path))
    }

    /// The bytes of all blobs that are whole.
    pub(super) fn size(&self) -> u64 {
        let blobs = fs::read_dir(self.folder().join("blobs")).into_iter().flatten().flatten();
        let whole = blobs.filter(|entry| !entry.file_name().to_string_lossy().ends_with(".incomplete"));
        whole.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum()
    }

    /// Removes the repository in one step; false where there is none.
    pub(super) fn remove(&self) -> Result<bool, StoreError> {
        let folder = self.folder();
        if folder.symlink_metadata().is_err() {
            return Ok(false);
        }
        let alone = self.alone()?;
        // Out of sight first: nobody finds half of it, and of two who remove it one does.
        let attic = self.locks.with_file_name(".removed");
        let away = attic.join(temporary());
        fs::create_dir_all(&attic).map_err(StoreError::disk(&attic))?;
        match fs::rename(folder, &away) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(StoreError::disk(folder)(error)),
        }
        // What is left to do takes its time, and is in nobody's way.
        drop(alone);
        let is_link = away.symlink_metadata().is_ok_and(|data| data.is_symlink());
        let removed = if is_link { fs::remove_file(&away) } else { fs::remove_dir_all(&away) };
        removed.map_err(StoreError::disk(&away))?;
        // Empty by now, unless another one is being removed.
        let _ = fs::remove_dir(&attic);
        Ok(true)
    }
}

/// A blob is this program's to write, or a repository to rely on, while it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

/// Tries a lock until it is free.
fn wait(
    path: &Path,
    file: File,
    lock: fn(&File) -> Result<(), TryLockError>,
    stop: &CancelToken,
) -> Result<Lock, StoreError> {
    loop {
        match lock(&file) {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => stop.wait_until(Instant::now() + LOCK_INTERVAL),
            // On a disk that knows no locks two programs at once are the user's to avoid, as with the hub's own tools.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(Lock { _file: file });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::disk(path)(error)),
        }
        if stop.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
    }
}

fn temporary() -> String {
    format!(".millwork-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

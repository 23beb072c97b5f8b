//! The temporary folders of workers: one for each process, inside one for each supervisor, all of them private.
//!
//! A supervisor holds a lock on its folder for as long as it lives, so that nobody else removes it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::mark;

/// How the folders of supervisors begin; their ids follow.
const PREFIX: &str = "millwork-";
/// In the folder of a supervisor.
const LOCK: &str = "lock";

/// The folder of this supervisor, for as long as something is in it.
static OWN: Mutex<Weak<Root>> = Mutex::new(Weak::new());

#[derive(Debug)]
struct Root {
    path: PathBuf,
    _lock: File,
}

/// The folder of one process. [`TempFolder::remove`] ends it.
#[derive(Debug)]
pub(super) struct TempFolder {
    path: PathBuf,
    _root: Arc<Root>,
}

/// Where the folder of a supervisor is, if it has one.
pub(super) fn folder_of(id: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{id}"))
}

impl Root {
    fn get() -> io::Result<Arc<Self>> {
        let mut own = OWN.lock();
        if let Some(root) = own.upgrade() {
            return Ok(root);
        }
        let root = Arc::new(Self::create(folder_of(mark::own_id()))?);
        *own = Arc::downgrade(&root);
        Ok(root)
    }

    fn create(path: PathBuf) -> io::Result<Self> {
        // It has its name only once it is locked: whoever looks for abandoned ones never finds it without.
        let unlocked = path.with_extension("new");
        private_folder(&unlocked)?;
        let lock = File::create_new(unlocked.join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        fs::rename(&unlocked, &path)?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        remove_all(&self.path);
    }
}

impl TempFolder {
    pub(super) fn create() -> io::Result<Self> {
        let root = Root::get()?;
        let path = root.path.join(uuid::Uuid::new_v4().simple().to_string());
        private_folder(&path)?;
        Ok(Self { path, _root: root })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with all that is in it.
    pub(super) fn remove(self) {
        remove_all(&self.path);
    }
}

/// Removes a folder with all that is in it, also where that was made unwritable. What cannot be removed now is left for the
/// next supervisor to try again.
pub(super) fn remove_all(path: &Path) {
    if fs::remove_dir_all(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        make_writable(path);
        let _ = fs::remove_dir_all(path);
    }
}

/// Every folder in it that is none by a link. Nobody is left who could change them meanwhile.
fn make_writable(path: &Path) {
    let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
    let inside = fs::read_dir(path).into_iter().flatten().flatten();
    inside
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .for_each(|entry| make_writable(&entry.path()));
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// The ids of supervisors that are gone and have left their folder, each with the lock that they held.
pub(super) fn abandoned() -> Vec<(String, File)> {
    let uid = rustix::process::getuid().as_raw();
    let folders = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let abandoned = folders.filter_map(|entry| {
        let id = entry.file_name().to_str()?.strip_prefix(PREFIX)?.to_owned();
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Of the entry itself, not of what a link points at: others may write to this folder too.
        let metadata = entry.metadata().ok()?;
        if !is_id || !metadata.is_dir() || metadata.uid() != uid {
            return None;
        }
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let lock = File::options().read(true).custom_flags(flags).open(entry.path().join(LOCK)).ok()?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some((id, lock))
    });
    abandoned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_private_and_goes_with_its_content() {
        let folder = TempFolder::create().unwrap();
        let path = folder.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/file"), "x").unwrap();
        fs::set_permissions(path.join("a/b"), Permissions::from_mode(0o500)).unwrap();
        // This process lives.
        assert!(abandoned().iter().all(|(id, _)| id != mark::own_id()));
        folder.remove();
        assert!(!path.exists());
    }
}

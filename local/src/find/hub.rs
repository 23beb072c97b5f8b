//! The hub's cache on disk, as every tool of the hub reads and writes it: `models--org--name/{blobs,refs,snapshots}`.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::read;
use crate::store::is_commit;

/// The cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    folder: PathBuf,
}

/// One repository in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `org/name`.
    pub id: String,
    /// `models--org--name`.
    pub folder: PathBuf,
}

/// Where the hub's tools keep what is theirs: `HF_HOME`, else `huggingface` in the user's cache folder.
pub(crate) fn home() -> Option<PathBuf> {
    let cache = || given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")));
    given("HF_HOME").or_else(|| Some(cache()?.join("huggingface")))
}

fn given(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

impl Hub {
    /// The cache in a folder, which need not exist.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Where the environment has it: `HF_HUB_CACHE`, else `hub` in [`home`].
    #[must_use]
    pub fn from_env() -> Option<Self> {
        let folder = given("HF_HUB_CACHE").or_else(|| Some(home()?.join("hub")))?;
        Some(Self { folder })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The repositories of models, by name.
    #[must_use]
    pub fn repositories(&self) -> Vec<Repository> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut all: Vec<Repository> = entries
            .filter_map(|entry| Some(Repository { id: id_of(&entry.file_name())?, folder: entry.path() }))
            .collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The repository of an id, which need not exist.
    #[must_use]
    pub fn repository(&self, id: &str) -> Repository {
        let name = format!("models--{}", id.replace('/', "--"));
        Repository { id: id.to_owned(), folder: self.folder.join(name) }
    }

    /// What ids call a file of the cache: its path in its repository, behind that one's name.
    pub(super) fn name_of(&self, file: &Path) -> Option<PathBuf> {
        let mut parts = file.strip_prefix(&self.folder).ok()?.components();
        let repository = id_of(parts.next()?.as_os_str())?;
        // `snapshots/COMMIT` is no part of it.
        Some(Path::new(&repository).join(parts.skip(2).collect::<PathBuf>()))
    }
}

/// The id of the repository that a folder is for, if it is for one of a model.
fn id_of(folder: &OsStr) -> Option<String> {
    Some(folder.to_str()?.strip_prefix("models--")?.replace("--", "/"))
}

impl Repository {
    /// The folder of the revision `main`, else of the newest one.
    #[must_use]
    pub fn snapshot(&self) -> Option<PathBuf> {
        let snapshots = self.folder.join("snapshots");
        let main = read::text(&self.folder.join("refs/main")).ok();
        // It names a folder in there, and no way out.
        let main = main.filter(|revision| is_commit(revision.trim()));
        let main = main.map(|revision| snapshots.join(revision.trim())).filter(|folder| folder.is_dir());
        main.or_else(|| {
            let folders =
                fs::read_dir(&snapshots).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
            folders.max_by_key(|folder| {
                fs::metadata(folder).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
            })
        })
    }
}

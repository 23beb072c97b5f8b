//! A download as a whole: which files, some of them at a time, how far it is, and what is there in the end: all of what was asked
//! for, or no sign of it but the beginnings that a next attempt goes on from.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use millwork_worker::CancelToken;
use millwork_worker::protocol::message::{TransferProgress, TransferStatus};
use parking_lot::Mutex;

use super::fetch::{Fetcher, patiently};
use super::layout::Layout;
use super::remote::{self, Listed, Listing};
use super::web::Web;
use super::{Patience, StoreError, names, pattern};

/// Files that arrive at a time.
const PARALLEL: usize = 4;
/// The bytes of a repository, at most: a quarter of an exabyte.
const MOST_BYTES: u64 = 1 << 58;
/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);
/// How long a cancelled download may take to let go of its files.
const LETTING_GO: Duration = Duration::from_secs(3);

/// What is to be downloaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pull {
    /// `org/name`.
    pub repo_id: String,
    /// A branch, tag or commit; `main` where it is not given.
    pub revision: Option<String>,
    /// This file alone.
    pub path: Option<String>,
    /// Files that match one of these shell patterns; all where it is not given.
    pub allow: Option<Vec<String>>,
    /// But none that matches one of these.
    pub ignore: Vec<String>,
    /// What the model is for; given back with the progress.
    pub model_type: Option<String>,
}

/// Whoever waits for a download.
pub trait Watch {
    /// Is told how far it is: one `start`, then `progress`, then one of `completed`, `exists`, `error` and `cancelled`.
    fn tell(&self, progress: TransferProgress);
    /// Whether it is no longer wanted.
    fn is_cancelled(&self) -> bool;
}

/// A download under way, shared by the threads that work on it.
pub(super) struct Job {
    pub(super) pull: Pull,
    pub(super) layout: Layout,
    pub(super) web: Web,
    pub(super) patience: Patience,
    pub(super) offline: bool,
    pub(super) stop: CancelToken,
    pub(super) arrived: AtomicU64,
    pub(super) count: Mutex<Count>,
}

/// What is told beside the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Count {
    total_bytes: u64,
    files: u64,
    total_files: u64,
    current: Vec<String>,
}

impl Job {
    /// Does it on threads of its own, so that a cancel need not wait for a network. Gives the folder of the snapshot.
    pub(super) fn run(self, watch: &dyn Watch) -> Result<PathBuf, StoreError> {
        watch.tell(self.progress(TransferStatus::Start));
        let job = Arc::new(self);
        let (sender, receiver) = mpsc::channel();
        let driver = Arc::clone(&job);
        let spawned = std::thread::Builder::new().name("millwork-pull".into()).spawn(move || {
            // Nobody listens any more where it was cancelled.
            let _ = sender.send(driver.drive());
        });
        let mut told = None;
        let ended = loop {
            if let Err(error) = &spawned {
                break Err(StoreError::Disk(format!("cannot start a thread: {error}")));
            }
            match receiver.recv_timeout(TICK) {
                Ok(ended) => break ended,
                Err(RecvTimeoutError::Disconnected) => break Err(StoreError::Disk("the download broke off".into())),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if watch.is_cancelled() {
                job.stop.cancel();
                job.web.shut_down();
                // What was whole at that moment is.
                break receiver.recv_timeout(LETTING_GO).unwrap_or(Err(StoreError::Cancelled));
            }
            let now = (job.arrived.load(Ordering::Relaxed), job.count.lock().clone());
            if told.as_ref() != Some(&now) {
                watch.tell(job.progress(TransferStatus::Progress));
                told = Some(now);
            }
        };
        // Some servers repeat what they were sent.
        let ended = ended.map_err(|error| job.web.blot(error));
        let last = match &ended {
            Ok((_, true)) => job.progress(TransferStatus::Exists),
            Ok((_, false)) => job.progress(TransferStatus::Completed),
            Err(StoreError::Cancelled) => job.progress(TransferStatus::Cancelled),
            Err(error) => TransferProgress { error: Some(error.to_string()), ..job.progress(TransferStatus::Error) },
        };
        watch.tell(last);
        ended.map(|(folder, _)| folder)
    }

    fn progress(&self, status: TransferStatus) -> TransferProgress {
        let count = self.count.lock();
        TransferProgress {
            status,
            repo_id: self.pull.repo_id.clone(),
            path: self.pull.path.clone(),
            model_type: self.pull.model_type.clone(),
            downloaded_bytes: self.arrived.load(Ordering::Relaxed),
            total_bytes: count.total_bytes,
            downloaded_files: count.files,
            total_files: count.total_files,
            current_files: count.current.clone(),
            error: None,
            extra: Default::default(),
        }
    }

    /// The folder of the snapshot, and whether all of it was there already.
    fn drive(&self) -> Result<(PathBuf, bool), StoreError> {
        let revision = self.pull.revision.as_deref().unwrap_or("main");
        if self.offline {
            return self.without_network(revision);
        }
        let listing = patiently(self.patience, &self.stop, || remote::list(&self.web, &self.pull.repo_id, revision));
        let Listing { commit, files } = listing?;
        let wanted = self.wanted(files)?;
        // From the first look at what is there until all of it is linked it must not go.
        let _held = self.layout.hold(&self.stop)?;
        let snapshot = self.layout.snapshot(&commit);
        let mut sizes = wanted.iter().filter_map(|file| file.size);
        let sizes = sizes.try_fold(0u64, u64::checked_add).filter(|sum| *sum <= MOST_BYTES).ok_or_else(|| {
            StoreError::Wrong(format!("{}: the hub's list has sizes that no files have", self.pull.repo_id))
        })?;
        *self.count.lock() = Count { total_bytes: sizes, total_files: wanted.len() as u64, ..Count::default() };
        if wanted.iter().all(|file| snapshot.join(&file.path).is_file()) {
            self.arrived.store(sizes, Ordering::Relaxed);
            self.count.lock().files = wanted.len() as u64;
            self.layout.set_ref(revision, &commit)?;
            return Ok((snapshot, true));
        }
        self.layout.create()?;
        let tags = self.blobs(&commit, &wanted)?;
        if self.stop.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        // Only now does anything of it show: until here a snapshot that was there before is what it was.
        let is_new = !snapshot.exists();
        let linked = wanted.iter().zip(&tags).try_for_each(|(file, etag)| self.layout.link(&commit, &file.path, etag));
        let ended = linked.and_then(|()| self.layout.set_ref(revision, &commit));
        if ended.is_err() && is_new {
            // A part would be taken for the whole.
            let _ = std::fs::remove_dir_all(&snapshot);
        }
        ended.map(|()| (snapshot, false))
    }

    fn wanted(&self, files: Vec<Listed>) -> Result<Vec<Listed>, StoreError> {
        let Pull { repo_id, path, allow, ignore, .. } = &self.pull;
        let is_wanted = |file: &Listed| match path {
            Some(path) => file.path == *path,
            None => pattern::takes(&file.path, allow.as_deref(), ignore),
        };
        let there = files.len();
        let wanted: Vec<Listed> = files.into_iter().filter(is_wanted).collect();
        match (wanted.is_empty(), path) {
            (false, _) => Ok(wanted),
            (true, Some(path)) => Err(StoreError::NotFound(format!("{repo_id}: there is no file {path:?} in it"))),
            (true, None) if there == 0 => Err(StoreError::NotFound(format!("{repo_id}: there are no files in it"))),
            (true, None) => {
                Err(StoreError::NotFound(format!("{repo_id}: the patterns match none of the {there} files in it")))
            }
        }
    }

    /// Fetches the blobs of all files, some at a time, and gives their tags in the same order.
    fn blobs(&self, commit: &str, wanted: &[Listed]) -> Result<Vec<String>, StoreError> {
        let Self { web, layout, patience, stop, arrived, .. } = self;
        let fetcher = Fetcher { web, layout, id: &self.pull.repo_id, commit, patience: *patience, stop, arrived };
        let next = AtomicUsize::new(0);
        let tags: Mutex<Vec<Option<String>>> = Mutex::new(vec![None; wanted.len()]);
        let failed: Mutex<Option<StoreError>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL.min(wanted.len()) {
                scope.spawn(|| {
                    while !stop.is_cancelled() {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = wanted.get(at) else { break };
                        self.count.lock().current.push(file.path.clone());
                        let fetched = fetcher.blob(file);
                        let mut count = self.count.lock();
                        count.current.retain(|path| *path != file.path);
                        match fetched {
                            Ok(etag) => {
                                count.files += 1;
                                if let Some(slot) = tags.lock().get_mut(at) {
                                    *slot = Some(etag);
                                }
                            }
                            Err(error) => {
                                failed.lock().get_or_insert(error);
                                // The others are of no use without it.
                                stop.cancel();
                                web.shut_down();
                            }
                        }
                    }
                });
            }
        });
        match failed.into_inner() {
            Some(error) => Err(error),
            None => tags.into_inner().into_iter().collect::<Option<_>>().ok_or(StoreError::Cancelled),
        }
    }

    /// What is there, where nothing may be fetched.
    fn without_network(&self, revision: &str) -> Result<(PathBuf, bool), StoreError> {
        let Pull { repo_id, path, .. } = &self.pull;
        let commit = self.layout.commit_of(revision);
        let snapshot = commit.map(|commit| self.layout.snapshot(&commit));
        let snapshot = snapshot.filter(|folder| path.as_ref().is_none_or(|path| folder.join(path).is_file()));
        snapshot.map(|folder| (folder, true)).ok_or_else(|| {
            let what = path.as_ref().map(|path| format!("{repo_id}: {path}")).unwrap_or_else(|| repo_id.clone());
            StoreError::NotFound(format!(
                "{what} is not in the cache, and HF_HUB_OFFLINE says that nothing may be fetched"
            ))
        })
    }
}

/// Checks the names that a request brings.
pub(super) fn check(pull: &Pull) -> Result<(), StoreError> {
    names::repository(&pull.repo_id)?;
    pull.revision.as_deref().map_or(Ok(()), names::revision)?;
    pull.path.as_deref().map_or(Ok(()), names::path)
}

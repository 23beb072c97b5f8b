//! One file of a repository, fetched into its blob: resumed where there is a beginning, tried again where the way is bad, checked,
//! and put in its place in one step.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millwork_worker::CancelToken;
use ureq::http::StatusCode;

use super::digest::Digest;
use super::layout::Layout;
use super::remote::{self, Listed};
use super::web::{Reply, Web};
use super::{Patience, StoreError};

/// Bytes that are read at a time.
const PIECE: usize = 1 << 16;

/// Everything that fetching the files of one repository at one commit needs.
pub(super) struct Fetcher<'a> {
    pub(super) web: &'a Web,
    pub(super) layout: &'a Layout,
    pub(super) id: &'a str,
    pub(super) commit: &'a str,
    pub(super) patience: Patience,
    /// Set once this is no longer wanted.
    pub(super) stop: &'a CancelToken,
    /// Bytes that are there, of all files together.
    pub(super) arrived: &'a AtomicU64,
}

/// Attempts that are left before it is given up.
struct Attempts {
    patience: Patience,
    failed: u32,
}

impl Attempts {
    fn new(patience: Patience) -> Self {
        Self { patience, failed: 0 }
    }

    /// Waits for the next attempt, or gives the error back where there is none.
    fn pause(&mut self, error: StoreError, stop: &CancelToken) -> Result<(), StoreError> {
        if stop.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        let StoreError::Unreachable { after, .. } = &error else { return Err(error) };
        self.failed += 1;
        let Patience { attempts, pause, longest_pause, .. } = self.patience;
        let wait = after.unwrap_or_else(|| pause.saturating_mul(1 << (self.failed - 1).min(16)).min(longest_pause));
        if self.failed >= attempts || wait > longest_pause {
            return Err(error);
        }
        tracing::debug!(%error, ?wait, "trying again");
        stop.wait_until(Instant::now() + wait);
        if stop.is_cancelled() { Err(StoreError::Cancelled) } else { Ok(()) }
    }
}

/// Does something until it works, it is certain that it will not, or patience ends.
pub(super) fn patiently<T>(
    patience: Patience,
    stop: &CancelToken,
    mut work: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut attempts = Attempts::new(patience);
    loop {
        match work() {
            Ok(done) => return Ok(done),
            Err(error) => attempts.pause(error, stop)?,
        }
    }
}

impl Fetcher<'_> {
    /// Sees to it that the blob of a file is there, and gives its tag.
    pub(super) fn blob(&self, file: &Listed) -> Result<String, StoreError> {
        if let Some(etag) = file.etag.as_ref().filter(|etag| self.is_there(etag, file.size)) {
            return Ok(etag.clone());
        }
        let facts = patiently(self.patience, self.stop, || remote::facts(self.web, self.id, self.commit, &file.path))?;
        let size = facts.size.or(file.size);
        if self.is_there(&facts.etag, size) {
            return Ok(facts.etag);
        }
        let _lock = self.layout.lock(&facts.etag, self.stop)?;
        // Somebody else may have fetched it meanwhile.
        if self.is_there(&facts.etag, size) {
            return Ok(facts.etag);
        }
        let Some(size) = size else {
            return Err(self.wrong(file, "the hub does not say how large it is"));
        };
        let digest = Digest::of_etag(&facts.etag).or_else(|| Digest::of_etag(file.etag.as_deref()?));
        let counted = AtomicU64::new(0);
        let fetched = self.fetch(file, &facts.etag, size, digest.as_ref(), &counted);
        if fetched.is_err() {
            self.arrived.fetch_sub(counted.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        fetched.map(|()| facts.etag)
    }

    /// Whether a blob is whole; its bytes count as arrived then.
    fn is_there(&self, etag: &str, size: Option<u64>) -> bool {
        let there = fs::metadata(self.layout.blob(etag)).ok().filter(|data| data.is_file()).map(|data| data.len());
        let is_whole = there.is_some_and(|len| size.is_none_or(|size| size == len));
        self.arrived.fetch_add(there.filter(|_| is_whole).unwrap_or(0), Ordering::Relaxed);
        is_whole
    }

    fn fetch(
        &self,
        file: &Listed,
        etag: &str,
        size: u64,
        digest: Option<&Digest>,
        counted: &AtomicU64,
    ) -> Result<(), StoreError> {
        let incomplete = self.layout.incomplete(etag);
        // What another program left may be anything: if the whole is wrong, it is fetched once more from the beginning.
        for is_last in [false, true] {
            let part = OpenOptions::new().create(true).append(true).open(&incomplete);
            let part = part.map_err(StoreError::disk(&incomplete))?;
            let resumed = self.fill(&part, file, etag, size, counted)?;
            part.sync_all().map_err(StoreError::disk(&incomplete))?;
            let fits = digest.map(|digest| digest.fits(&incomplete, &|| !self.stop.is_cancelled())).transpose();
            if self.stop.is_cancelled() {
                return Err(StoreError::Cancelled);
            }
            if fits.map_err(StoreError::disk(&incomplete))?.unwrap_or(true) {
                let blob = self.layout.blob(etag);
                return fs::rename(&incomplete, &blob).map_err(StoreError::disk(&blob));
            }
            fs::remove_file(&incomplete).map_err(StoreError::disk(&incomplete))?;
            self.count(counted, 0);
            if is_last || !resumed {
                break;
            }
        }
        Err(self.wrong(file, "what the hub sends is not what its digest says; nothing of it is kept"))
    }

    /// Makes the part whole. Says whether there was a beginning.
    fn fill(&self, part: &File, file: &Listed, etag: &str, size: u64, counted: &AtomicU64) -> Result<bool, StoreError> {
        let incomplete = self.layout.incomplete(etag);
        let mut have = part.metadata().map_err(StoreError::disk(&incomplete))?.len();
        if have > size {
            part.set_len(0).map_err(StoreError::disk(&incomplete))?;
            have = 0;
        }
        let resumed = have > 0;
        self.count(counted, have);
        let mut attempts = Attempts::new(self.patience);
        while have < size {
            let before = have;
            let outcome = self.attempt(part, file, etag, size, &mut have, counted);
            if have > before {
                attempts.failed = 0;
            }
            if let Err(error) = outcome {
                attempts.pause(error, self.stop)?;
            }
        }
        Ok(resumed)
    }

    /// One request for the rest.
    fn attempt(
        &self,
        mut part: &File,
        file: &Listed,
        etag: &str,
        size: u64,
        have: &mut u64,
        counted: &AtomicU64,
    ) -> Result<(), StoreError> {
        let incomplete = self.layout.incomplete(etag);
        let reply = remote::open(self.web, self.id, self.commit, &file.path, *have)?;
        if *have > 0 && !continues(&reply, *have) {
            // A server that does not know ranges sends all of it.
            part.set_len(0).map_err(StoreError::disk(&incomplete))?;
            *have = 0;
            self.count(counted, 0);
            if reply.status != StatusCode::OK {
                return Err(StoreError::passing(format!("{}: {}: the hub does not send the rest", self.id, file.path)));
            }
        }
        let mut body = reply.body.into_reader();
        let mut piece = vec![0; PIECE];
        loop {
            let read = match body.read(&mut piece) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let text = format!(
                        "{}: {}: the connection broke after {have} of {size} bytes: {error}",
                        self.id, file.path
                    );
                    return Err(StoreError::passing(text));
                }
            };
            if self.stop.is_cancelled() {
                return Err(StoreError::Cancelled);
            }
            let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
                let text = format!("{}: {}: the hub ends after {have} of {size} bytes", self.id, file.path);
                return if *have < size { Err(StoreError::passing(text)) } else { Ok(()) };
            };
            if bytes.len() as u64 > size - *have {
                return Err(self.wrong(file, &format!("the hub sends more than the {size} bytes that it told")));
            }
            part.write_all(bytes).map_err(StoreError::disk(&incomplete))?;
            *have += bytes.len() as u64;
            self.count(counted, *have);
        }
    }

    /// Keeps the sum of what has arrived, of which this file's part is now `bytes`.
    fn count(&self, counted: &AtomicU64, bytes: u64) {
        let before = counted.swap(bytes, Ordering::Relaxed);
        self.arrived.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
    }

    fn wrong(&self, file: &Listed, why: &str) -> StoreError {
        StoreError::Wrong(format!("{}: {}: {why}", self.id, file.path))
    }
}

/// Whether a reply goes on where a part ends.
fn continues(reply: &Reply, have: u64) -> bool {
    let range = reply.header("content-range").and_then(|text| text.trim().strip_prefix("bytes "));
    let start = range.and_then(|range| range.split('-').next()).and_then(|start| start.trim().parse::<u64>().ok());
    reply.status == StatusCode::PARTIAL_CONTENT && start == Some(have)
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(120),
            stall: Duration::from_secs(30),
        }
    }
}

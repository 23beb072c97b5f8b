//! Linux: tells when something in a package's folder changes, by inotify(7), as deep as it goes. Elsewhere SIGHUP is the way.
//! Whether the package is another one because of it, its [`revision`](super::revision) says.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::revision::{entries, is_aside};

/// So long nothing has changed, then what was being written is whole.
const SETTLE_MS: u16 = 200;
/// So long is waited for that at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// The folders that are looked at.
#[derive(Debug)]
pub(crate) struct Folders {
    changed: mpsc::UnboundedSender<()>,
    shared: Option<Arc<Shared>>,
    /// Closed with this, which ends the thread.
    hangup: Option<PipeWriter>,
}

#[derive(Debug)]
struct Shared {
    inotify: Inotify,
    hangup: PipeReader,
    roots: Mutex<Vec<PathBuf>>,
}

impl Folders {
    /// None yet.
    pub(crate) fn new(changed: mpsc::UnboundedSender<()>) -> Self {
        Self { changed, shared: None, hangup: None }
    }

    /// Looks at these from now on. Where some are new, it says at once that they may have changed: nobody looked before.
    pub(crate) fn watch(&mut self, roots: Vec<PathBuf>) -> io::Result<()> {
        let shared = match &self.shared {
            Some(shared) if *shared.roots.lock() == roots => return Ok(()),
            Some(shared) => shared.clone(),
            None if roots.is_empty() => return Ok(()),
            None => {
                let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
                let (hangup, ours) = io::pipe()?;
                let shared = Arc::new(Shared { inotify, hangup, roots: Mutex::default() });
                let (heard, changed) = (shared.clone(), self.changed.clone());
                let listen = move || while heard.hear().is_ok() && changed.send(()).is_ok() {};
                std::thread::Builder::new().name("millwork-watch".to_owned()).spawn(listen)?;
                self.hangup = Some(ours);
                self.shared.insert(shared).clone()
            }
        };
        *shared.roots.lock() = roots;
        shared.look();
        // An error means that the fleet has stopped.
        let _ = self.changed.send(());
        Ok(())
    }
}

impl Shared {
    /// Looks at every folder that there is by now; those that are looked at already stay so.
    fn look(&self) {
        let events = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        for root in &*self.roots.lock() {
            for entry in entries(root).filter(|entry| entry.depth() == 0 || entry.file_type().is_dir()) {
                // One that has just gone has nothing in it that could change.
                let _ = self.inotify.add_watch(entry.path(), events);
            }
        }
    }

    /// Waits for a change, and until nothing has changed for a while. An error is the end of the fleet too.
    fn hear(&self) -> Result<(), Errno> {
        while !(self.has_more(PollTimeout::NONE)? && self.read()?) {}
        let heard = Instant::now();
        while heard.elapsed() < PATIENCE && self.has_more(SETTLE_MS.into())? {
            self.read()?;
        }
        self.look();
        Ok(())
    }

    /// Whether something has happened that counts.
    fn read(&self) -> Result<bool, Errno> {
        match self.inotify.read_events() {
            Ok(events) => Ok(events.iter().any(|event| event.name.as_ref().is_none_or(|name| !is_aside(name)))),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether something happens within a time.
    fn has_more(&self, patience: PollTimeout) -> Result<bool, Errno> {
        let mut fds = [self.inotify.as_fd(), self.hangup.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, patience) {
            Ok(_) if fds[1].any().unwrap_or(true) => Err(Errno::EPIPE),
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

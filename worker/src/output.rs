//! Frames to the host: a bounded queue that whoever fills it also drains, as far as the pipe takes it at once.
//!
//! A frame is written by the thread that made it, without a hand-over, as long as the pipe has room. Once it has none,
//! a thread of its own waits for the host, and the others wait while more than [`HIGH_WATER`] is queued.

use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use millwork_protocol::{Frame, FrameQueue};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

/// Bytes in the queue beyond which senders wait.
const HIGH_WATER: usize = 8 << 20;
/// Pieces of one vectored write.
const SLICES: usize = 64;
/// How long the buffer of a large frame is kept for the next one.
const SPARE_KEPT: Duration = Duration::from_secs(2);
/// Bytes that are gathered at most before they are written.
const GATHER: usize = 64 << 10;

/// The way to the host, shared by every thread.
#[derive(Debug)]
pub(crate) struct Output {
    fd: OwnedFd,
    state: Mutex<State>,
    /// The queue has become shorter, or the host has gone.
    room: Condvar,
    /// The pipe is full and somebody must wait for it.
    stalled: Condvar,
    flusher: OnceLock<()>,
}

#[derive(Debug, Default)]
struct State {
    queue: FrameQueue,
    /// The flusher has the queue until it is empty.
    stalled: bool,
    /// The host no longer reads; frames are dropped.
    broken: bool,
    /// Several answers are about to come: they go out in one write.
    gathering: bool,
    /// The buffer of a large frame that has gone; kept for a moment, in case another one comes.
    spare: Option<Vec<u8>>,
}

impl Output {
    pub(crate) fn new(fd: OwnedFd) -> Arc<Self> {
        Arc::new(Self {
            fd,
            state: Mutex::default(),
            room: Condvar::new(),
            stalled: Condvar::new(),
            flusher: OnceLock::new(),
        })
    }

    /// Sends a frame; waits while the host is far behind.
    pub(crate) fn send(self: &Arc<Self>, frame: Frame) {
        let mut state = self.state.lock();
        while state.queue.len() > HIGH_WATER && !state.broken {
            self.room.wait(&mut state);
        }
        state.queue.push(frame);
        self.drain(state);
    }

    /// Sends a frame of which only the newest with the same key matters; never waits.
    pub(crate) fn send_latest(self: &Arc<Self>, key: &str, frame: Frame) {
        let mut state = self.state.lock();
        state.queue.push_latest(key, frame);
        self.drain(state);
    }

    /// Until [`Output::release`], small frames wait for each other: the caller is about to answer several at once.
    pub(crate) fn gather(&self) {
        self.state.lock().gathering = true;
    }

    /// Writes what was gathered.
    pub(crate) fn release(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.gathering = false;
        self.drain(state);
    }

    /// The buffer of a large frame that has gone, if that was a moment ago.
    pub(crate) fn take_spare(&self) -> Option<Vec<u8>> {
        self.state.lock().spare.take()
    }

    /// Waits until all is written, the host has gone, or the time has come.
    pub(crate) fn flush(&self, deadline: Instant) {
        let mut state = self.state.lock();
        while !state.queue.is_empty() && !state.broken {
            if self.room.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }

    /// Whether the host no longer reads.
    pub(crate) fn is_broken(&self) -> bool {
        self.state.lock().broken
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    fn drain(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.stalled || (state.gathering && state.queue.len() < GATHER) {
            return;
        }
        if self.write(&mut state) {
            drop(state.queue.take_spent());
        } else {
            state.stalled = true;
            self.stalled.notify_one();
            self.flusher.get_or_init(|| {
                let output = Arc::clone(self);
                let spawned =
                    std::thread::Builder::new().name("millwork-flush".into()).spawn(move || output.flush_forever());
                if let Err(error) = spawned {
                    tracing::error!(%error, "cannot start the thread that waits for a slow host");
                }
            });
        }
    }

    /// Writes what the pipe takes; false where it takes no more.
    fn write(&self, state: &mut State) -> bool {
        while !state.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = state.queue.slices(&mut slices);
            match rustix::io::writev(&self.fd, slices.get(..filled).unwrap_or_default()) {
                Ok(written) => state.queue.advance(written),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(_) => {
                    state.broken = true;
                    state.queue = FrameQueue::default();
                }
            }
        }
        self.room.notify_all();
        true
    }

    fn flush_forever(&self) {
        loop {
            let mut state = self.state.lock();
            while !state.stalled {
                if state.spare.is_none() {
                    self.stalled.wait(&mut state);
                } else if self.stalled.wait_for(&mut state, SPARE_KEPT).timed_out() {
                    state.spare = None;
                }
            }
            drop(state);
            let mut fds = [PollFd::new(&self.fd, PollFlags::OUT)];
            // An error of poll is an error of the write that follows.
            let _ = rustix::event::poll(&mut fds, None);
            let mut state = self.state.lock();
            if self.write(&mut state) {
                state.stalled = false;
                state.spare = state.queue.take_spent();
            } else if state.queue.len() <= HIGH_WATER {
                self.room.notify_all();
            }
        }
    }
}

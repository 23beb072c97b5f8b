//! Processes: the only place that starts and ends them. What they are for is not known here.
//!
//! Each worker leads a process group of its own. It dies with the thread that started it, so that thread lives as long as
//! the fleet; and when it is gone, a thread of its own ends whatever is left of its group, and of what has left the group.

mod contain;
mod linux;
mod log;
mod secrets;
mod spawn;
mod stderr;
mod usage;
mod wait;

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tracing::Level;

pub use contain::Guardian;
pub(crate) use contain::declared_secrets;
pub(crate) use linux::grow_pipe;
pub(crate) use log::Log;
pub use log::{LogFormat, Logs};
pub(crate) use secrets::Secrets;
pub use spawn::piped;
pub(crate) use wait::ProcessGroup;

use crate::config::WorkerConfig;

/// News of a process. `worker` and `run` are the caller's own names for it.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It runs.
    Spawned { worker: usize, run: u32, child: Child },
    /// It said READY on stderr.
    Ready { worker: usize, run: u32 },
    /// It is gone and reaped, or could not be started; with how, and the end of its stderr.
    Exited { worker: usize, run: u32, exit: String, tail: String },
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) group: Arc<ProcessGroup>,
    /// What bounds it, in words; empty where nothing was asked for.
    pub(crate) bounds: String,
}

impl Child {
    pub(crate) fn pid(&self) -> u32 {
        self.group.pid()
    }
}

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) worker: usize,
    pub(crate) run: u32,
    pub(crate) name: String,
    pub(crate) spec: Arc<WorkerConfig>,
}

/// How long the end of a fleet waits for what its last processes have left to be removed.
const REMOVAL: Duration = Duration::from_secs(1);

/// The thread that starts processes. They die when it does: keep it until they are gone.
#[derive(Debug)]
pub(crate) struct Spawner {
    orders: Option<std::sync::mpsc::Sender<Order>>,
    /// Hangs up once nothing is left of any process.
    left: std::sync::mpsc::Receiver<Infallible>,
}

impl Spawner {
    /// Starts the thread. Of the variables that some worker declares as `secrets`, no other worker is given one.
    pub(crate) fn start(
        notices: mpsc::UnboundedSender<Notice>,
        log: Log,
        secrets: Secrets,
        declared: BTreeSet<String>,
    ) -> std::io::Result<Self> {
        let (orders, inlet) = std::sync::mpsc::channel::<Order>();
        let (something, left) = std::sync::mpsc::channel();
        // It may take a while, and nothing waits for it.
        thread::Builder::new().name("remains".to_owned()).spawn(contain::remove_stale)?;
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let mut told = HashSet::new();
            for order in inlet {
                let (worker, run) = (order.worker, order.run);
                // The same worker lacks the same with each of its processes: it is told once.
                let tell = |name: &str, text: String| {
                    let text = format!("worker `{name}` does not have {text}");
                    if told.insert(text.clone()) {
                        log.news(Level::WARN, name, &text);
                    }
                };
                if let Err(exit) = spawn::spawn(order, &notices, log, &secrets, &declared, something.clone(), tell) {
                    let _ = notices.send(Notice::Exited { worker, run, exit, tail: String::new() });
                }
            }
        })?;
        Ok(Self { orders: Some(orders), left })
    }

    /// Asks for a process. The answer is a [`Notice`].
    pub(crate) fn order(&self, order: Order) {
        // The thread ends only when this sender goes.
        let _ = self.orders.as_ref().map(|orders| orders.send(order));
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        drop(self.orders.take());
        // A guardian outlives this process, and removes what is left then. Nobody else does.
        if !Guardian::is_there() {
            let _ = self.left.recv_timeout(REMOVAL);
        }
    }
}

/// Asks a process group to end.
pub(crate) fn terminate(group: &ProcessGroup) {
    group.signal(Signal::SIGTERM);
}

/// Ends a process group.
pub(crate) fn kill(group: &ProcessGroup) {
    group.signal(Signal::SIGKILL);
}

/// The resident memory of a group's leader, in bytes, where it is known.
pub(crate) fn resident_bytes(group: &ProcessGroup) -> Option<u64> {
    usage::resident_bytes(group.pid())
}

//! Processes: the only place that starts and ends them. What they are for is not known here.
//!
//! Each worker leads a process group of its own. It dies with the thread that started it, so that thread lives as long as
//! the fleet; and when it is gone, a thread of its own ends whatever is left of its group.

mod linux;
mod log;
mod secrets;
mod spawn;
mod stderr;
mod usage;
mod wait;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use nix::sys::signal::Signal;
use tokio::sync::mpsc;

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

/// The thread that starts processes. They die when it does: keep it until they are gone.
#[derive(Debug)]
pub(crate) struct Spawner {
    orders: std::sync::mpsc::Sender<Order>,
}

impl Spawner {
    /// Starts the thread.
    pub(crate) fn start(notices: mpsc::UnboundedSender<Notice>, log: Log, secrets: Secrets) -> std::io::Result<Self> {
        let (orders, inlet) = std::sync::mpsc::channel::<Order>();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            for order in inlet {
                let (worker, run) = (order.worker, order.run);
                if let Err(exit) = spawn::spawn(order, &notices, log, &secrets) {
                    let _ = notices.send(Notice::Exited { worker, run, exit, tail: String::new() });
                }
            }
        })?;
        Ok(Self { orders })
    }

    /// Asks for a process. The answer is a [`Notice`].
    pub(crate) fn order(&self, order: Order) {
        // The thread ends only when this sender goes.
        let _ = self.orders.send(order);
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

//! The end of a process: signals to its group while it is ours, and reaping it, on a thread per process.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::Notice;
use super::stderr::Tail;

/// How long the rest of a dead process's stderr may take to arrive.
const STDERR_PATIENCE: Duration = Duration::from_millis(50);
const STACK: usize = 256 << 10;

/// A process and its group, for as long as the number is ours: from its start until it is reaped.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    pid: Pid,
    is_ours: Mutex<bool>,
}

impl ProcessGroup {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid: Pid::from_raw(pid.cast_signed()), is_ours: Mutex::new(true) }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Sends a signal to the whole group, unless the number may belong to somebody else by now.
    pub(super) fn signal(&self, signal: Signal) {
        let is_ours = self.is_ours.lock();
        if *is_ours {
            // The only error that can occur is that the group has ended already.
            let _ = killpg(self.pid, signal);
        }
    }

    /// Ends what is left of the group and reaps the process.
    pub(super) fn end(&self) -> Option<WaitStatus> {
        let mut is_ours = self.is_ours.lock();
        if !std::mem::replace(&mut *is_ours, false) {
            return None;
        }
        let _ = killpg(self.pid, Signal::SIGKILL);
        loop {
            match waitpid(self.pid, None) {
                Err(Errno::EINTR) => {}
                status => return status.ok(),
            }
        }
    }
}

/// Waits for the end of a process on a thread of its own, then reports it.
pub(super) fn watch(
    group: Arc<ProcessGroup>,
    worker: usize,
    run: u32,
    tail: Arc<Tail>,
    notices: mpsc::UnboundedSender<Notice>,
) -> io::Result<()> {
    thread::Builder::new().name("waiter".to_owned()).stack_size(STACK).spawn(move || {
        // Without reaping: as long as the process is a zombie, its number and its group's cannot be given to others.
        while waitid(Id::Pid(group.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
        let exit = describe(group.end());
        let _ = notices.send(Notice::Exited { worker, run, exit, tail: tail.take(STDERR_PATIENCE) });
    })?;
    Ok(())
}

fn describe(status: Option<WaitStatus>) -> String {
    match status {
        Some(WaitStatus::Exited(_, code)) => format!("exit status {code}"),
        Some(WaitStatus::Signaled(_, signal, _)) => format!("signal {} ({})", signal as i32, signal.as_str()),
        other => format!("status unknown: {other:?}"),
    }
}

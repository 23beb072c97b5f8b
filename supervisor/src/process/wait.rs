//! The end of a process: signals to its group while it is ours, watching it, and reaping it, on a thread per process.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use parking_lot::Mutex;
use rustix::process::PidfdFlags;
use tokio::sync::mpsc;

use super::Notice;
use super::contain::Enclosure;
use super::stderr::Tail;

/// How long the rest of a dead process's stderr may take to arrive.
const STDERR_PATIENCE: Duration = Duration::from_millis(50);
const STACK: usize = 256 << 10;

/// A process and its group, for as long as the number is ours: from its start until it is reaped.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    pid: Pid,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    is_ours: bool,
    /// Whether it was sent SIGKILL from here.
    was_killed: bool,
}

impl ProcessGroup {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid: Pid::from_raw(pid.cast_signed()), state: Mutex::new(State { is_ours: true, was_killed: false }) }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Sends a signal to the whole group, unless the number may belong to somebody else by now.
    pub(super) fn signal(&self, signal: Signal) {
        let mut state = self.state.lock();
        if state.is_ours {
            state.was_killed |= signal == Signal::SIGKILL;
            // The only error that can occur is that the group has ended already.
            let _ = killpg(self.pid, signal);
        }
    }

    /// Ends what is left of the group and reaps the process.
    pub(super) fn end(&self) -> Option<WaitStatus> {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.is_ours, false) {
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
    (mut enclosure, something_left): (Enclosure, Sender<Infallible>),
    notices: mpsc::UnboundedSender<Notice>,
) -> io::Result<()> {
    thread::Builder::new().name("waiter".to_owned()).stack_size(STACK).spawn(move || {
        // Without reaping: as long as the process is a zombie, its number and its group's cannot be given to others.
        let process = descriptor(group.pid);
        let is_gone = |limit| process.as_ref().is_none_or(|process| is_ready(process, limit));
        let excess = enclosure.watch(is_gone, || group.signal(Signal::SIGKILL));
        while waitid(Id::Pid(group.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
        let was_killed = group.state.lock().was_killed;
        let status = group.end();
        let cause = excess.or_else(|| enclosure.cause(status, was_killed));
        let exit = describe(status) + &cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        enclosure.sweep();
        let _ = notices.send(Notice::Exited { worker, run, exit, tail: tail.take(STDERR_PATIENCE) });
        enclosure.remove();
        drop(something_left);
    })?;
    Ok(())
}

/// A descriptor that can be read once the process has ended. A system before Linux 5.3 has none: there, processes are
/// waited for and not watched.
fn descriptor(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(rustix::process::Pid::from_raw(pid.as_raw())?, PidfdFlags::empty()).ok()
}

fn is_ready(process: &OwnedFd, limit: Duration) -> bool {
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    poll(&mut fds, limit).is_ok_and(|ready| ready > 0)
}

fn describe(status: Option<WaitStatus>) -> String {
    match status {
        Some(WaitStatus::Exited(_, code)) => format!("exit status {code}"),
        Some(WaitStatus::Signaled(_, signal, _)) => format!("signal {} ({})", signal as i32, signal.as_str()),
        other => format!("status unknown: {other:?}"),
    }
}

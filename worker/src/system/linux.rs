//! Linux: signals as a descriptor, the process group and its members.

use std::io;
use std::io::IsTerminal;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgrp, getpid};

/// The signals that end a worker, to be polled.
pub(crate) type Signals = SignalFd;

/// Blocks the ending signals in this thread and those that it starts from now on, and gives them as a descriptor.
pub(crate) fn take_signals() -> io::Result<Signals> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block()?;
    // A log file at its limit is an error of the write to it, and not the end of the worker.
    SigSet::from(Signal::SIGXFSZ).thread_block()?;
    // A supervisor asks the kernel to kill us when it dies. A signal that is handled lets us take our own children along.
    if prctl::get_pdeathsig().is_ok_and(|signal| signal == Some(Signal::SIGKILL)) {
        prctl::set_pdeathsig(Signal::SIGTERM)?;
    }
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?)
}

/// Makes this process the leader of its own group, so that its descendants can be told from its host's.
pub(crate) fn lead_own_group() {
    // A background group may not read a terminal.
    if !io::stdin().is_terminal() && getpgrp() != getpid() {
        // It fails for a session leader, which leads its group already.
        let _ = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0));
    }
}

/// Kills every other member of the group that this process leads.
pub(crate) fn kill_descendants() {
    let own = getpid();
    if getpgrp() != own {
        return;
    }
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    for pid in processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        let pid = Pid::from_raw(pid);
        if pid != own && nix::unistd::getpgid(Some(pid)) == Ok(own) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

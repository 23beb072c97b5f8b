//! What a child process does between fork and exec, so that it is no part of this process any more and yet dies with it.
#![allow(unsafe_code, reason = "code between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::SigSet;

/// The child takes nothing along: no descriptor but its three, no blocked signal. On Linux it is killed when the thread that
/// starts it ends.
pub(crate) fn part_from_parent(command: &mut Command) {
    let parent = nix::unistd::Pid::this();
    let before_exec = move || {
        // The signals that end a worker are blocked in it, and a mask outlives exec.
        SigSet::empty().thread_set_mask()?;
        leave(parent)
    };
    // SAFETY: the closure makes a few system calls and allocates nothing, which is all that a forked child may do.
    unsafe { command.pre_exec(before_exec) };
}

#[cfg(target_os = "linux")]
fn leave(parent: nix::unistd::Pid) -> io::Result<()> {
    use nix::libc;
    use nix::sys::prctl;

    prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    // The parent may have died before the line above: then nobody will send the signal.
    if nix::unistd::getppid() != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // Closed by exec and not now: the standard library waits for one of them. A system before Linux 5.11 cannot do it.
    // SAFETY: the call takes three numbers.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn leave(_: nix::unistd::Pid) -> io::Result<()> {
    Ok(())
}

//! What only Linux has: a signal on the death of the parent, cgroups, and pipes that can be made larger.
#![allow(unsafe_code, reason = "code between fork and exec")]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid, write};

/// Large enough for bulk data to flow while both sides work; more makes mid-sized blobs slower.
const PIPE_SIZE: i32 = 256 << 10;

/// Has the child killed when the thread that starts it ends, however that comes about.
pub(super) fn die_with_this_thread(command: &mut Command) {
    let parent = Pid::this();
    let before_exec = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above: then nobody will send the signal.
        if getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(nix::libc::ESRCH)) }
    };
    // SAFETY: the closure makes two system calls and allocates nothing, which is all that a forked child may do.
    unsafe { command.pre_exec(before_exec) };
}

/// Has the child in a cgroup before it is a program of its own. `door` is that cgroup's list of processes.
pub(super) fn enter(command: &mut Command, door: File) {
    let before_exec = move || write(&door, b"0").map(drop).map_err(io::Error::from);
    // SAFETY: the closure makes one system call and allocates nothing, which is all that a forked child may do.
    unsafe { command.pre_exec(before_exec) };
}

/// Makes a pipe larger where the system allows it. What is no pipe stays as it is.
pub(crate) fn grow_pipe(fd: impl AsFd) {
    let _ = fcntl(fd, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
}

//! Starting one process so that nothing of it can stay: the one module of this crate that may.
#![allow(clippy::disallowed_methods, reason = "the suite starts the workers that it is about")]
#![allow(unsafe_code, reason = "code between fork and exec")]

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use super::tree::MARK;

/// Starts `command` on three pipes, in a process group of its own, under a mark that its descendants inherit. It is killed
/// when the thread that called this ends.
pub(super) fn spawn(command: &[OsString], env: &[(String, OsString)]) -> io::Result<(Child, String)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (program, args) = command.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
    let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().map(|(name, value)| (name, value))).env(MARK, &mark).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let before_exec = || {
        // The runner waits for signals in a thread and blocks them everywhere: a worker must not inherit that.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        Ok(())
    };
    // SAFETY: the closure makes two system calls and allocates nothing, which is all that a forked child may do.
    unsafe { command.pre_exec(before_exec) };
    command.spawn().map(|child| (child, mark))
}

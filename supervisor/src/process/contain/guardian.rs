//! Linux: a process beside the supervisor that ends what is left of its workers, should the supervisor be killed.
//!
//! It is a fork from before there were threads: nothing is started or loaded, it waits in one `read`, and its pages are
//! the supervisor's own. It has a session of its own, where nothing that ends the supervisor's reaches it, and shows no
//! environment, so nobody takes it for a worker.
#![allow(unsafe_code, reason = "fork, and the memory that the environment lies in")]

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, close, fork, setsid};

use super::{mark, remains};

/// How long it may take to kill what is left before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an orderly end waits for it.
const WAIT: Duration = Duration::from_secs(1);

/// A watch over this process's workers: where this process dies by SIGKILL, whatever they have started is killed too, in
/// sessions of its own as well, and their temporary folders are removed. Dropping it is the orderly end.
///
/// The command `millwork` has one. A host that is a Rust program gets one with [`Guardian::start`].
#[derive(Debug)]
pub struct Guardian {
    /// Whose other end only the guardian holds: each of the two learns of the other's end.
    link: UnixStream,
    pid: Pid,
}

static IS_THERE: AtomicBool = AtomicBool::new(false);

impl Guardian {
    /// Whether this process has one.
    pub(in crate::process) fn is_there() -> bool {
        IS_THERE.load(Ordering::Relaxed)
    }

    /// Starts it. Call it first in `main`, before there is any other thread, and keep it to the end.
    ///
    /// # Errors
    /// Where this process has several threads already, or the system gives no process.
    pub fn start() -> io::Result<Self> {
        if fs::read_dir("/proc/self/task")?.count() != 1 {
            return Err(io::Error::other("a guardian starts before any other thread does"));
        }
        let remains = remains::Place::of(mark::own_id());
        let (link, theirs) = UnixStream::pair()?;
        // SAFETY: there is one thread, so the child is a whole copy of this process.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => {
                link.set_read_timeout(Some(WAIT))?;
                IS_THERE.store(true, Ordering::Relaxed);
                Ok(Self { link, pid: child })
            }
            ForkResult::Child => guard(theirs, &remains),
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        IS_THERE.store(false, Ordering::Relaxed);
        // Every worker has been swept after already: one look is enough.
        let is_told = self.link.write_all(b".").is_ok();
        // It is about to end when its end of the link has.
        if !is_told || self.link.read(&mut [0]).is_ok() {
            let _ = waitpid(self.pid, None);
        }
    }
}

/// Waits for the end of the supervisor, and cleans up after it.
fn guard(mut link: UnixStream, remains: &remains::Place) -> ! {
    let _ = setsid();
    let _ = SigSet::all().thread_block();
    blank_environment();
    let _ = prctl::set_name(c"mw-guardian");
    close_all_but(link.as_raw_fd());
    let mut word = [0];
    let is_orderly = loop {
        match link.read(&mut word) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read.is_ok_and(|bytes| bytes > 0),
        }
    };
    remains.remove(if is_orderly { Duration::ZERO } else { PATIENCE });
    // Without what a program does at its end: that is the supervisor's to do.
    // SAFETY: it touches no memory.
    unsafe { nix::libc::_exit(0) }
}

/// The supervisor's own descriptors end when it does; a host waits for that.
fn close_all_but(kept: RawFd) {
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<RawFd> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    open.into_iter().filter(|fd| *fd != kept).for_each(|fd| _ = close(fd));
}

/// Overwrites the environment that `/proc` shows of this process: secrets and marks in it are not this process's.
fn blank_environment() {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold anything. Behind it, the 48th and 49th field are where the environment begins and ends.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
    let places: Vec<usize> = fields.skip(47).take(2).filter_map(|field| field.parse().ok()).collect();
    if let [start, end] = places[..]
        && start != 0
        && start < end
    {
        // SAFETY: the kernel put the first environment there, in writable memory that nothing else uses; this process has
        // one thread, reads no variable any more, and what it overwrites is its own copy.
        unsafe { std::ptr::write_bytes(std::ptr::with_exposed_provenance_mut::<u8>(start), 0, end - start) };
    }
}

//! What is done to workers while they work: by signals from outside, by requests, and by the shim.

use std::fs;
use std::path::Path;

use millwork_conformance::random::Random;
use millwork_e2e::Request;
use nix::sys::signal::Signal;

use crate::host::{Host, Worker, signal};
use crate::load::Load;
use crate::shim::{self, Break};

/// The name of the workers behind a shim.
pub(crate) const SHIMMED: &str = "shimmed";

/// One way to hurt a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Signal(Signal),
    /// A node aborts.
    Abort,
    /// A node exits.
    Exit,
    /// A node takes more memory than its worker may have.
    OutOfMemory,
    Break(Break),
}

pub(crate) const ALL: [Fault; 12] = [
    Fault::Signal(Signal::SIGKILL),
    Fault::Signal(Signal::SIGSTOP),
    Fault::Signal(Signal::SIGSEGV),
    Fault::Signal(Signal::SIGTERM),
    Fault::Abort,
    Fault::Exit,
    Fault::OutOfMemory,
    Fault::Break(Break::TornFrame),
    Fault::Break(Break::Text),
    Fault::Break(Break::Flood),
    Fault::Break(Break::Deaf),
    Fault::Break(Break::NeverReady),
];

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Signal(signal) => signal.as_str(),
            Self::Abort => "abort",
            Self::Exit => "exit",
            Self::OutOfMemory => "out of memory",
            Self::Break(order) => order.name(),
        }
    }

    /// Hurts one of these workers; false where none can be hurt so at present.
    pub(crate) fn inject(
        self,
        workers: &[Worker],
        random: &mut Random,
        host: &mut Host,
        load: &mut Load,
        folder: &Path,
    ) -> bool {
        let fits = |worker: &&Worker| {
            let shimmed = matches!(self, Self::Break(_));
            worker.state == "ready" && worker.pid > 0 && (!shimmed || worker.name.starts_with(SHIMMED))
        };
        let fitting: Vec<&Worker> = workers.iter().filter(fits).collect();
        if fitting.is_empty() {
            return false;
        }
        let pid = fitting[random.below(fitting.len())].pid;
        match self {
            Self::Signal(name) => _ = signal(pid, name),
            Self::Abort => load.send_fatal(host, Request::node("test.Abort").field("signal", 6)),
            Self::Exit => load.send_fatal(host, Request::node("test.Abort").field("exit_code", 3)),
            Self::OutOfMemory => load.send_fatal(host, Request::node("test.Alloc").field("mb", 4096)),
            Self::Break(Break::NeverReady) => {
                order(folder, shim::NEXT, Break::NeverReady);
                let _ = signal(pid, Signal::SIGKILL);
            }
            Self::Break(what) => order(folder, &pid.to_string(), what),
        }
        true
    }
}

/// Leaves an order, whole from the moment that it is there.
fn order(folder: &Path, name: &str, order: Break) {
    let (draft, file) = (folder.join("draft"), folder.join(name));
    fs::write(&draft, order.name()).and_then(|()| fs::rename(&draft, file)).expect("an order can be left");
}

//! Ends that nobody asked for, at each point of a request.

use std::process;

use nix::sys::resource::{Resource, setrlimit};

use super::super::out::stderr;
use super::super::scenario::{Scenario, Twist};

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "crash-before-reading",
        "Crashes when the first bytes of a request have come, with the rest of it unread.",
        "Answers with an error that names the signal and shows the end of stderr; the broken pipe is not what it reports.",
        Twist::HalfRead(|_| crash("before it had read the request")),
    ),
    Scenario::new(
        "crash-after-reading",
        "Crashes when it has read a request, before anything is sent for it.",
        "Answers with an error, starts another worker, and refuses a request that has done this twice.",
        Twist::Request(|_| crash("after it had read the request")),
    ),
    Scenario::new(
        "crash-mid-request",
        "Crashes after the progress of a request, before its result.",
        "Answers with an error; that there was progress changes nothing.",
        Twist::Request(|call| {
            call.progress(1, 2);
            crash("in the middle of the request");
        }),
    ),
    Scenario::new(
        "crash-mid-answer",
        "Crashes with half of its answer written.",
        "Throws the half away and answers with an error.",
        Twist::Request(|call| {
            let frame = call.terminal().to_bytes();
            call.worker.out.raw(&frame.slice(..frame.len() / 2));
            crash("in the middle of its answer");
        }),
    ),
    Scenario::new(
        "crash-after-answer",
        "Answers a request and crashes.",
        "Delivers the answer, which was complete, and starts another worker.",
        Twist::Request(|call| {
            call.answer();
            crash("after its answer");
        }),
    ),
    Scenario::new(
        "exit-mid-request",
        "Exits with status 0 in the middle of a request.",
        "Answers with an error all the same: a request without a terminal frame has failed, whatever the status says.",
        Twist::Request(|_| process::exit(0)),
    ),
    Scenario::new(
        "killed-mid-request",
        "Ends itself with SIGKILL in the middle of a request, as the system does when memory runs out.",
        "Answers with an error that mentions memory, since nothing else tells the user.",
        Twist::Request(|_| {
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }),
    ),
];

/// Ends like a fault in native code does: by a signal, with a last word, without a core dump.
fn crash(when: &str) {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    stderr(format!("fatal: segmentation fault {when} (made up)\n").as_bytes());
    process::abort();
}

//! Pipes that are closed, no longer read, or held by somebody else.

use std::process;
use std::thread;
use std::time::Duration;

use super::super::call::Call;
use super::super::out::stderr;
use super::super::scenario::{Scenario, Twist};
use super::super::worker::forever;

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "stops-reading",
        "Reads a request, never answers it, and reads nothing from then on, a cancel included.",
        "Never blocks on a write: what does not go into the pipe waits, the time limit counts meanwhile, and then the worker is ended.",
        Twist::Read(|_| forever()),
    ),
    Scenario::new(
        "stops-reading-then-exits",
        "Reads a request, nothing from then on, and exits with status 1 after half a second.",
        "Sends what the worker never began to another one, and answers with an error for the rest.",
        Twist::Read(|_| {
            thread::sleep(Duration::from_millis(500));
            stderr(b"the device is gone\n");
            process::exit(1);
        }),
    ),
    Scenario::new(
        "closes-stdout",
        "Closes its stdout in the middle of a request, and lives on.",
        "Takes the end of stdout for the end of the worker: ends it and answers what it had, at once.",
        Twist::Request(|call| {
            call.progress(1, 2);
            call.worker.out.close();
            forever();
        }),
    ),
    Scenario::new(
        "closes-stdin",
        "Closes its stdin when it has read a request, answers that one, and lives on.",
        "Takes the answer; the next write fails, and it starts another worker instead of failing request after request.",
        Twist::CloseInput,
    ),
    Scenario::new(
        "grandchild-holds-pipes",
        "Starts a process that holds its pipes open, and exits with status 1 in the middle of a request.",
        "Waits for the process, not for the end of the pipes: answers at once and ends the whole process group, so that nothing is left.",
        Twist::Request(|call| {
            match grandchild(call) {
                Ok(_) => stderr(b"a child of mine stays\n"),
                Err(error) => stderr(format!("cannot start a child: {error}\n").as_bytes()),
            }
            process::exit(1);
        }),
    ),
];

/// A process that does nothing, for longer than a host should wait.
#[allow(clippy::disallowed_methods, reason = "the scenario is a process that is left behind")]
fn grandchild(call: &Call) -> std::io::Result<process::Child> {
    let mut command = process::Command::new("sleep");
    command.arg("300").stdin(process::Stdio::null());
    if let Some(stdout) = call.worker.out.share() {
        command.stdout(stdout);
    }
    command.spawn()
}

//! Promise 2: when the host dies, by any signal, at any moment, no descendant of ours lives 2 s later.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use millwork_e2e::descendants::{kill_marked, marked};
use millwork_e2e::{Launch, Program, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Brings a host of its own to `moment` and kills it there.
fn dies_with_its_host(moment: &str) {
    for program in Program::BOTH {
        let host = Launch::path(env!("CARGO_BIN_EXE_millwork-e2e-host").as_ref());
        let mark = host.mark().to_owned();
        let (mut host, _folder) = host.args([moment.to_owned(), format!("{program:?}")]).start_plain();
        let mut line = String::new();
        let read = BufReader::new(host.stdout.take().unwrap()).read_line(&mut line);
        let reached = read.is_ok() && line == "now\n";
        // A process that is being started bears no mark for a moment.
        within(Duration::from_secs(10), || marked(&mark).len() >= 2);
        let before = marked(&mark);
        kill(Pid::from_raw(host.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
        let gone = within(Duration::from_secs(2), || marked(&mark).is_empty());
        let left = marked(&mark);
        kill_marked(&mark);
        host.wait().unwrap();
        assert!(reached, "{program:?}: the host did not come so far");
        // The host itself, and at least one process of ours.
        assert!(before.len() >= 2, "{program:?}: {before:?}");
        assert!(gone, "{program:?}: 2 s after its host: {left:?}");
    }
}

/// Promise 2: nothing to do.
#[test]
fn p02_idle() {
    dies_with_its_host("idle");
}

/// Promise 2: before READY.
#[test]
fn p02_during_load() {
    dies_with_its_host("load");
}

/// Promise 2: a node at work that looks at its cancellation.
#[test]
fn p02_during_execute() {
    dies_with_its_host("execute");
}

/// Promise 2: in the middle of a stream.
#[test]
fn p02_during_a_stream() {
    dies_with_its_host("stream");
}

/// Promise 2: a compute thread that never looks up.
#[test]
fn p02_with_a_stuck_node() {
    dies_with_its_host("spin");
}

/// Promise 2: a node has started a process of its own, which outlives the request.
#[test]
fn p02_with_a_child_of_a_node() {
    dies_with_its_host("child");
}

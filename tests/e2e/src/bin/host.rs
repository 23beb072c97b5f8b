//! A host to be killed: brings a program to one moment of its life, says so on stdout, and then only waits.
//!
//! `millwork-e2e-host MOMENT PROGRAM [child]`, with `child` after a node has started a process of its own: see the matches
//! below. It is a process of its own because the tests end it with SIGKILL, which leaves it no way to tidy up.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "this is test code")]

use std::io::Write;

use millwork_e2e::{Program, Request};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (moment, program, extra) = match args.as_slice() {
        [moment, program] => (moment, program, ""),
        [moment, program, extra] => (moment, program, extra.as_str()),
        _ => panic!("usage: millwork-e2e-host MOMENT PROGRAM [child]"),
    };
    let program = match program.as_str() {
        "Worker" => Program::Worker,
        "Supervisor" => Program::Supervisor,
        other => panic!("no program {other}"),
    };
    let launch = program.launch();
    let has_child = extra == "child";
    let mut peer = if moment == "load" { launch.start() } else { launch.start().ready() };
    match (has_child, moment.as_str()) {
        (false, _) => {}
        // The request waits in the pipe while it loads: the child comes about when the end does.
        (true, "load") => drop(peer.begin("execute", child())),
        (true, _) => start_child(&mut peer),
    }
    match moment.as_str() {
        // Just started: it has not said READY, and may not have run a line of its own yet.
        "load" | "idle" => {}
        "execute" => begin(&mut peer, Request::node("test.Sleep").field("ms", 600_000)),
        "spin" => {
            peer.begin("execute", Request::node("test.Spin").field("ms", 0));
            while peer.recv().kind != "progress" {}
        }
        "stream" => {
            peer.begin("execute.stream", Request::node("test.Stream").field("n", 1_000_000).field("bytes", 100_000));
            while peer.recv().kind != "chunk" {}
        }
        // Nobody reads what it answers: it waits in a write.
        "unread" => {
            peer.pause_reading(true);
            peer.begin("execute", Request::node("test.BigBlob").field("bytes", 64 << 20));
        }
        "half-frame" => peer.raw(b"\0\0\x10\0\x83\xa4type\xa7execute"),
        // A blob of which it has read a part.
        "blob" => {
            peer.raw(&(64_u32 << 20).to_be_bytes());
            peer.raw(&vec![0x83; 8 << 20]);
        }
        "queued" => (0..300).for_each(|_| {
            peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
        }),
        "cancelling" => {
            let spin = peer.begin("execute", Request::node("test.Spin").field("ms", 0));
            while peer.recv().kind != "progress" {}
            peer.send_more("cancel", &spin, millwork_e2e::Map::new());
        }
        "after-panic" => drop(peer.execute(Request::node("test.Panic"))),
        // It has just been told to end, and a node does not let it.
        "closing" => {
            peer.begin("execute", Request::node("test.Spin").field("ms", 0));
            while peer.recv().kind != "progress" {}
            peer.close();
        }
        "child" => start_child(&mut peer),
        other => panic!("no moment {other}"),
    }
    println!("now");
    std::io::stdout().flush().expect("the test listens");
    loop {
        // A stream goes on being read, so that it is alive when the end comes.
        if peer.try_recv(millwork_e2e::PATIENCE).is_none() && moment == "stream" {
            panic!("the stream has ended");
        }
    }
}

/// A node starts a process that outlives its request.
fn start_child(peer: &mut millwork_e2e::Peer) {
    let started = peer.execute(child());
    assert_eq!(started.kind, "result", "{started:?}");
}

fn child() -> Request {
    Request::node("test.Child").field("seconds", 600)
}

/// Starts a request that does not end, and waits until it runs.
fn begin(peer: &mut millwork_e2e::Peer, request: Request) {
    peer.begin("execute", request);
    let running = millwork_e2e::within(millwork_e2e::PATIENCE, || {
        let status = peer.ask("worker.status", millwork_e2e::Map::new());
        let extensions = status.data["extensions"].clone();
        let direct = extensions.get("in_flight").and_then(millwork_e2e::Value::as_i64);
        let rows = extensions.get("supervisor").and_then(|s| s.get("workers")?.as_list());
        let in_fleet = rows.and_then(|rows| rows.first()?.get("in_flight")?.as_i64());
        in_fleet.or(direct).is_some_and(|n| n > 0)
    });
    assert!(running, "the request does not start");
}

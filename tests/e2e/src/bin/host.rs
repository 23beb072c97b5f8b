//! A host to be killed: brings a program to one moment of its life, says so on stdout, and then only waits.
//!
//! `millwork-e2e-host MOMENT PROGRAM`: see the matches below. It is a process of its own because the tests end it with
//! SIGKILL, which leaves it no way to tidy up.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "this is test code")]

use std::io::Write;

use millwork_e2e::{Program, Request};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [moment, program] = args.as_slice() else { panic!("usage: millwork-e2e-host MOMENT PROGRAM") };
    let program = match program.as_str() {
        "Worker" => Program::Worker,
        "Supervisor" => Program::Supervisor,
        other => panic!("no program {other}"),
    };
    let launch = program.launch();
    let mut peer = if moment == "load" { launch.start() } else { launch.start().ready() };
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
        "child" => drop(peer.execute(Request::node("test.Child").field("seconds", 600)).output("output")),
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

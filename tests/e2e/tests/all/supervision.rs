//! Promises 6, 8 and 9: what the supervisor does when workers die, crash in loops, or never start.

use millwork_e2e::descendants::marked;
use millwork_e2e::{Launch, Map, PATIENCE, Peer, Program, Request, Value, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn worker_of(peer: &Peer) -> Pid {
    let supervisor = peer.pid();
    let mut others = marked(peer.mark()).into_iter().filter(|process| process.pid != supervisor);
    let worker = others.next().expect("there is a worker");
    assert_eq!(others.next(), None);
    Pid::from_raw(worker.pid)
}

/// Promise 8: a worker that is killed is replaced, and the next request is answered by the new one.
#[test]
fn p08_a_killed_worker_is_replaced() {
    let mut peer = Program::Supervisor.start();
    peer.is_well();
    let first = worker_of(&peer);
    kill(first, Signal::SIGKILL).unwrap();
    assert!(within(PATIENCE, || kill(first, None).is_err()), "it is reaped");
    peer.is_well();
    assert_ne!(worker_of(&peer), first);
    let status = peer.ask("worker.status", Map::new());
    let rows = status.data["extensions"].get("supervisor").and_then(|s| s.get("workers")).unwrap();
    let row = &rows.as_list().unwrap()[0];
    assert_eq!((row.get("restarts"), row.get("state")), (Some(&Value::Int(1)), Some(&Value::from("ready"))));
}

/// Promise 8: a request that has killed two workers is not given a third.
#[test]
fn p08_a_request_that_kills_workers_is_refused_as_poison() {
    let mut peer = Program::Supervisor.start();
    let abort = Request::node("test.Abort").field("signal", 9);
    for _ in 0..2 {
        assert_eq!(peer.execute(abort.clone()).error_kind(), "worker_died");
    }
    let refused = peer.execute(abort);
    assert_eq!(refused.error_kind(), "poison", "{refused:?}");
    peer.is_well();
}

/// Promise 8: a worker that never starts is tried a few times and then left alone; requests are told why.
#[test]
fn p08_a_crash_loop_opens_the_circuit() {
    let config = "[restart]\nbackoff_ms = 10\nmax_crashes = 3\n[[worker]]\nname = \"sick\"\n\
                  command = [\"sh\", \"-c\", \"echo out of luck >&2; exit 3\"]\n";
    let mut peer = Launch::of("millwork").args(["serve", "--stdio"]).file("millwork.toml", config).start().ready();
    let failed = within(PATIENCE, || {
        let status = peer.ask("worker.status", Map::new());
        let rows = status.data["extensions"].get("supervisor").and_then(|s| s.get("workers")).cloned().unwrap();
        rows.as_list().unwrap()[0].get("state") == Some(&Value::from("failed"))
    });
    assert!(failed);
    let refused = peer.execute(Request::node("test.Add"));
    assert!(refused.error().contains("sick") || refused.error().contains("test.Add"), "{refused:?}");
    // The story is in the load errors, with the worker's own words.
    let errors = peer.ask("discover", Map::new()).data["load_errors"].clone();
    let told = format!("{errors:?}");
    assert!(told.contains("sick") && told.contains("out of luck"), "{told}");
}

/// Promises 1 and 3: a worker that prints text instead of frames is ended, and its requests say what it printed.
#[test]
fn p01_p03_a_worker_that_sends_garbage_is_ended() {
    let config = "[restart]\nmax_crashes = 2\nbackoff_ms = 10\n[[worker]]\nname = \"chatty\"\n\
                  command = [\"sh\", \"-c\", \"echo NODETOOL_STDIO_READY >&2; echo Welcome to the worker; sleep 600\"]\n";
    let mut peer = Launch::of("millwork").args(["serve", "--stdio"]).file("millwork.toml", config).start().ready();
    let told = within(PATIENCE, || {
        let errors = peer.ask("discover", Map::new()).data["load_errors"].clone();
        format!("{errors:?}").contains("Welcome")
    });
    assert!(told, "{:?}", peer.ask("discover", Map::new()));
    assert_eq!(peer.execute(Request::node("test.Add")).kind, "error");
}

/// Promise 5: one worker of the fleet that does not start hides none of the others.
#[test]
fn p05_a_broken_worker_hides_no_other() {
    let worker = millwork_e2e::process::binary("millwork-worker");
    let config = format!(
        "[[worker]]\nname = \"absent\"\ncommand = [\"/no/such/program\"]\n\
         [[worker]]\nname = \"good\"\ncommand = [{worker:?}, \"--stdio\", \"--test-nodes\"]\n"
    );
    let mut peer = Launch::of("millwork").args(["serve", "--stdio"]).file("millwork.toml", config).start().ready();
    peer.is_well();
    let told = within(PATIENCE, || {
        let errors = format!("{:?}", peer.ask("discover", Map::new()).data["load_errors"]);
        errors.contains("/no/such/program")
    });
    assert!(told);
}

/// Two workers of one kind share the work; the death of one is not the other's.
#[test]
fn p06_two_instances_share_the_work() {
    let worker = millwork_e2e::process::binary("millwork-worker");
    let config =
        format!("[[worker]]\nname = \"pair\"\ninstances = 2\ncommand = [{worker:?}, \"--stdio\", \"--test-nodes\"]\n");
    let mut peer = Launch::of("millwork").args(["serve", "--stdio"]).file("millwork.toml", config).start().ready();
    let both_ready = within(PATIENCE, || {
        let status = peer.ask("worker.status", Map::new());
        let rows = status.data["extensions"].get("supervisor").and_then(|s| s.get("workers")).cloned().unwrap();
        rows.as_list().unwrap().iter().all(|row| row.get("state") == Some(&Value::from("ready")))
    });
    assert!(both_ready);
    let first = peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
    let second = peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
    peer.is_well();
    let supervisor = peer.pid();
    let victim = marked(peer.mark()).into_iter().find(|process| process.pid != supervisor).unwrap();
    kill(Pid::from_raw(victim.pid), Signal::SIGKILL).unwrap();
    let died = peer.recv();
    assert_eq!(died.error_kind(), "worker_died");
    let other = if died.id.as_ref() == Some(&first) { second } else { first };
    peer.send_more("cancel", &other, Map::new());
    assert_eq!(peer.frames_of(&other).pop().unwrap().error_kind(), "cancelled");
    peer.is_well();
}

//! Promise 6: cancel has a measured bound, and the answer says how it ended.

use std::time::{Duration, Instant};

use millwork_e2e::{Map, PATIENCE, Program, Request};

/// Promise 6: a node that looks at its cancellation ends at once.
#[test]
fn p06_a_cooperative_node_ends_at_once() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let id = peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
        peer.is_well();
        let start = Instant::now();
        peer.send_more("cancel", &id, Map::new());
        let answer = peer.frames_of(&id).pop().unwrap();
        assert_eq!(answer.error_kind(), "cancelled");
        assert!(start.elapsed() < Duration::from_secs(4), "before any grace is over: {:?}", start.elapsed());
        peer.is_well();
    }
}

/// Promise 6: a stream too.
#[test]
fn p06_a_stream_is_cancelled_between_chunks() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let stream = Request::node("test.Stream").field("n", 1_000_000_000).field("bytes", 10_000);
        let id = peer.begin("execute.stream", stream);
        for _ in 0..10 {
            assert_eq!(peer.recv().kind, "chunk");
        }
        peer.send_more("cancel", &id, Map::new());
        assert_eq!(peer.frames_of(&id).pop().unwrap().error_kind(), "cancelled");
        peer.is_well();
    }
}

/// Promise 6: a request that waits for its turn never starts.
#[test]
fn p06_a_queued_request_ends_without_having_started() {
    for program in Program::BOTH {
        let mut peer = program.launch().args(["--threads", "1"]).start().ready();
        let first = peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
        let queued = peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
        peer.send_more("cancel", &queued, Map::new());
        peer.send_more("cancel", &first, Map::new());
        let mut ended: Vec<String> = (0..2)
            .map(|_| {
                let answer = peer.recv();
                assert_eq!(answer.error_kind(), "cancelled");
                answer.id.unwrap()
            })
            .collect();
        ended.sort();
        assert_eq!(ended, [first, queued]);
        peer.is_well();
    }
}

/// Promise 6: ids that nobody has, or has any more, are ignored.
#[test]
fn p06_unknown_and_finished_ids_are_ignored() {
    for program in Program::BOTH {
        let mut peer = program.start();
        peer.send_more("cancel", "nobody", Map::new());
        let id = peer.begin("execute", Request::node("test.Add"));
        peer.frames_of(&id);
        peer.raw(&millwork_e2e::Frame::message("cancel", Some(&id), &Map::new()).to_bytes());
        peer.raw(&millwork_e2e::Frame::message("cancel", None, &Map::new()).to_bytes());
        peer.is_well();
    }
}

/// Promise 6: a node that ignores cancel loses its worker after the grace period, the answer says so, another request
/// on that worker fails with the cause, and the next one has a new worker.
#[test]
fn p06_a_stuck_node_is_killed_with_its_worker_and_replaced() {
    let mut peer = Program::Supervisor.launch().file("millwork.toml", "cancel_grace_ms = 500\n").start().ready();
    let spin = peer.begin("execute", Request::node("test.Spin").field("ms", 0));
    // Cancelled before a thread has begun it, it would just end.
    assert_eq!(peer.recv().kind, "progress");
    let other = peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
    peer.is_well();
    let start = Instant::now();
    peer.send_more("cancel", &spin, Map::new());
    for _ in 0..2 {
        let answer = peer.recv();
        let text = answer.error();
        if answer.id.as_ref() == Some(&spin) {
            assert_eq!(answer.error_kind(), "cancelled", "{text}");
            assert!(text.contains("kill") || text.contains("ended"), "it says that the worker was ended: {text}");
        } else {
            assert_eq!(answer.id.as_ref(), Some(&other));
            assert_eq!(answer.error_kind(), "worker_died", "{text}");
            assert!(text.contains("test.Spin"), "it names the cause: {text}");
        }
    }
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(20), "{took:?}");
    peer.is_well();
    peer.close();
    assert!(peer.exit(PATIENCE).is_some());
}

/// Promise 6: many cancels, each racing the end of its request: one answer each, and nothing is left behind.
#[test]
fn p06_cancel_may_race_the_end() {
    for program in Program::BOTH {
        let mut peer = program.start();
        for round in 0..300u32 {
            let id = peer.begin("execute", Request::node("test.Sleep").field("ms", f64::from(round % 4) * 0.3));
            peer.send_more("cancel", &id, Map::new());
            let answer = peer.frames_of(&id).pop().unwrap();
            assert!(answer.kind == "result" || answer.error_kind() == "cancelled", "{answer:?}");
        }
        let status = peer.ask("worker.status", Map::new());
        let in_flight = status.data["extensions"].get("in_flight").unwrap().as_i64();
        assert!(in_flight <= Some(1), "slots are free again: {in_flight:?}");
    }
}

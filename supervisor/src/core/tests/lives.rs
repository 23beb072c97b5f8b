//! Workers: their start, their crashes, their end, and that of the fleet.

use super::*;

#[test]
fn a_worker_that_never_says_ready_is_killed_and_started_again() {
    let mut sim = Sim::new(&[("a", 1, 1)], &config());
    sim.spawn(0);
    sim.advance(19_999);
    assert_eq!((sim.state(0), sim.processes[0].terminated), (WorkerState::Starting, false));
    sim.advance(1);
    assert!(sim.processes[0].terminated && !sim.processes[0].killed);
    sim.advance(100);
    assert!(sim.processes[0].killed);
    sim.die(0);
    assert_eq!(sim.state(0), WorkerState::BackingOff);
    assert!(sim.core.failures().contains("did not say READY within 20000 ms"));
    sim.advance(200);
    assert_eq!((sim.state(0), sim.processes[0].run), (WorkerState::Starting, 2));
}

#[test]
fn discover_has_a_limit_of_its_own() {
    let mut sim = Sim::new(&[("a", 1, 1)], &config());
    sim.spawn(0);
    sim.advance(15_000);
    sim.handle(Event::Ready { worker: 0, run: 1 });
    sim.answer_handshake(0, "discover");
    sim.advance(29_999);
    assert_eq!((sim.state(0), sim.processes[0].terminated), (WorkerState::Discovering, false));
    sim.advance(1);
    assert!(sim.processes[0].terminated);
}

#[test]
fn an_answer_proves_readiness_without_the_line() {
    let mut sim = Sim::new(&[("a", 1, 1)], &config());
    sim.spawn(0);
    sim.answer_handshake(0, "discover");
    sim.answer_handshake(0, "worker.status");
    assert_eq!(sim.state(0), WorkerState::Discovering);
    let id = sim.take_id(0, "provider.list");
    sim.reply(0, "error", &id, &map! { "error" => "Unknown message type: provider.list" });
    assert_eq!(sim.state(0), WorkerState::Ready);
}

#[test]
fn crashes_back_off_and_open_the_circuit_and_only_stable_uptime_closes_it() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    let crash = |sim: &mut Sim, uptime: Millis| {
        sim.advance(uptime);
        sim.die(0);
        let state = sim.state(0);
        let died = sim.now;
        while sim.state(0) != WorkerState::Starting {
            sim.advance(1);
        }
        let wait = sim.now - died;
        sim.come_up(0);
        (state, wait)
    };
    assert!(matches!(crash(&mut sim, 0), (WorkerState::BackingOff, 100..=125)));
    assert!(matches!(crash(&mut sim, 0), (WorkerState::BackingOff, 200..=250)));
    assert_eq!(crash(&mut sim, 0), (WorkerState::Failed, 60_000));
    // Up again on trial, but not for long enough.
    assert_eq!(crash(&mut sim, 4999), (WorkerState::Failed, 60_000));
    assert!(matches!(crash(&mut sim, 5000), (WorkerState::BackingOff, 100..=125)));
}

#[test]
fn an_open_circuit_refuses_at_once_and_is_a_load_error() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    for _ in 0..2 {
        sim.die(0);
        sim.advance(500);
        sim.come_up(0);
    }
    sim.execute("running", "a");
    sim.execute("queued", "a");
    sim.die(0);
    assert_eq!(sim.error("running").0, ErrorKind::WorkerDied);
    assert_eq!(sim.error("queued").0, ErrorKind::Unavailable);
    sim.execute("late", "a");
    assert_eq!(sim.error("late").0, ErrorKind::Unavailable);
    sim.request("d", "discover", map! {});
    let errors = sim.message("d").get("load_errors").unwrap().to_json().to_string();
    assert!(errors.contains("signal 11"), "{errors}");
    sim.advance(60_000);
    sim.come_up(0);
    sim.execute("again", "a");
    assert!(sim.is_open("again"));
}

#[test]
fn what_an_earlier_run_says_is_void() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    sim.die(0);
    sim.advance(200);
    sim.come_up(0);
    sim.execute("x", "a");
    sim.handle(Event::Frame { worker: 0, run: 1, payload: payload("result", "x", &map! {}) });
    sim.handle(Event::Exited { worker: 0, run: 1, exit: "late".into(), tail: String::new() });
    assert!(sim.is_open("x"));
    sim.reply(0, "result", "x", &map! {});
    assert!(!sim.is_open("x"));
}

#[test]
fn a_worker_that_prints_garbage_is_replaced() {
    let mut sim = Sim::ready(&[("a", 1, 2)]);
    sim.execute("x", "a");
    sim.handle(Event::Frame { worker: 0, run: 1, payload: Bytes::from_static(b"\xc1junk") });
    assert!(sim.processes[0].killed);
    sim.die(0);
    let (kind, text) = sim.error("x");
    assert_eq!(kind, ErrorKind::WorkerDied);
    assert!(text.contains("cannot be read") && text.contains("last words"), "{text}");
    assert_eq!(sim.state(0), WorkerState::BackingOff);
}

#[test]
fn a_worker_that_closes_stdout_and_lives_on_is_replaced() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    sim.handle(Event::Closed { worker: 0, run: 1 });
    assert!(!sim.processes[0].killed);
    sim.advance(200);
    assert!(sim.processes[0].killed);
}

#[test]
fn a_worker_that_closes_stdin_and_lives_on_is_replaced_and_the_unread_goes_to_the_next() {
    let mut sim = Sim::ready(&[("a", 1, 2)]);
    sim.pipes_flow = false;
    sim.execute("x", "a");
    sim.handle(Event::Deaf { worker: 0, run: 1 });
    sim.advance(199);
    assert!(!sim.processes[0].terminated);
    sim.advance(1);
    assert!(sim.processes[0].terminated);
    sim.die(0);
    assert!(sim.core.failures().contains("closed its stdin"), "{}", sim.core.failures());
    sim.advance(200);
    sim.come_up(0);
    assert_eq!(sim.sent.last().unwrap(), "execute x > 0");
}

#[test]
fn an_answer_to_discover_without_nodes_is_none() {
    for (nodes, found) in [(map! {}, "nothing"), (map! { "nodes" => "all" }, "str")] {
        let mut sim = Sim::new(&[("a", 1, 1)], &config());
        sim.execute("x", "a");
        sim.spawn(0);
        let id = sim.take_id(0, "discover");
        sim.reply(0, "discover", &id, &nodes);
        assert!(sim.processes[0].terminated);
        sim.die(0);
        let (kind, text) = sim.error("x");
        assert_eq!(kind, ErrorKind::Unavailable);
        assert!(text.contains("worker `a`") && text.contains(&format!("has {found} where")), "{text}");
    }
}

#[test]
fn shutdown_lets_work_end_then_cancels_then_kills() {
    let mut sim = Sim::ready(&[("a", 1, 2), ("b", 1, 1)]);
    sim.execute("quick", "a");
    sim.execute("polite", "a");
    sim.execute("stuck", "b");
    sim.execute("queued", "b");
    sim.handle(Event::Shutdown { at_once: false });
    sim.reply(0, "result", "quick", &map! {});
    assert_eq!(sim.end("quick"), &Answer::Forward(payload("result", "quick", &map! {})));
    sim.advance(500);
    assert!(sim.sent.contains(&"cancel polite > 0".to_owned()) && sim.sent.contains(&"cancel stuck > 1".to_owned()));
    assert_eq!(sim.error("queued").0, ErrorKind::Cancelled);
    sim.reply(0, "error", "polite", &map! { "error" => "cancelled" });
    sim.advance(300);
    assert!(sim.processes[0].terminated && sim.processes[1].terminated);
    sim.die(0);
    sim.advance(100);
    assert!(sim.processes[1].killed && !sim.is_stopped);
    sim.execute("too late", "a");
    assert_eq!(sim.error("too late").0, ErrorKind::Unavailable);
    sim.die(1);
    let (kind, text) = sim.error("stuck");
    assert!(kind == ErrorKind::Cancelled && text.contains("SIGKILL"), "{text}");
    assert!(sim.is_stopped && sim.now < 2000);
}

#[test]
fn an_idle_fleet_stops_at_once_and_one_that_starts_is_killed() {
    let mut sim = Sim::new(&[("a", 1, 1), ("b", 1, 1)], &config());
    sim.come_up(0);
    sim.handle(Event::Shutdown { at_once: false });
    assert_eq!((sim.state(0), sim.state(1)), (WorkerState::Draining, WorkerState::Draining));
    sim.die(0);
    // The other comes to life only now.
    sim.spawn(1);
    assert!(sim.processes[1].killed && !sim.is_stopped);
    sim.die(1);
    assert!(sim.is_stopped);
}

#[test]
fn duplicates_are_load_errors_and_the_first_keeps_the_node() {
    let mut sim = Sim::new(&[("a", 1, 1), ("b", 1, 1)], &config());
    sim.come_up(0);
    sim.spawn(1);
    let id = sim.take_id(1, "discover");
    let nodes = vec![Value::Map(map! { "node_type" => "a.Node" }), Value::Map(map! { "node_type" => "b.Other" })];
    sim.reply(1, "discover", &id, &map! { "protocol_version" => 2, "nodes" => nodes });
    sim.answer_handshake(1, "worker.status");
    sim.answer_handshake(1, "provider.list");
    sim.request("d", "discover", map! {});
    let discover = sim.message("d");
    assert_eq!(discover.get("protocol_version"), Some(&Value::Int(2)));
    assert_eq!(discover.get("nodes").unwrap().as_list().unwrap().len(), 2);
    assert!(discover.get("load_errors").unwrap().to_json().to_string().contains("from worker `a` already"));
    sim.execute("x", "a");
    assert_eq!(sim.sent.last().unwrap(), "execute x > 0");
}

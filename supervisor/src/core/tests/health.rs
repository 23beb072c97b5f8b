//! Workers that are alive and silent.

use super::*;

/// One worker that is built with Millwork's runtime, or a foreign one.
fn one(is_ours: bool, while_busy: Option<bool>) -> Sim {
    let worker = WorkerConfig { health_while_busy: while_busy, ..group("a", 1, 4) };
    let config = Config { health_interval_ms: 1000, health_timeout_ms: 500, ..config() };
    let mut sim = Sim::of([worker], &config);
    sim.spawn(0);
    sim.answer_handshake(0, "discover");
    let id = sim.take_id(0, "worker.status");
    let extensions = if is_ours {
        map! { "millwork" => "1.2.3" }
    } else {
        map! {}
    };
    sim.reply(0, "result", &id, &map! { "extensions" => extensions });
    sim.answer_handshake(0, "provider.list");
    sim
}

fn is_asked(sim: &Sim) -> bool {
    sim.processes[0].inbox.iter().any(|(kind, _)| kind == "worker.status")
}

#[test]
fn a_worker_that_answers_lives_on_and_is_asked_again() {
    let mut sim = one(false, None);
    for _ in 0..3 {
        sim.advance(999);
        assert!(!is_asked(&sim));
        sim.advance(1);
        sim.answer_handshake(0, "worker.status");
    }
    assert_eq!(sim.state(0), WorkerState::Ready);
    // One that talks anyway is not asked.
    sim.execute("x", "a");
    sim.reply(0, "result", "x", &map! {});
    sim.advance(900);
    sim.execute("y", "a");
    sim.reply(0, "result", "y", &map! {});
    sim.advance(999);
    assert!(!is_asked(&sim));
}

#[test]
fn a_silent_worker_is_replaced_and_what_it_was_not_sent_goes_on() {
    let mut sim = one(false, None);
    sim.advance(1000);
    assert!(is_asked(&sim));
    sim.execute("begun", "a");
    sim.pipes_flow = false;
    sim.execute("unbegun", "a");
    sim.advance(499);
    assert!(!sim.processes[0].terminated);
    sim.advance(1);
    assert!(sim.processes[0].terminated);
    sim.advance(100);
    assert!(sim.processes[0].killed, "one that was stopped does not hear SIGTERM");
    sim.die(0);
    let (kind, text) = sim.error("begun");
    assert_eq!(kind, ErrorKind::WorkerDied);
    assert!(text.contains("alive but silent: it did not answer worker.status within 500 ms"), "{text}");
    assert_eq!(sim.state(0), WorkerState::BackingOff, "it counts as a crash");
    sim.pipes_flow = true;
    sim.advance(200);
    sim.come_up(0);
    assert_eq!(sim.sent.last().unwrap(), "execute unbegun > 0");
}

#[test]
fn a_foreign_worker_may_be_silent_while_it_computes_and_ours_may_not() {
    for (is_ours, while_busy, dies) in
        [(false, None, false), (true, None, true), (false, Some(true), true), (true, Some(false), false)]
    {
        let mut sim = one(is_ours, while_busy);
        sim.execute("x", "a");
        sim.advance(10_000);
        assert_eq!(sim.processes[0].terminated, dies, "{is_ours} {while_busy:?}");
    }
}

#[test]
fn whatever_else_it_says_is_a_sign_of_life() {
    let mut sim = one(true, None);
    sim.execute("x", "a");
    sim.advance(1000);
    assert!(is_asked(&sim));
    for _ in 0..10 {
        sim.advance(400);
        sim.reply(0, "progress", "x", &map! {});
    }
    assert!(!sim.processes[0].terminated);
    // Nor is it at fault where nobody listens.
    for _ in 0..10 {
        sim.advance(400);
        sim.core.excuse(sim.now, 0);
    }
    assert!(!sim.processes[0].terminated);
    sim.advance(500);
    assert!(sim.processes[0].terminated);
}

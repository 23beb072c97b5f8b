//! What had begun when its worker died, and may be begun once more.

use super::*;

/// Two workers whose nodes are idempotent if `declared` says so.
fn two(declared: &[&str], retry_idempotent: bool) -> Sim {
    let mut sim = Sim::of([WorkerConfig { retry_idempotent, ..group("a", 2, 4) }], &config());
    for worker in 0..2 {
        sim.spawn(worker);
        sim.answer_handshake(worker, "discover");
        let id = sim.take_id(worker, "worker.status");
        let extensions = map! { "idempotent_nodes" => declared.to_vec() };
        sim.reply(worker, "result", &id, &map! { "extensions" => extensions });
        sim.answer_handshake(worker, "provider.list");
    }
    sim
}

#[test]
fn an_idempotent_request_is_sent_once_more() {
    for declared in [["a.Node"], ["a"]] {
        let mut sim = two(&declared, true);
        sim.execute("x", "a");
        sim.die(0);
        assert_eq!(sim.sent.last().unwrap(), "execute x > 1");
        sim.die(1);
        assert_eq!(sim.error("x").0, ErrorKind::WorkerDied, "but no more than once");
    }
    // Also where it cannot be told which of two is to blame.
    let mut sim = two(&["a"], true);
    ["x", "y", "z"].iter().for_each(|id| sim.execute(id, "a"));
    sim.die(0);
    sim.die(1);
    assert_eq!(sim.error("x").0, ErrorKind::WorkerDied, "twice");
    assert_eq!(sim.error("z").0, ErrorKind::WorkerDied, "twice");
    assert!(sim.is_open("y"), "it was on the second one only");
}

#[test]
fn only_if_it_is_declared_and_allowed_and_nothing_was_seen_of_it() {
    for (declared, allowed) in [(vec!["a.Node"], false), (vec![], true), (vec!["a.No", "b"], true)] {
        let mut sim = two(&declared, allowed);
        sim.execute("x", "a");
        sim.die(0);
        assert_eq!(sim.error("x").0, ErrorKind::WorkerDied, "{declared:?} {allowed}");
    }
    let mut sim = two(&["a"], true);
    sim.execute("x", "a");
    sim.reply(0, "progress", "x", &map! {});
    sim.die(0);
    assert_eq!(sim.error("x").0, ErrorKind::WorkerDied);
}

#[test]
fn one_that_was_cancelled_is_not_begun_again() {
    let mut sim = two(&["a"], true);
    sim.execute("x", "a");
    sim.cancel("x");
    sim.die(0);
    assert_eq!(sim.error("x").0, ErrorKind::Cancelled);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut sim = two(&["a"], true);
    sim.core.policy.max_queued_bytes = 5000;
    (0..6).for_each(|i| sim.execute(&format!("r{i}"), "a"));
    assert!(!sim.core.is_congested() || sim.core.requests.bytes() < 7000);
    let kept =
        sim.core.requests.of_hosts().into_iter().filter(|key| sim.core.requests.get(*key).unwrap().frame.is_some());
    assert!((1..4).contains(&kept.count()));
}

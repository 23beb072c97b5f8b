//! Pools: how many workers run, and which of several a request goes to.

use super::*;
use crate::config::{Instances, Labels, Range};

/// A worker of the configuration with a varying number of instances that take one request each.
fn range(name: &str, min: usize, max: usize) -> WorkerConfig {
    WorkerConfig { instances: Instances::Range(Range { min, max }), idle_stop_ms: 10_000, ..group(name, 1, 1) }
}

fn states(sim: &Sim) -> Vec<&'static str> {
    sim.core.workers.iter().map(|worker| worker.state.as_str()).collect()
}

/// Lets a worker whose stdin is closed end as it should.
fn go(sim: &mut Sim, worker: WorkerId) {
    assert!(sim.processes[worker].closed && !sim.processes[worker].terminated);
    sim.die(worker);
}

#[test]
fn a_pool_grows_while_requests_wait_and_shrinks_when_they_do_not() {
    let mut sim = Sim::ready_of([range("a", 1, 3)]);
    ["r0", "r1", "r2", "r3"].iter().for_each(|id| sim.execute(id, "a"));
    assert_eq!(states(&sim), ["ready"], "not before they have waited for a while");
    sim.advance(scale::GROW_AFTER);
    assert_eq!(states(&sim), ["ready", "starting"]);
    sim.advance(1000);
    assert_eq!(states(&sim).len(), 2, "the next one only once this one is there");
    sim.come_up(1);
    assert_eq!(sim.sent.last().unwrap(), "execute r1 > 1");
    sim.advance(scale::GROW_AFTER);
    sim.come_up(2);
    sim.advance(1000);
    assert_eq!(states(&sim), ["ready", "ready", "ready"], "no more than there may be");
    for (worker, id) in [(0, "r0"), (1, "r1"), (2, "r2"), (0, "r3")] {
        sim.reply(worker, "result", id, &map! {});
    }
    sim.advance(9_999);
    assert_eq!(states(&sim), ["ready", "ready", "ready"]);
    sim.advance(1);
    assert_eq!(states(&sim), ["draining", "draining", "ready"]);
    (0..2).for_each(|worker| go(&mut sim, worker));
    sim.advance(100_000);
    assert_eq!(states(&sim), ["idle", "idle", "ready"], "no fewer than there must be");
    sim.request("s", "worker.status", map! {});
    sim.answer_handshake(2, "worker.status");
    let supervisor = sim.message("s").get("extensions").and_then(|all| all.get("supervisor")).unwrap();
    assert_eq!(supervisor.get("workers").and_then(Value::as_list).unwrap().len(), 1, "who rests has no line");
}

#[test]
fn a_short_queue_starts_nobody() {
    let mut sim = Sim::ready_of([range("a", 1, 3)]);
    ["r0", "r1"].iter().for_each(|id| sim.execute(id, "a"));
    sim.advance(scale::GROW_AFTER - 1);
    sim.reply(0, "result", "r0", &map! {});
    sim.advance(1000);
    assert_eq!(states(&sim), ["ready"]);
}

#[test]
fn a_group_without_a_least_number_stops_and_a_request_starts_it_again() {
    let mut sim = Sim::ready_of([range("a", 0, 2), group("b", 1, 1)]);
    sim.advance(10_000);
    go(&mut sim, 0);
    assert_eq!(states(&sim), ["idle", "ready"]);
    assert!(sim.core.workers[0].last_error.is_none(), "nothing went wrong");
    // What it has is still there.
    sim.request("d", "discover", map! {});
    assert_eq!(sim.message("d").get("nodes").unwrap().as_list().unwrap().len(), 2);
    sim.request("s", "worker.status", map! {});
    sim.answer_handshake(1, "worker.status");
    assert_eq!(sim.message("s").get("namespaces"), Some(&Value::from(vec!["a", "b"])));
    let supervisor = sim.message("s").get("extensions").and_then(|all| all.get("supervisor")).unwrap();
    assert_eq!(supervisor.get("workers").unwrap().as_list().unwrap()[0].get("state"), Some(&Value::from("idle")));
    sim.execute("x", "a");
    assert_eq!(states(&sim), ["starting", "ready"]);
    sim.come_up(0);
    assert_eq!(sim.sent.last().unwrap(), "execute x > 0");
    sim.reply(0, "result", "x", &map! {});
    assert!(!sim.is_open("x"));
}

#[test]
fn a_request_that_comes_while_the_last_worker_stops_has_another_started() {
    let mut sim = Sim::ready_of([range("a", 0, 1)]);
    sim.advance(10_000);
    assert_eq!(states(&sim), ["draining"]);
    sim.execute("x", "a");
    assert_eq!(states(&sim), ["draining", "starting"]);
    sim.come_up(1);
    assert_eq!(sim.sent.last().unwrap(), "execute x > 1");
    go(&mut sim, 0);
    assert_eq!(states(&sim), ["idle", "ready"]);
}

#[test]
fn a_rested_worker_that_cannot_start_any_more_fails_what_waits_for_it() {
    let mut sim = Sim::ready_of([range("a", 0, 1)]);
    sim.advance(10_000);
    go(&mut sim, 0);
    sim.execute("x", "a");
    for _ in 0..3 {
        assert!(sim.is_open("x"));
        sim.spawn(0);
        sim.die(0);
        sim.advance(500);
    }
    assert_eq!(sim.error("x").0, ErrorKind::Unavailable);
    assert_eq!(states(&sim), ["failed"]);
    sim.advance(60_000);
    sim.come_up(0);
    sim.execute("y", "a");
    assert_eq!(sim.sent.last().unwrap(), "execute y > 0");
}

#[test]
fn a_pool_whose_workers_crash_does_not_grow() {
    let mut sim = Sim::ready_of([range("a", 2, 4)]);
    ["r0", "r1", "r2"].iter().for_each(|id| sim.execute(id, "a"));
    sim.die(0);
    sim.advance(scale::GROW_AFTER + 1);
    assert_eq!(sim.core.workers.len(), 2);
}

#[test]
fn the_end_reaches_workers_that_rest() {
    let mut sim = Sim::ready_of([range("a", 0, 1)]);
    sim.advance(10_000);
    go(&mut sim, 0);
    sim.handle(Event::Shutdown { at_once: false });
    assert!(sim.is_stopped);
    assert_eq!(states(&sim), ["stopped"]);
}

/// A worker of the pool `p`, which has the node `p.Node` as the others have.
fn alternative(name: &str, vram_gb: Option<f64>) -> WorkerConfig {
    let labels = Labels { vram_gb, ..Labels::default() };
    WorkerConfig { pool: Some("p".into()), labels, ..group(name, 1, 2) }
}

fn needing(gb: i32) -> Map {
    map! { "node_type" => "p.Node", "requires_vram_gb" => gb }
}

#[test]
fn workers_of_a_pool_are_alternatives_and_no_duplicates() {
    let mut sim = Sim::ready_of([alternative("small", None), alternative("large", None)]);
    sim.request("d", "discover", map! {});
    let discover = sim.message("d");
    assert_eq!(discover.get("nodes").unwrap().as_list().unwrap().len(), 1);
    assert_eq!(discover.get("load_errors").unwrap().as_list().unwrap().len(), 1);
    ["r0", "r1"].iter().for_each(|id| sim.execute(id, "p"));
    assert_eq!(sim.sent[sim.sent.len() - 2..], ["execute r0 > 0", "execute r1 > 1"]);
    // Where one of them has failed for good, the other one goes on.
    for _ in 0..3 {
        sim.die(0);
        sim.advance(500);
        if sim.state(0) == WorkerState::Starting {
            sim.come_up(0);
        }
    }
    assert_eq!(sim.state(0), WorkerState::Failed);
    sim.execute("r2", "p");
    assert_eq!(sim.sent.last().unwrap(), "execute r2 > 1");
}

#[test]
fn a_request_goes_where_there_is_enough_memory_and_does_not_hold_up_the_others() {
    let mut sim = Sim::ready_of([alternative("small", Some(8.0)), alternative("large", Some(24.0))]);
    ["r0", "r1", "r2"].iter().for_each(|id| sim.request(id, "execute", needing(16)));
    assert_eq!(sim.sent.iter().filter(|sent| sent.ends_with("> 1") && sent.starts_with("execute")).count(), 2);
    sim.request("light", "execute", needing(8));
    assert_eq!(sim.sent.last().unwrap(), "execute light > 0");
    sim.reply(1, "result", "r0", &map! {});
    assert_eq!(sim.sent.last().unwrap(), "execute r2 > 1");
    sim.request("heavy", "execute", needing(48));
    let text = "p.Node needs 48 GB of video memory (requires_vram_gb), and no worker that has it offers so much: worker \
                `small` has 8 GB, worker `large` has 24 GB (labels.vram_gb)";
    assert_eq!(sim.error("heavy"), (ErrorKind::Unavailable, text));
    assert!(!sim.is_retryable("heavy"));
    // Where the one that is large enough has gone for good, what needs it does not wait for the small one.
    sim.request("r3", "execute", needing(16));
    assert!(sim.is_open("r3"));
    for _ in 0..3 {
        sim.die(1);
        sim.advance(500);
        if sim.state(1) == WorkerState::Starting {
            sim.spawn(1);
        }
    }
    assert_eq!(sim.error("r3").0, ErrorKind::Unavailable);
}

#[test]
fn a_worker_without_labels_may_have_enough() {
    let mut sim = Sim::ready_of([alternative("unknown", None)]);
    sim.request("x", "execute", needing(1000));
    assert_eq!(sim.sent.last().unwrap(), "execute x > 0");
}

#[test]
fn a_model_stays_with_its_worker_while_that_has_room() {
    let mut sim = Sim::ready(&[("a", 3, 2)]);
    let model = |name: &str| map! { "provider" => "a-ai", "model" => name };
    sim.execute("busy", "a");
    sim.request("m0", "provider.generate", model("m"));
    assert_eq!(sim.sent.last().unwrap(), "provider.generate m0 > 1");
    sim.request("m1", "provider.generate", model("m"));
    assert_eq!(sim.sent.last().unwrap(), "provider.generate m1 > 1");
    sim.request("n0", "provider.generate", model("n"));
    assert_eq!(sim.sent.last().unwrap(), "provider.generate n0 > 2");
    sim.request("m2", "provider.generate", model("m"));
    assert_eq!(sim.sent.last().unwrap(), "provider.generate m2 > 0", "it has no room");
    sim.reply(0, "result", "m2", &map! {});
    sim.die(0);
    sim.request("m3", "provider.generate", model("m"));
    assert_eq!(sim.sent.last().unwrap(), "provider.generate m3 > 2", "that process is gone");
}

#[test]
fn a_graphs_node_comes_back_to_its_worker_but_does_not_wait_behind_others() {
    let mut sim = Sim::ready(&[("a", 2, 2)]);
    let node = |id: &str| map! { "node_type" => "a.Node", "node_id" => id };
    sim.execute("first", "a");
    sim.request("n0", "execute", node("7"));
    assert_eq!(sim.sent.last().unwrap(), "execute n0 > 1");
    ["first", "n0"].iter().enumerate().for_each(|(worker, id)| sim.reply(worker, "result", id, &map! {}));
    sim.request("n1", "execute", node("7"));
    assert_eq!(sim.sent.last().unwrap(), "execute n1 > 1");
    sim.request("n2", "execute", node("7"));
    assert_eq!(sim.sent.last().unwrap(), "execute n2 > 0");
}

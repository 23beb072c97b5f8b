//! Other settings while requests are under way.

use super::*;
use crate::core::{Changes, GroupPolicy, Policy};

fn policy(entry: &WorkerConfig) -> GroupPolicy {
    GroupPolicy::new(entry, &config())
}

fn changes(
    sim: &mut Sim,
    kept: Vec<(usize, GroupPolicy, Option<String>)>,
    added: &[WorkerConfig],
    removed: Vec<usize>,
) {
    let added = added.iter().map(policy).collect();
    let changes = Changes { policy: Policy::new(&config(), 1 << 20), kept, added, removed, unloaded: Vec::new() };
    sim.handle(Event::Configure(Box::new(changes)));
}

fn states(sim: &Sim) -> Vec<&'static str> {
    sim.core.workers.iter().map(|worker| worker.state.as_str()).collect()
}

#[test]
fn a_removed_worker_finishes_what_it_has_and_what_waits_for_it() {
    let mut sim = Sim::ready_of([group("a", 1, 1), group("b", 1, 1)]);
    sim.execute("x", "a");
    sim.execute("y", "a");
    changes(&mut sim, vec![], &[], vec![0]);
    sim.execute("z", "a");
    assert!(matches!(sim.end("z"), Answer::Error(error) if error.error.contains("Unknown node type")));
    assert_eq!(states(&sim), ["ready", "ready"]);
    sim.reply(0, "result", "x", &map! {});
    assert_eq!(sim.sent.last().unwrap(), "execute y > 0");
    sim.reply(0, "result", "y", &map! {});
    assert_eq!(states(&sim), ["draining", "ready"]);
    sim.die(0);
    assert_eq!(states(&sim), ["stopped", "ready"]);
    sim.execute("w", "b");
    assert_eq!(sim.sent.last().unwrap(), "execute w > 1");
}

#[test]
fn an_added_worker_is_started_and_found() {
    let mut sim = Sim::ready_of([group("a", 1, 1)]);
    changes(&mut sim, vec![], &[group("b", 1, 1)], vec![]);
    assert_eq!(states(&sim), ["ready", "starting"]);
    sim.execute("x", "b");
    sim.come_up(1);
    assert_eq!(sim.sent.last().unwrap(), "execute x > 1");
}

#[test]
fn more_instances_start_and_fewer_go() {
    let mut sim = Sim::ready_of([group("a", 1, 1)]);
    changes(&mut sim, vec![(0, policy(&group("a", 3, 2)), None)], &[], vec![]);
    assert_eq!(states(&sim), ["ready", "starting", "starting"]);
    sim.come_up(1);
    sim.come_up(2);
    assert!(sim.core.workers.iter().all(|worker| worker.max_in_flight == 2));
    changes(&mut sim, vec![(0, policy(&group("a", 2, 2)), None)], &[], vec![]);
    assert_eq!(states(&sim).iter().filter(|state| **state == "draining").count(), 1);
}

#[test]
fn other_settings_of_a_process_replace_it() {
    let mut sim = Sim::ready_of([group("a", 1, 1)]);
    sim.execute("x", "a");
    sim.replace(0);
    assert_eq!(states(&sim), ["ready", "starting"]);
    sim.come_up(1);
    assert_eq!(states(&sim), ["draining", "ready"]);
    sim.reply(0, "result", "x", &map! {});
    assert!(matches!(sim.end("x"), Answer::Forward(_)));
}

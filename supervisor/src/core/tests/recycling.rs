//! Replacement of workers with which nothing is wrong.

use super::*;
use crate::config::RecycleConfig;

fn recycled(instances: usize, recycle: RecycleConfig) -> Sim {
    Sim::ready_of([WorkerConfig { recycle, ..group("a", instances, 2) }])
}

fn states(sim: &Sim) -> Vec<&'static str> {
    sim.core.workers.iter().map(|worker| worker.state.as_str()).collect()
}

#[test]
fn after_so_many_requests_a_successor_takes_over_and_nothing_fails() {
    let mut sim = recycled(1, RecycleConfig { max_requests: 2, ..RecycleConfig::default() });
    sim.execute("r0", "a");
    sim.execute("long", "a");
    sim.reply(0, "result", "r0", &map! {});
    sim.execute("r1", "a");
    sim.reply(0, "result", "r1", &map! {});
    assert_eq!(states(&sim), ["ready", "starting"]);
    // Until the successor is there, the old one goes on.
    sim.execute("r2", "a");
    assert_eq!(sim.sent.last().unwrap(), "execute r2 > 0");
    sim.come_up(1);
    assert_eq!(states(&sim), ["draining", "ready"]);
    sim.execute("r3", "a");
    assert_eq!(sim.sent.last().unwrap(), "execute r3 > 1");
    sim.reply(0, "result", "r2", &map! {});
    assert!(!sim.processes[0].closed, "it still has something to do");
    sim.reply(0, "result", "long", &map! {});
    assert!(sim.processes[0].closed && !sim.processes[0].terminated);
    sim.die(0);
    assert_eq!(states(&sim), ["idle", "ready"]);
    assert!(sim.core.workers[0].last_error.is_none());
    assert!(["r0", "r1", "r2", "long"].iter().all(|id| matches!(sim.end(id), Answer::Forward(_))));
}

#[test]
fn one_that_does_not_go_by_itself_is_made_to() {
    let mut sim = recycled(1, RecycleConfig { max_age_ms: 5000, ..RecycleConfig::default() });
    sim.advance(5000);
    sim.come_up(1);
    assert!(sim.processes[0].closed && !sim.processes[0].terminated);
    sim.advance(2000);
    assert!(sim.processes[0].terminated && !sim.processes[0].killed);
    sim.advance(100);
    assert!(sim.processes[0].killed);
    sim.die(0);
    assert_eq!(states(&sim), ["idle", "ready"]);
    // And so on, in the place of the first.
    sim.advance(3000);
    assert_eq!(states(&sim), ["starting", "ready"]);
}

#[test]
fn the_heavy_one_is_replaced_and_where_two_do_not_fit_it_goes_first() {
    let recycle = RecycleConfig { max_rss_bytes: 1000, stop_first: true, ..RecycleConfig::default() };
    let mut sim = recycled(1, recycle);
    sim.execute("x", "a");
    sim.handle(Event::Usage { worker: 0, run: 1, rss_bytes: 1000 });
    assert_eq!(states(&sim), ["ready"]);
    sim.handle(Event::Usage { worker: 0, run: 1, rss_bytes: 1001 });
    assert_eq!(states(&sim), ["draining"]);
    sim.execute("y", "a");
    sim.reply(0, "result", "x", &map! {});
    assert!(sim.processes[0].closed);
    sim.die(0);
    assert_eq!(states(&sim), ["starting"]);
    sim.come_up(0);
    assert_eq!(sim.sent.last().unwrap(), "execute y > 0");
}

#[test]
fn a_group_is_replaced_one_after_the_other() {
    let mut sim = recycled(3, RecycleConfig::default());
    sim.replace(0);
    assert_eq!(states(&sim), ["ready", "ready", "ready", "starting"]);
    sim.come_up(3);
    assert_eq!(states(&sim), ["draining", "ready", "ready", "ready"], "one more than there may be at most");
    sim.die(0);
    assert_eq!(states(&sim), ["starting", "ready", "ready", "ready"]);
    sim.come_up(0);
    sim.die(1);
    sim.come_up(1);
    sim.die(2);
    assert_eq!(states(&sim), ["ready", "ready", "idle", "ready"]);
    assert_eq!(sim.core.groups[0].successor, None);
}

#[test]
fn replacing_helps_workers_that_are_not_up() {
    let mut sim = Sim::new(&[("a", 2, 1)], &config());
    sim.spawn(0);
    sim.spawn(1);
    sim.die(1);
    assert_eq!(states(&sim), ["starting", "backing_off"]);
    sim.replace(0);
    assert_eq!(states(&sim), ["draining", "starting"]);
    assert!(sim.processes[0].terminated);
    sim.die(0);
    assert_eq!(states(&sim), ["starting", "starting"]);
}

#[test]
fn a_successor_that_crashes_leaves_the_old_one_in_service() {
    let mut sim = recycled(1, RecycleConfig { max_requests: 1, ..RecycleConfig::default() });
    sim.execute("r0", "a");
    sim.reply(0, "result", "r0", &map! {});
    sim.spawn(1);
    sim.die(1);
    assert_eq!(states(&sim), ["ready", "backing_off"]);
    sim.execute("r1", "a");
    assert_eq!(sim.sent.last().unwrap(), "execute r1 > 0");
    sim.advance(500);
    sim.come_up(1);
    assert_eq!(states(&sim), ["draining", "ready"]);
}

#[test]
fn one_that_dies_before_its_successor_is_ready_leaves_no_surplus() {
    let mut sim = recycled(1, RecycleConfig { max_requests: 1, ..RecycleConfig::default() });
    sim.execute("r0", "a");
    sim.reply(0, "result", "r0", &map! {});
    sim.die(0);
    sim.advance(500);
    assert_eq!(states(&sim), ["starting", "starting"]);
    sim.come_up(1);
    sim.come_up(0);
    assert_eq!(states(&sim), ["draining", "ready"]);
    sim.die(0);
    assert_eq!(states(&sim), ["idle", "ready"]);
}

#[test]
fn what_was_not_begun_when_a_leaving_worker_dies_goes_to_another() {
    let mut sim = recycled(1, RecycleConfig { max_age_ms: 5000, ..RecycleConfig::default() });
    sim.execute("begun", "a");
    sim.pipes_flow = false;
    sim.execute("unbegun", "a");
    sim.advance(5000);
    sim.pipes_flow = true;
    sim.come_up(1);
    assert_eq!(states(&sim), ["draining", "ready"]);
    sim.die(0);
    assert_eq!(sim.error("begun").0, ErrorKind::WorkerDied);
    assert_eq!(sim.sent.last().unwrap(), "execute unbegun > 1");
    assert_eq!(states(&sim), ["idle", "ready"]);
}

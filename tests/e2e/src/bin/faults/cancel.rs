//! Cancel: a node that looks at its cancellation ends at once, one that does not loses its worker, and no slot is lost.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use millwork_e2e::{Map, Request};

use crate::Settings;
use crate::host::Host;
use crate::report::{Row, percentile, time};

const LIMIT: Duration = Duration::from_millis(20);
const GRACE: Duration = Duration::from_millis(500);
/// What may pass beyond the grace until a stuck node's request has its answer.
const BEYOND: Duration = Duration::from_millis(250);
/// Requests that wait to be cancelled, and requests that are answered meanwhile.
const SLEEPERS: usize = 16;
const LOAD: usize = 8;
const SLOTS: usize = 64;

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let worker = millwork_e2e::process::binary("millwork-worker");
    let config = format!(
        "max_in_flight = {SLOTS}\ncancel_grace_ms = {}\n[restart]\nbackoff_ms = 10\n[[worker]]\nname = \"it\"\n\
         command = [{worker:?}, \"--stdio\", \"--test-nodes\"]\ninstances = 2\n",
        GRACE.as_millis()
    );
    let mut host = Host::serve(&config);
    host.await_workers(|workers| workers.len() == 2 && workers.iter().all(|worker| worker.state == "ready"));
    let mut rows = cooperative(&mut host, settings);
    rows.extend(stuck(&mut host, settings));
    let (_, left) = host.end();
    rows.push(Row::new("processes left", left.len().to_string(), "0", left.is_empty()));
    rows
}

fn sleep() -> Map {
    Request::node("test.Sleep").field("ms", 600_000).into()
}

fn cooperative(host: &mut Host, settings: &Settings) -> Vec<Row> {
    let (sleep, add): (Map, Map) = (sleep(), Request::node("test.Add").field("a", 1).into());
    let count = settings.of(1_000, 10_000);
    let mut sleeping: VecDeque<String> = (0..SLEEPERS).map(|_| host.send("execute", &sleep)).collect();
    let mut loads: Vec<String> = (0..LOAD).map(|_| host.send("execute", &add)).collect();
    let mut cancelled = HashMap::<String, Instant>::new();
    let (mut times, mut served, mut wrong) = (Vec::new(), 0, 0);
    while times.len() < count {
        // One at a time is under way, among requests that run and requests that are answered.
        if cancelled.is_empty() {
            let id = sleeping.pop_front().expect("some sleep");
            cancelled.insert(id.clone(), Instant::now());
            host.post("cancel", &id, &Map::new());
            sleeping.push_back(host.send("execute", &sleep));
        }
        let reply = host.next();
        if let Some(sent) = cancelled.remove(&reply.id) {
            times.push(reply.at.saturating_duration_since(sent));
            wrong += usize::from(reply.text("kind") != "cancelled");
        } else if let Some(at) = loads.iter().position(|id| *id == reply.id) {
            (served, loads[at]) = (served + 1, host.send("execute", &add));
        } else {
            wrong += 1;
        }
    }
    sleeping.iter().for_each(|id| host.post("cancel", id, &Map::new()));
    let rest: Vec<String> = sleeping.into_iter().chain(loads).collect();
    host.terminals(&rest);
    let (p50, p99) = (percentile(&mut times, 50.0), percentile(&mut times, 99.0));
    vec![
        Row::new(
            format!("{count} cancels of nodes that look, with {served} requests answered meanwhile"),
            format!("p50 {}, p99 {}, at most {}", time(p50), time(p99), time(percentile(&mut times, 100.0))),
            format!("p99 ≤ {}", time(LIMIT)),
            p99 <= LIMIT,
        )
        .judged(settings),
        Row::new("answers other than `cancelled` to them", wrong.to_string(), "0", wrong == 0),
        slots(host),
    ]
}

/// As many requests as ever run side by side, and all of them end.
fn slots(host: &mut Host) -> Row {
    let sleep = sleep();
    let ids: Vec<String> = (0..2 * SLOTS).map(|_| host.send("execute", &sleep)).collect();
    let full = host.await_workers(|workers| workers.iter().map(|w| w.in_flight).sum::<i64>() >= ids.len() as i64);
    let running: i64 = full.iter().map(|worker| worker.in_flight).sum();
    ids.iter().for_each(|id| host.post("cancel", id, &Map::new()));
    let ended = host.terminals(&ids).values().filter(|reply| reply.text("kind") == "cancelled").count();
    Row::new(
        format!("slots of two workers with {SLOTS} each, afterwards"),
        format!("{running} run, {ended} of them end"),
        format!("{} and {}", ids.len(), ids.len()),
        ended == ids.len(),
    )
}

/// A node that spins for ever: its worker is ended and replaced, the other one goes on.
fn stuck(host: &mut Host, settings: &Settings) -> Vec<Row> {
    let (spin, sleep): (Map, Map) = (Request::node("test.Spin").field("ms", 0).into(), sleep());
    let mut times = Vec::new();
    let (mut neighbours, mut answered) = (0, 0);
    let rounds = settings.of(4, 20);
    for _ in 0..rounds {
        host.await_workers(|workers| workers.iter().all(|worker| worker.state == "ready"));
        let spinning = host.send("execute", &spin);
        while host.next().id != spinning {}
        let ids: Vec<String> = (0..8).map(|_| host.send("execute", &sleep)).collect();
        let cancel = Instant::now();
        host.post("cancel", &spinning, &Map::new());
        let answer = host.terminal(&spinning);
        assert_eq!(answer.text("kind"), "cancelled", "{}", answer.text("error"));
        times.push(answer.at.saturating_duration_since(cancel));
        // Half of them were beside it and have failed with the cause; the others still sleep.
        ids.iter().for_each(|id| host.post("cancel", id, &Map::new()));
        neighbours += ids.len();
        let fine = |kind: &str| matches!(kind, "cancelled" | "worker_died");
        answered += host.terminals(&ids).values().filter(|reply| fine(&reply.text("kind"))).count();
    }
    let (p50, max, limit) = (percentile(&mut times, 50.0), percentile(&mut times, 100.0), GRACE + BEYOND);
    vec![
        Row::new(
            format!("{rounds} nodes that never look, with a grace of {}", time(GRACE)),
            format!("p50 {}, at most {}", time(p50), time(max)),
            format!("≤ {}", time(limit)),
            max <= limit,
        )
        .judged(settings),
        Row::new(
            "their neighbours that were answered",
            format!("{answered} of {neighbours}"),
            "all",
            answered == neighbours,
        ),
    ]
}

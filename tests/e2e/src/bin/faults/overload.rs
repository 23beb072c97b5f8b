//! Overload: far more requests than the fleet can do. Memory stays bounded, what was accepted ends, the rest is refused at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use millwork_e2e::{Map, Request};

use crate::Settings;
use crate::host::Host;
use crate::report::{Row, mib, percentile, time};

/// One worker does so many at a time, each this long: 200 requests a second.
const AT_ONCE: u32 = 4;
const EACH_MS: u32 = 20;
const QUEUE: u32 = 200;
/// How many times more than that is asked for.
const TOO_MANY: u32 = 10;
/// A refusal that takes longer is none "at once".
const LIMIT: Duration = Duration::from_millis(50);
/// By so much the supervisor may grow.
const GROWTH: u64 = 32 << 20;

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let config =
        format!("max_in_flight = {AT_ONCE}\nmax_queued = {QUEUE}\n[stock]\ntest_nodes = true\nthreads = {AT_ONCE}\n");
    let mut host = Host::serve(&config);
    host.await_workers(|workers| workers.iter().all(|worker| worker.state == "ready"));
    let request: Map = Request::node("test.Sleep").field("ms", EACH_MS).with("pad", "x".repeat(1000)).into();
    let per_second = AT_ONCE * 1000 / EACH_MS * TOO_MANY;
    let (total, every) = (per_second * settings.of(5, 60), Duration::from_secs(1) / per_second);
    let before = host.resident();
    let (mut most, mut refusals) = (before, Vec::new());
    let (mut done, mut sent, mut other) = (0, HashMap::new(), 0);
    let start = Instant::now();
    let mut offered = 0;
    while offered < total || !sent.is_empty() {
        while offered < total && start.elapsed() >= every * offered {
            offered += 1;
            let id = host.send("execute", &request);
            sent.insert(id, Instant::now());
            if offered % 500 == 0 {
                most = most.max(host.resident());
            }
        }
        let wait = if offered < total { every } else { Duration::from_secs(60) };
        let Some(reply) = host.try_next(wait) else {
            assert!(offered < total, "{} accepted requests are not answered", sent.len());
            continue;
        };
        let Some(at) = sent.remove(&reply.id) else { panic!("an answer to nothing: {reply:?}") };
        match (reply.kind.as_str(), reply.text("kind").as_str()) {
            ("result", _) => done += 1,
            ("error", "overloaded") => refusals.push(reply.at.saturating_duration_since(at)),
            _ => other += 1,
        }
    }
    let took = start.elapsed();
    let (_, left) = host.end();
    let refused = refusals.len();
    let (p50, p99) = (percentile(&mut refusals, 50.0), percentile(&mut refusals, 99.0));
    vec![
        Row::new(
            format!("{total} requests in {}, {TOO_MANY} times too many", time(every * total)),
            format!(
                "{done} done, {refused} overloaded, {other} other; {:.0} a second",
                f64::from(done) / took.as_secs_f64()
            ),
            "each one of the two",
            other == 0 && refused > 0 && done > 0,
        ),
        Row::new(
            "from a request to its refusal",
            format!("p50 {}, p99 {}", time(p50), time(p99)),
            format!("p99 ≤ {}", time(LIMIT)),
            p99 <= LIMIT,
        )
        .judged(settings),
        Row::new(
            "the supervisor's memory",
            format!("{} before, {} at most", mib(before), mib(most)),
            format!("+ {}", mib(GROWTH)),
            most < before + GROWTH,
        ),
        Row::new("processes left", left.len().to_string(), "0", left.is_empty()),
    ]
}

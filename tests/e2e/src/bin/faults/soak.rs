//! Soak: a day's requests in minutes, with workers that are replaced all the while. Nothing grows.

use std::fs;
use std::time::Instant;

use crate::Settings;
use crate::host::Host;
use crate::load::Load;
use crate::report::{Row, mib, time};

const WINDOW: usize = 64;
const SAMPLES: u64 = 40;
/// By so much memory may be larger in the last quarter than in the second.
const GROWTH: u64 = 1 << 20;

/// What the supervisor holds at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    resident: u64,
    descriptors: u64,
    processes: u64,
}

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let (requests, each) = settings.of((40_000_u64, 2_000), (2_000_000, 10_000));
    let config = format!(
        "[restart]\nbackoff_ms = 10\n[[worker]]\nname = \"it\"\ninstances = 2\nrecycle = {{ max_requests = {each} }}\n\
         command = [{:?}, \"--stdio\", \"--test-nodes\"]\n",
        millwork_e2e::process::binary("millwork-worker")
    );
    let mut host = Host::serve(&config);
    host.await_workers(|workers| workers.len() == 2 && workers.iter().all(|worker| worker.state == "ready"));
    let mut load = Load::small(settings.seed);
    let (mut sent, mut samples) = (0_u64, Vec::new());
    let start = Instant::now();
    while sent < requests || load.under_way() > 0 {
        while sent < requests && load.under_way() < WINDOW {
            load.send(&mut host);
            sent += 1;
            if sent.is_multiple_of(requests / SAMPLES) {
                samples.push(sample(&host));
            }
        }
        let reply = host.next();
        load.take(&reply);
    }
    let took = start.elapsed();
    let starts = host.stderr().lines().filter(|line| line.ends_with("is starting")).count();
    let (_, left) = host.end();
    let errors: u64 = load.tally.errors.values().sum();
    let median = |of: fn(&Sample) -> u64, quarter: usize| {
        let size = samples.len() / 4;
        let mut all: Vec<u64> = samples.iter().skip(quarter * size).take(size).map(of).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let grows = |what: &str, of: fn(&Sample) -> u64, more: u64, show: fn(u64) -> String| {
        let (second, last) = (median(of, 1), median(of, 3));
        let measured = format!("{} and {}", show(second), show(last));
        Row::new(
            format!("{what}, second and last quarter"),
            measured,
            format!("+ {}", show(more)),
            last <= second + more,
        )
    };
    vec![
        Row::new(
            format!(
                "{requests} requests in {}, {:.0} a second, {starts} worker processes",
                time(took),
                requests as f64 / took.as_secs_f64()
            ),
            format!("{} right, {errors} errors, {} wrong", load.tally.right, load.tally.wrong.len()),
            "all right",
            load.tally.right == requests && errors == 0 && load.tally.wrong.is_empty(),
        ),
        grows("the supervisor's memory", |sample| sample.resident, GROWTH, mib),
        grows("its descriptors", |sample| sample.descriptors, 8, |n| n.to_string()),
        grows("processes in all", |sample| sample.processes, 1, |n| n.to_string()),
        Row::new("processes left", left.len().to_string(), "0", left.is_empty()),
    ]
}

fn sample(host: &Host) -> Sample {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", host.pid())).map_or(0, Iterator::count) as u64;
    Sample { resident: host.resident(), descriptors, processes: host.processes().len() as u64 }
}

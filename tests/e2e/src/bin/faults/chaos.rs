//! Chaos: requests of every sort over four workers that are killed, stopped, starved and broken all the while. Each request
//! ends once, with its own answer or with an error that says why.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millwork_conformance::random::Random;
use millwork_e2e::Map;

use crate::Settings;
use crate::faults::{self, Fault, SHIMMED};
use crate::host::{Host, workers};
use crate::load::Load;
use crate::report::{Row, mib, time};

/// Requests under way.
const WINDOW: usize = 48;
/// Until buffers that may be needed again are let go.
const REST: Duration = Duration::from_secs(3);

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let (requests, due_faults, most_bytes) = settings.of((3_000, 36, 8 << 20), (50_000, 500, 32 << 20));
    let orders = tempfile::tempdir().expect("a folder can be made");
    let mut host = Host::serve(&config(orders.path()));
    host.await_workers(|workers| workers.len() == 4 && workers.iter().all(|worker| worker.state == "ready"));
    let mut load = Load::new(settings.seed, most_bytes);
    let mut random = Random::new(settings.seed ^ 0xfa17);
    let mut injected = BTreeMap::<&str, u32>::new();
    let (mut sent, mut asked, mut count) = (0_u64, None, 0_u64);
    // Every fault in turn, so that each happens.
    let mut next = faults::ALL.into_iter().cycle();
    let mut fault: Option<Fault> = next.next();
    let (mut memory, mut is_resting) = (Vec::new(), false);
    let start = Instant::now();
    while sent < requests || count < due_faults || load.under_way() > 0 || is_resting {
        // Requests do not run away from the faults, which wait for a fleet that can be asked.
        let with_faults = (count + 2) * requests / due_faults;
        while !is_resting && sent < requests.min(with_faults) && load.under_way() < WINDOW {
            load.send(&mut host);
            sent += 1;
            // At rest, as what is under way has its own size.
            is_resting = sent.is_multiple_of(requests / 4);
            if is_resting {
                break;
            }
        }
        if is_resting && load.under_way() == 0 {
            std::thread::sleep(REST);
            memory.push(host.resident());
            is_resting = false;
            continue;
        }
        // The faults are spread evenly; whom they can hit is asked first.
        if asked.is_none() && count < due_faults && sent * due_faults >= count * requests {
            asked = Some(host.send("worker.status", &Map::new()));
        }
        let reply = host.next();
        if asked.as_ref() != Some(&reply.id) {
            load.take(&reply);
            continue;
        }
        asked = None;
        if let Some(now) = fault
            && now.inject(&workers(&reply), &mut random, &mut host, &mut load, orders.path())
        {
            *injected.entry(now.name()).or_default() += 1;
            (count, fault) = (count + 1, next.next());
        }
    }
    let took = start.elapsed();
    let recovered = host.await_workers(|workers| workers.iter().all(|worker| worker.state == "ready"));
    let (status, left) = host.end();
    let tally = &load.tally;
    let list = |map: &BTreeMap<String, u64>| map.iter().map(|(k, n)| format!("{n} {k}")).collect::<Vec<_>>().join(", ");
    let (second, last) = (memory[1], memory[3]);
    let errors: u64 = tally.errors.values().sum();
    vec![
        Row::new(
            format!("{} requests, {count} faults in {}", load.sent(), time(took)),
            format!("{} right, {}", tally.right, list(&tally.errors)),
            "each ends once",
            tally.right + errors == load.sent() && count == due_faults,
        ),
        Row::new(
            format!("faults: {}", injected.iter().map(|(k, n)| format!("{n} {k}")).collect::<Vec<_>>().join(", ")),
            format!("{} kinds", injected.len()),
            format!("{}", faults::ALL.len()),
            injected.len() == faults::ALL.len(),
        ),
        Row::new(
            "lost, doubled, swapped or unexplained answers",
            tally.wrong.first().map_or_else(|| "0".to_owned(), |first| format!("{}: {first}", tally.wrong.len())),
            "0",
            tally.wrong.is_empty(),
        ),
        Row::new("workers that serve again afterwards", format!("{} of 4", recovered.len()), "4", recovered.len() == 4),
        Row::new(
            "the supervisor's memory at rest, after a half and after all",
            format!("{} and {}", mib(second), mib(last)),
            "+ 10 %",
            last <= second + second / 10,
        )
        .judged(settings),
        Row::new(
            "the supervisor's end, processes left",
            format!("{}, {}", status.map_or_else(|| "it hangs".to_owned(), |status| status.to_string()), left.len()),
            "exit status: 0, 0",
            status.is_some_and(|status| status.success()) && left.is_empty(),
        ),
    ]
}

/// Two stock workers and two behind a shim, alternatives to each other.
fn config(orders: &std::path::Path) -> String {
    let shim = std::env::current_exe().expect("a program knows its path");
    let worker = millwork_e2e::process::binary("millwork-worker");
    let (shim, worker, orders) = (shim.display(), worker.display(), orders.display());
    let (ready_ms, silent_ms) = (Duration::from_secs(5).as_millis(), Duration::from_millis(1500).as_millis());
    let limits = "limits = { memory_mb = 768 }\ninstances = 2\npool = \"all\"\n";
    format!(
        "ready_timeout_ms = {ready_ms}\nhealth_interval_ms = 500\nhealth_timeout_ms = {silent_ms}\n\
         [restart]\nbackoff_ms = 10\nmax_backoff_ms = 100\nmax_crashes = 1000000\n\
         [[worker]]\nname = \"stock\"\ncommand = [\"{worker}\", \"--stdio\", \"--test-nodes\"]\n{limits}\
         [[worker]]\nname = \"{SHIMMED}\"\n{limits}\
         command = [\"{shim}\", \"--shim\", \"{orders}\", \"--\", \"{worker}\", \"--stdio\", \"--test-nodes\"]\n"
    )
}

//! Crash loop: a worker that dies at its start costs next to nothing, and serves when the cause is gone.

use std::fs;
use std::time::{Duration, Instant};

use crate::Settings;
use crate::host::Host;
use crate::report::{Row, time};

/// Of one core, averaged.
const SHARE: f64 = 0.01;
/// By so much a busy machine and a build without optimisations may be over it: no loop without waits stays below.
const LENIENCE: f64 = 5.0;
/// From the wait that the circuit is open for to the first answer.
const BEYOND: Duration = Duration::from_secs(10);

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let open = settings.of(Duration::from_secs(4), Duration::from_secs(60));
    let watch = settings.of(Duration::from_secs(15), Duration::from_secs(300));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let repaired = folder.path().join("repaired");
    let worker = millwork_e2e::process::binary("millwork-worker");
    let script =
        format!("test -e {} && exec {} --stdio; echo broken >&2; exit 3", repaired.display(), worker.display());
    // The waits between the crashes are the default ones.
    let config = format!(
        "[restart]\nopen_ms = {}\n[[worker]]\nname = \"sick\"\ncommand = [\"sh\", \"-c\", {script:?}]\n",
        open.as_millis()
    );
    let mut host = Host::serve(&config);
    let (start, before) = (Instant::now(), cpu(&host));
    std::thread::sleep(watch);
    let share = cpu(&host).saturating_sub(before).as_secs_f64() / start.elapsed().as_secs_f64();
    let limit = settings.of(SHARE * LENIENCE, SHARE);
    let starts = host.stderr().lines().filter(|line| line.ends_with("is starting")).count();
    let told =
        host.workers().iter().all(|worker| matches!(worker.state.as_str(), "failed" | "backing_off" | "starting"));
    fs::write(&repaired, "").expect("it can be written");
    let since = Instant::now();
    host.await_workers(|workers| workers.iter().all(|worker| worker.state == "ready"));
    let recovery = since.elapsed();
    let (_, left) = host.end();
    vec![
        Row::new(
            format!("a worker that dies at once, for {}: {starts} starts; the processor time of it all", time(watch)),
            format!("{:.2} % of a core", share * 100.0),
            format!("< {:.0} %", limit * 100.0),
            share < limit && starts > 1,
        ),
        Row::new("its state tells that it is broken", told.to_string(), "true", told),
        Row::new(
            "from the repair to ready",
            time(recovery),
            format!("≤ {}, the open circuit, + {}", time(open), time(BEYOND)),
            recovery <= open + BEYOND,
        )
        .judged(settings),
        Row::new("processes left", left.len().to_string(), "0", left.is_empty()),
    ]
}

/// The processor time of the supervisor, its guardian and the worker, with those of their children that have ended.
fn cpu(host: &Host) -> Duration {
    host.processes().iter().map(|process| cpu_of(process.pid)).sum()
}

/// proc(5): utime, stime, cutime, cstime.
fn cpu_of(pid: i32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, which may hold spaces, ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields.iter().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux reports hundredths on every architecture that matters here.
    Duration::from_millis(ticks * 10)
}

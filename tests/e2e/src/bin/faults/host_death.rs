//! Host death: the host is killed at every point of a worker's life, with a worker, a fleet, or children of workers below it.
//! All of it goes within 2 s.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use millwork_e2e::descendants::{guardians, kill_marked, living_guardians, marked};
use millwork_e2e::process::binary;
use millwork_e2e::{Launch, PATIENCE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Settings;
use crate::report::{Row, percentile, time};

/// Points in a life, as `millwork-e2e-host` has them.
const MOMENTS: [&str; 12] = [
    "load",
    "idle",
    "execute",
    "spin",
    "stream",
    "unread",
    "half-frame",
    "queued",
    "cancelling",
    "after-panic",
    "blob",
    "closing",
];
const LIMIT: Duration = Duration::from_secs(2);
/// A program that is just being loaded shows no environment, and so no mark: gone is what does not come again for so long.
const SETTLED: Duration = Duration::from_millis(50);

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let rounds = settings.of(1, 20);
    // With how many processes there are at the least: the host, the supervisor and its guardian, the worker, its child.
    let depths = [
        ("host → worker", "Worker", "", 2),
        ("host → supervisor → worker", "Supervisor", "", 4),
        ("… → worker → its child", "Supervisor", "child", 5),
    ];
    let row = |(name, program, extra, least): (&str, &str, &str, usize)| {
        let (mut times, mut late) = (Vec::new(), Vec::new());
        for moment in MOMENTS {
            for signal in [Signal::SIGKILL, Signal::SIGTERM].into_iter().cycle().take(2 * rounds) {
                let (took, left) = dies(moment, program, extra, signal, least);
                times.push(took);
                if took > LIMIT || !left.is_empty() {
                    late.push(format!("{moment} by {signal}: {} {left:?}", time(took)));
                }
            }
        }
        let (p50, max) = (percentile(&mut times, 50.0), percentile(&mut times, 100.0));
        let what =
            format!("{name}: {} moments, SIGKILL and SIGTERM, {rounds} times each: until all are gone", MOMENTS.len());
        let measured = match late.first() {
            None => format!("p50 {}, at most {}", time(p50), time(max)),
            Some(first) => format!("{} of {} late: {first}", late.len(), times.len()),
        };
        Row::new(what, measured, format!("≤ {}", time(LIMIT)), late.is_empty())
    };
    depths.into_iter().map(row).collect()
}

/// Brings a host to a moment and kills it there: how long something of it lived on, and what still does.
fn dies(moment: &str, program: &str, extra: &str, signal: Signal, least: usize) -> (Duration, Vec<String>) {
    let host = Launch::path(&binary("millwork-e2e-host"));
    let mark = host.mark().to_owned();
    let (mut host, _folder) = host.args([moment, program, extra]).start_plain();
    let mut line = String::new();
    let read = BufReader::new(host.stdout.take().expect("a pipe")).read_line(&mut line);
    assert!(read.is_ok() && line == "now\n", "the host did not come to {moment} with {program} {extra}");
    // While it loads, not all of them are there yet.
    let (there, least) = (marked(&mark), if moment == "load" { 1 } else { least });
    let guardians = guardians(&there);
    assert!(
        there.len() + guardians.len() >= least,
        "at {moment} with {program} {extra} there is only {there:?} {guardians:?}"
    );
    let still = || [marked(&mark), living_guardians(&guardians)].concat();
    let killed = Instant::now();
    kill(Pid::from_raw(i32::try_from(host.id()).expect("a process id")), signal).expect("it is there");
    host.wait().expect("it can be waited for");
    let mut gone_since = None;
    let (took, left) = loop {
        let (left, now) = (still(), killed.elapsed());
        gone_since = if left.is_empty() { gone_since.or(Some(now)) } else { None };
        let since = gone_since.unwrap_or(now);
        if now - since >= SETTLED || now > PATIENCE / 10 {
            break (since, left);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    kill_marked(&mark);
    (took, left.into_iter().map(|process| process.command).collect())
}

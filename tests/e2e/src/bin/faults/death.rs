//! Death to error: when a worker dies, each of its requests fails at once, with the cause and the end of its stderr.

use std::time::Duration;

use millwork_e2e::{Map, Request};
use nix::sys::signal::Signal;

use crate::Settings;
use crate::host::{Host, signal};
use crate::report::{Row, percentile, time};

/// Requests that are under way on the worker.
const PENDING: usize = 16;
const LAST_WORDS: &str = "the last words of this worker";
const CONFIG: &str =
    "[restart]\nbackoff_ms = 10\nmax_backoff_ms = 50\nmax_crashes = 100000\n[stock]\ntest_nodes = true\n";
const LIMIT: Duration = Duration::from_millis(100);

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let mut host = Host::serve(CONFIG);
    let (mut times, mut explained, mut rounds) = (Vec::new(), 0, 0);
    for signal_name in
        [Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGABRT].into_iter().cycle().take(settings.of(12, 100))
    {
        rounds += 1;
        let ids = pending(&mut host);
        let worker = host.await_workers(|workers| workers.iter().any(|w| w.in_flight >= PENDING as i64));
        let killed = signal(worker[0].pid, signal_name);
        let answers = host.terminals(&ids);
        let (cause, said) = (format!("{signal_name}"), |text: &str| text.contains(LAST_WORDS));
        for reply in answers.values() {
            times.push(reply.at.saturating_duration_since(killed));
            let text = reply.text("error");
            assert_eq!(reply.text("kind"), "worker_died", "{text}");
            explained += usize::from(text.contains(&cause) && said(&text));
        }
    }
    let (count, p50, max) = (times.len(), percentile(&mut times, 50.0), percentile(&mut times, 100.0));
    let (_, left) = host.end();
    vec![
        Row::new(
            format!("{rounds} deaths under {PENDING} requests: from the signal to the error"),
            format!("p50 {}, at most {}", time(p50), time(max)),
            format!("≤ {}", time(LIMIT)),
            max <= LIMIT,
        )
        .judged(settings),
        Row::new(
            "errors that name the signal and hold the worker's last words",
            format!("{explained} of {count}"),
            "all",
            explained == count,
        ),
        Row::new("processes left", left.len().to_string(), "0", left.is_empty()),
    ]
}

/// Requests that do not end, on a worker that has said something before.
fn pending(host: &mut Host) -> Vec<String> {
    host.await_workers(|workers| workers.iter().all(|worker| worker.state == "ready"));
    let noise: Map = Request::node("test.StdoutNoise").field("text", LAST_WORDS).into();
    let noise = host.send("execute", &noise);
    assert_eq!(host.terminal(&noise).kind, "result");
    let sleep: Map = Request::node("test.Sleep").field("ms", 600_000).into();
    (0..PENDING).map(|_| host.send("execute", &sleep)).collect()
}

//! Commands that are no workers: each is told what it seems to be, with exit code 3, and nothing of it stays.

#![allow(clippy::unwrap_used, reason = "a test program: clippy spares only the functions that are tests")]

use std::ffi::OsString;
use std::time::{Duration, Instant};

use clap::Parser;
use millwork_conformance::cli;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: cli::Args,
}

/// A tenth of the usual patience: none of these has anything more to say.
fn run(command: &[&str]) -> cli::Outcome {
    let words = ["conformance", "--timeout-scale", "0.1", "--"].iter().chain(command).map(OsString::from);
    cli::run(&Cli::try_parse_from(words).unwrap().args)
}

fn says(command: &[&str], what: &str) {
    let begun = Instant::now();
    let outcome = run(command);
    let error = outcome.error.unwrap_or_default();
    let first = error.lines().next().unwrap_or_default();
    assert_eq!(outcome.code, 3, "{command:?}: {error}");
    assert!(first.contains(what), "{command:?} should be told {what:?}, not {first:?}");
    assert!(error.contains("hint: "), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "within the start-up limit");
}

#[test]
fn each_kind_of_command_is_told_what_it_seems_to_be() {
    says(&["no-such-program-anywhere"], "there is no such program: no-such-program-anywhere");
    says(&["true"], "ended at once (exit code 0) and said nothing");
    says(&["sh", "-c", "exit 7"], "exit code 7");
    says(&["sh", "-c", "echo 'usage: it [--fast]' >&2; exit 2"], "printed its usage");
    says(&["sh", "-c", "echo warming up >&2; sleep 60"], "says nothing");
    says(&["sh", "-c", "printf 'Content-Length: 2\\r\\n\\r\\n{}'; sleep 60"], "LSP");
    says(&["sh", "-c", r#"echo '{"jsonrpc":"2.0"}'; sleep 60"#], "JSON-RPC");
    says(&["sh", "-c", r#"echo '{"ready":true}'; sleep 60"#], "JSON lines");
    says(&["sh", "-c", "echo Welcome to the worker; sleep 60"], "writes text to stdout");
    says(&["sh", "-c", "echo NODETOOL_STDIO_READY; sleep 60"], "it belongs on stderr");
    says(&["cat"], "answers with bytes that are no answers");
}

#[test]
fn nothing_stays_behind_however_it_hides() {
    // Unlikely enough that nobody else sleeps for so long.
    const SECONDS: &str = "86397.25";
    let hidden =
        format!("sleep {SECONDS} & setsid sleep {SECONDS} & (setsid setsid sleep {SECONDS} &) ; sleep {SECONDS}");
    assert_eq!(run(&["sh", "-c", &hidden]).code, 3);
    let still_there = || {
        std::fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            command.starts_with(format!("sleep\0{SECONDS}").as_bytes())
        })
    };
    // A process that was killed is there until it has been reaped.
    let end = Instant::now() + Duration::from_secs(20);
    while still_there() && Instant::now() < end {
        std::thread::yield_now();
    }
    assert!(!still_there());
}

#[test]
fn a_pattern_that_names_nothing_is_a_mistake_of_the_caller() {
    let args = Cli::try_parse_from(["conformance", "--only", "NOPE", "--", "true"]).unwrap().args;
    let outcome = cli::run(&args);
    assert_eq!(outcome.code, 2);
    assert!(outcome.error.unwrap_or_default().contains("NOPE"));
}

//! `millwork fake-worker`: its flags, and the list of scenarios in text and JSON.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::process;
use std::thread;
use std::time::Duration;

use millwork_protocol::Limits;
use millwork_protocol::limits::{BLOB_CHUNK_ENV, MAX_FRAME_ENV};
use serde_json::json;
use thiserror::Error;

use super::scenario::{Scenario, all, find, groups};
use super::worker::Worker;
use crate::pipes;

/// Is a worker that does one thing wrong, to test a host with.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork fake-worker --list
  millwork fake-worker --scenario torn-frame
  millwork fake-worker --scenario crash-mid-answer --after 3

Point your host at such a command. The worker has the nodes fake.Echo, fake.Sleep and fake.Stream, and does
everything right but the one thing. docs/fake-worker.md has every scenario and what a good host does.")]
pub struct Args {
    /// What it does wrong; --list has the names.
    #[arg(long, value_name = "NAME", env = "MILLWORK_FAKE_SCENARIO")]
    scenario: Option<String>,
    /// At which `execute` or `execute.stream` it happens, counted from 1.
    #[arg(long, value_name = "N", value_parser = |text: &str| text.parse::<NonZeroU64>().map_err(|_| "a whole number from 1"))]
    after: Option<NonZeroU64>,
    /// It ends after so many seconds whatever its scenario is, so that none is left behind for ever.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    lifetime: u64,
    /// Lists the scenarios and ends.
    #[arg(long)]
    list: bool,
    /// The list as JSON.
    #[arg(long, requires = "list")]
    json: bool,
    /// Accepted, since hosts start workers with it; there is no other way to talk to it.
    #[arg(long, hide = true)]
    stdio: bool,
}

/// Why there is no worker.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FakeError {
    /// No scenario is named.
    #[error("say what it does wrong: --scenario NAME; --list has the names")]
    NoScenario,
    /// No scenario has this name.
    #[error("there is no scenario {name:?};{} --list has them all", closest.map(|name| format!(" did you mean {name}?")).unwrap_or_default())]
    UnknownScenario {
        /// What was asked for.
        name: String,
        /// A scenario with a name like it.
        closest: Option<&'static str>,
    },
    /// `--after` for a scenario that does not wait for a request.
    #[error("--after has no meaning for {0}, which does not wait for a request")]
    NotCounted(&'static str),
    /// The system gave it no pipes or threads.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

/// Runs the command. A worker ends the process when it ends; only a list, or an error, comes back.
///
/// # Errors
/// [`FakeError`], which is for the command line to show.
pub fn run(args: &Args) -> Result<(), FakeError> {
    if args.list {
        let text = if args.json { format!("{:#}\n", list_json()) } else { list() };
        // A reader that has gone (`| head`) wants no more.
        let _ = io::stdout().lock().write_all(text.as_bytes());
        return Ok(());
    }
    let name = args.scenario.as_deref().ok_or(FakeError::NoScenario)?;
    let scenario =
        find(name).ok_or_else(|| FakeError::UnknownScenario { name: name.to_owned(), closest: closest(name) })?;
    if args.after.is_some() && !scenario.counts_requests() {
        return Err(FakeError::NotCounted(scenario.name));
    }
    Ok(be(scenario, args)?)
}

/// Is the worker, to the end of the process.
fn be(scenario: &'static Scenario, args: &Args) -> io::Result<()> {
    let lifetime = Duration::from_secs(args.lifetime);
    let limits = Limits::from_values(env(MAX_FRAME_ENV).as_deref(), env(BLOB_CHUNK_ENV).as_deref());
    let (stdin, stdout) = pipes::take()?;
    let worker = Worker::new(scenario, args.after.map_or(1, NonZeroU64::get), limits, stdout);
    thread::Builder::new().name("lifetime".to_owned()).spawn(move || {
        thread::sleep(lifetime);
        process::exit(3);
    })?;
    worker.live(stdin)?;
    // Threads of requests that never end are not waited for.
    process::exit(0);
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The scenario that has the most words of a name.
fn closest(name: &str) -> Option<&'static str> {
    let common =
        |scenario: &Scenario| name.split('-').filter(|word| scenario.name.split('-').any(|w| w == *word)).count();
    all()
        .max_by_key(|s| (common(s), Reverse(s.name.len())))
        .filter(|scenario| common(scenario) > 0)
        .map(|scenario| scenario.name)
}

/// The list for people.
fn list() -> String {
    let row = |s: &Scenario| format!("  {}\n      {}\n      A good host: {}\n", s.name, s.does, lower_first(s.host));
    let group = |(title, scenarios): &(&str, &[Scenario])| {
        format!("{title}\n{}", scenarios.iter().map(row).collect::<String>())
    };
    groups().iter().map(group).collect::<Vec<_>>().join("\n")
}

/// The list for programs.
fn list_json() -> serde_json::Value {
    let row = |title, s: &Scenario| json!({ "name": s.name, "group": title, "when": s.when(), "does": s.does, "host": s.host });
    groups().iter().flat_map(|(title, scenarios)| scenarios.iter().map(move |s| row(title, s))).collect()
}

/// A sentence without its capital, to stand behind a colon.
fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

//! The supervisor's promises under deliberate faults, with figures: what `tests/run --faults` runs. A scenario is a file.
//!
//! Each scenario gives rows of a table: what was done, what was measured, and the limit. Answers are judged always; times are
//! judged in long runs, which are made with a release build on a machine at rest, and only shown in short ones.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "this is test code: what goes wrong here ends the scenario"
)]

mod cancel;
mod chaos;
mod crash_loop;
mod death;
mod faults;
mod host;
mod host_death;
mod load;
mod overload;
mod report;
mod secrets;
mod shim;
mod soak;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use report::Row;

/// How to run the scenarios.
#[derive(Debug, Clone, Parser)]
#[command(name = "millwork-e2e-faults", about = "The supervisor's promises under deliberate faults, with figures.")]
struct Settings {
    /// With the full numbers, on a machine at rest: over an hour. Times are judged, too.
    #[arg(long)]
    long: bool,
    /// Only these scenarios.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// The same seed makes the same requests and the same faults.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Rows of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Is a worker between the supervisor and the real one, which breaks when a file in this folder says so.
    #[arg(long, hide = true, value_name = "DIR")]
    shim: Option<PathBuf>,
    /// The real worker.
    #[arg(last = true, hide = true)]
    command: Vec<std::ffi::OsString>,
}

impl Settings {
    /// The number for this run.
    fn of<T>(&self, short: T, long: T) -> T {
        if self.long { long } else { short }
    }
}

type Scenario = fn(&Settings) -> Vec<Row>;

const SCENARIOS: &[(&str, Scenario)] = &[
    ("chaos", chaos::run),
    ("host-death", host_death::run),
    ("cancel", cancel::run),
    ("death", death::run),
    ("crash-loop", crash_loop::run),
    ("overload", overload::run),
    ("secrets", secrets::run),
    ("soak", soak::run),
];

fn main() -> ExitCode {
    let settings = Settings::parse();
    if let Some(folder) = &settings.shim {
        return shim::run(folder, &settings.command);
    }
    let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = settings.only.iter().find(|name| !names.contains(&name.as_str())) {
        eprintln!("error: there is no scenario {unknown}; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    // The table has what went wrong; a stack says nothing more.
    std::panic::set_hook(Box::new(|panic| eprintln!("  {panic}")));
    let mut all = Vec::new();
    for (name, scenario) in SCENARIOS {
        if !settings.only.is_empty() && !settings.only.iter().any(|only| only == name) {
            continue;
        }
        eprintln!("{name} …");
        let start = Instant::now();
        let of_this = settings.clone();
        // What one scenario panics with is its row; the others run all the same.
        let rows = std::thread::spawn(move || scenario(&of_this)).join();
        let rows = rows.unwrap_or_else(|panic| vec![Row::broken(report::words(panic.as_ref()))]);
        eprintln!("{name}: {:.1} s", start.elapsed().as_secs_f64());
        all.extend(rows.into_iter().map(|row| (*name, row)));
    }
    println!("{}", if settings.json { report::json(&all) } else { report::table(&all) });
    ExitCode::from(u8::from(all.iter().any(|(_, row)| row.is_broken())))
}

//! The arguments of `millwork conformance`, and what they do, up to the text for stdout and the exit code.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::baseline::Known;
use crate::fuzz::{self, Fuzzed};
use crate::peer::Launch;
use crate::requirement::Requirement;
use crate::runner::{self, Options, Report};
use crate::session::Session;
use crate::{report, requirement, signals};

/// Holds a worker to the protocol, and says which requirement it does not meet, with the bytes that show it.
///
/// Exit codes: 0 all is fine, 1 a requirement is not met or fuzzing found something, 2 the arguments are wrong, 3 the command
/// is no worker.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork conformance -- millwork worker --stdio --test-nodes
  millwork conformance --only FRM ENV-003 -- python -m my.worker --stdio
  millwork conformance --expect known.toml --junit report.xml -- ./worker --stdio
  millwork conformance --fuzz 60 --seed 7 -- ./worker --stdio
  millwork conformance --replay fuzz-7.bin -- ./worker --stdio
  millwork conformance --list")]
pub struct Args {
    /// Hold it to this version of the protocol, instead of the one that it reports.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=6))]
    pub protocol: Option<u32>,
    /// Check only these: ids, beginnings of ids, areas.
    #[arg(long, value_name = "PATTERN", num_args = 1.., value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave these out: ids, beginnings of ids, areas.
    #[arg(long, value_name = "PATTERN", num_args = 1.., value_delimiter = ',')]
    pub skip: Vec<String>,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Write a JUnit report too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Failures that are known: [[known]] with id and reason. One that passes has to be removed.
    #[arg(long, value_name = "BASELINE.toml")]
    pub expect: Option<PathBuf>,
    /// Multiply every time limit by this, for slow machines.
    #[arg(long, env = "MILLWORK_TIMEOUT_SCALE", value_name = "F", default_value_t = 1.0, value_parser = positive, allow_negative_numbers = true)]
    pub timeout_scale: f64,
    /// Run so many checks side by side, each with workers of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Throw mutated and generated frames at it afterwards, for so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub fuzz: Option<u64>,
    /// The same seed gives the same frames.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "fuzz")]
    pub seed: u64,
    /// The folder that a failing frame is written to. It is made where there is none.
    #[arg(long, value_name = "DIR", default_value = ".", requires = "fuzz")]
    pub fuzz_out: PathBuf,
    /// Send the bytes of a file that --fuzz has written, and nothing else.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fuzz", "only", "skip", "junit", "expect"])]
    pub replay: Option<PathBuf>,
    /// Print the requirements and stop.
    #[arg(long)]
    pub list: bool,
    /// The worker: a program and its arguments.
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "list")]
    pub command: Vec<OsString>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.01..=1000.0).contains(&scale) => Ok(scale),
        _ => Err("a number from 0.01 to 1000, such as 3 or 0.5".to_owned()),
    }
}

/// What is to be printed, and how the command ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// For stdout.
    pub stdout: String,
    /// For stderr, where something is wrong that is not in the report.
    pub error: Option<String>,
    /// The exit code.
    pub code: u8,
}

impl Outcome {
    fn error(code: u8, error: impl ToString) -> Self {
        Self { stdout: String::new(), error: Some(error.to_string()), code }
    }
}

/// Does what the arguments say.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    if let Some(unknown) =
        args.only.iter().chain(&args.skip).find(|pattern| {
            !requirement::all().iter().any(|entry| runner::matches(std::slice::from_ref(pattern), entry))
        })
    {
        return Outcome::error(2, format!("{unknown} names no requirement and no area; `--list` shows them"));
    }
    let wanted: Vec<&Requirement> = requirement::all()
        .iter()
        .filter(|entry| args.only.is_empty() || runner::matches(&args.only, entry))
        .filter(|entry| !runner::matches(&args.skip, entry))
        .filter(|entry| args.protocol.is_none_or(|version| entry.since <= version))
        .collect();
    if wanted.is_empty() {
        return Outcome::error(2, "no requirement is left to check: see --only, --skip and --protocol");
    }
    if args.list {
        let stdout = if args.json { report::requirements_json(wanted) } else { report::requirements(wanted) };
        return Outcome { stdout, error: None, code: 0 };
    }
    let known = match args.expect.as_deref().map(Known::read).transpose() {
        Ok(known) => known.unwrap_or_default(),
        Err(error) => return Outcome::error(2, error),
    };
    let options = Options {
        launch: Launch::new(&args.command),
        protocol: args.protocol,
        only: args.only.clone(),
        skip: args.skip.clone(),
        timeout_scale: args.timeout_scale,
        jobs: args.jobs.into(),
    };
    let replay = match args.replay.as_deref().map(|path| std::fs::read(path).map_err(|error| (path, error))).transpose()
    {
        Ok(bytes) => bytes,
        Err((path, error)) => return Outcome::error(2, format!("cannot read {}: {error}", path.display())),
    };
    if args.fuzz.is_some()
        && let Err(error) = std::fs::create_dir_all(&args.fuzz_out)
    {
        return Outcome::error(2, format!("cannot make the folder {}: {error}", args.fuzz_out.display()));
    }
    // Before an hour of checks, not after it.
    if let Some(path) = &args.junit
        && let Err(error) = OpenOptions::new().append(true).create(true).open(path)
    {
        return Outcome::error(2, format!("cannot write {}: {error}", path.display()));
    }
    let _guard = signals::Guard::install();
    let starting = bar("{spinner} {elapsed}  {msg}");
    starting.set_message("starting the worker");
    starting.enable_steady_tick(Duration::from_millis(100));
    let opened = runner::open(&options);
    starting.finish_and_clear();
    let session = match opened {
        Ok(session) => session,
        Err(no_worker) => return Outcome::error(3, no_worker),
    };
    if args.fuzz.is_some() && !fuzz::can_fuzz(&session) {
        return Outcome::error(
            2,
            "--fuzz asks for worker.status between its frames, and the worker does not answer that: see STA-001",
        );
    }
    if let Some(bytes) = replay {
        return replayed(&session, &bytes);
    }
    let progress = bar("{bar:40} {pos:>3}/{len}  {elapsed}  {msg}");
    let report = runner::run(&session, &options, &mut |requirement, count| {
        progress.set_length(count as u64);
        progress.set_message(requirement.id.clone());
        progress.inc(1);
    });
    progress.finish_and_clear();
    let fuzzed = args.fuzz.map(|seconds| {
        let options = fuzz::Options { time: Duration::from_secs(seconds), seed: args.seed, out: args.fuzz_out.clone() };
        let progress = bar("{spinner} {elapsed}  {msg}");
        let fuzzed = fuzz::run(&session, &options, &mut |frames| {
            progress.set_message(format!("{frames} frames"));
            progress.tick();
        });
        progress.finish_and_clear();
        fuzzed
    });
    finish(args, &report, &known, fuzzed.as_ref())
}

fn replayed(session: &Session, bytes: &[u8]) -> Outcome {
    match fuzz::replay(session, bytes) {
        Ok(()) => Outcome { stdout: format!("it stands these {} bytes", bytes.len()), error: None, code: 0 },
        Err(what) => Outcome::error(1, what),
    }
}

fn finish(args: &Args, report: &Report, known: &Known, fuzzed: Option<&Fuzzed>) -> Outcome {
    let stdout = if args.json {
        let mut json = report::json(report, known);
        if let Some(fuzzed) = fuzzed {
            json["fuzz"] = report::fuzz_json(fuzzed);
        }
        format!("{json:#}")
    } else {
        let text = report::text(report, known);
        fuzzed.map_or_else(|| text.clone(), |fuzzed| format!("{text}\n{}", report::fuzz_text(fuzzed)))
    };
    let mut errors = Vec::new();
    if let Some(path) = &args.junit
        && let Err(error) = std::fs::write(path, report::junit(report, known))
    {
        errors.push(format!("cannot write {}: {error}", path.display()));
    }
    let fixed = known.fixed(report);
    errors.extend(fixed.iter().map(|id| format!("{id} is in the baseline as a known failure, and passes: remove it")));
    let failed = report.failures().any(|one| known.reason(&one.requirement.id).is_none())
        || fuzzed.is_some_and(|fuzzed| fuzzed.finding.is_some());
    let code = u8::from(failed || !errors.is_empty());
    Outcome { stdout, error: (!errors.is_empty()).then(|| errors.join("\n")), code }
}

/// On a terminal only.
fn bar(template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1).with_style(style)
}

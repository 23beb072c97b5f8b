//! Logs on stderr: how much, and in which form. Workers are told the same.

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use millwork::{LogFormat, Logs};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::failure::{Failure, Outcome};

/// What a command that nobody asked to log says: what is wrong with itself. How its workers fare is in its errors.
const QUIET: &str = "warn,millwork::worker=off,millwork::fleet=off";

/// Logs and errors.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Logs")]
pub(crate) struct Args {
    /// How much to log: error, warn, info, debug, trace, or a filter such as millwork=debug.
    #[arg(long, value_name = "LEVEL", global = true, env = "MILLWORK_LOG")]
    log: Option<String>,
    /// How logs look: human, or json with one object a line.
    #[arg(long, value_name = "FORMAT", global = true, value_enum, default_value_t = Format::Human)]
    #[arg(hide_possible_values = true, env = "MILLWORK_LOG_FORMAT")]
    log_format: Format,
    /// Show tracebacks of failed nodes, and log more.
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

impl Args {
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }
}

/// What was asked for, once for the process as the logging itself is.
static STARTED: OnceLock<(Option<String>, Logs)> = OnceLock::new();

/// How much workers are to log, where somebody has said it.
pub(crate) fn asked_for() -> Option<&'static str> {
    STARTED.get().and_then(|(level, _)| level.as_deref())
}

/// What `serve` writes.
pub(crate) fn of_server() -> Logs {
    STARTED.get().map(|(_, logs)| *logs).unwrap_or_default()
}

/// Starts logging. A server tells what happens; a command at a terminal only what is wrong.
pub(crate) fn start(args: &Args, is_server: bool) -> Outcome {
    let asked = args.log.clone().or_else(|| args.verbose.then(|| "debug".to_owned()));
    let targets = targets(asked.as_deref().unwrap_or(if is_server { "info" } else { QUIET }))?;
    let format = match args.log_format {
        Format::Human => LogFormat::Human,
        Format::Json => LogFormat::Json,
    };
    let _ = STARTED.set((asked, Logs { format, level: level(&targets, "millwork::fleet") }));
    let layer =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(targets);
    let started = match args.log_format {
        Format::Human => registry.with(layer.with_target(false)).try_init(),
        Format::Json => registry.with(layer.json()).try_init(),
    };
    started.map_err(|error| Failure::failed(format!("cannot start logging: {error}")))
}

/// A level, or levels for some targets. A word that is neither would switch everything off.
fn targets(text: &str) -> Outcome<Targets> {
    let is_odd = |word: &&str| {
        let is_target = word.contains('=') || word.starts_with("millwork");
        !word.is_empty() && !is_target && word.parse::<LevelFilter>().is_err()
    };
    if let Some(word) = text.split(',').map(str::trim).find(is_odd) {
        return Err(Failure::usage(format!("--log {text}: {word:?} is no level"))
            .hint("error, warn, info, debug, trace, off, or a filter such as millwork=debug"));
    }
    text.parse().map_err(|error| Failure::usage(format!("--log {text}: {error}")))
}

/// How much of a target is let through.
fn level(targets: &Targets, target: &str) -> LevelFilter {
    let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
    let most = levels.into_iter().find(|level| targets.would_enable(target, level));
    most.map_or(LevelFilter::OFF, LevelFilter::from_level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_a_mistake() {
        for good in ["warn", "off", "info,millwork=debug", "millwork", "wgpu_core=error", QUIET] {
            assert!(targets(good).is_ok(), "{good}");
        }
        for bad in ["banana", "info,banana", "millwork=banana"] {
            assert!(targets(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_fleets_news_have_their_own_level() {
        let of = |text: &str| level(&targets(text).unwrap(), "millwork::fleet");
        assert_eq!((of("info"), of("off"), of(QUIET)), (LevelFilter::INFO, LevelFilter::OFF, LevelFilter::OFF));
        assert_eq!(of("error,millwork=debug"), LevelFilter::DEBUG);
    }
}

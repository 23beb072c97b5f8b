//! Logs on stderr: how much, and in which form.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::failure::{Failure, Outcome};

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
    #[arg(hide_possible_values = true)]
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

/// Starts logging. A server tells what happens; a command at a terminal only what is wrong.
pub(crate) fn start(args: &Args, is_server: bool) -> Outcome {
    let level = args.log.as_deref().unwrap_or(match (args.verbose, is_server) {
        (true, _) => "debug",
        (false, true) => "info",
        (false, false) => "warn",
    });
    let filter = EnvFilter::try_new(level).map_err(|error| Failure::usage(format!("--log {level}: {error}")))?;
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    let started = match args.log_format {
        Format::Human => logs.with_target(false).try_init(),
        Format::Json => logs.json().try_init(),
    };
    started.map_err(|error| Failure::failed(format!("cannot start logging: {error}")))
}

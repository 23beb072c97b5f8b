//! `millwork serve`: the flags. The serving is in [`millwork::serve`].

use super::failure::{Failure, Outcome};
use super::{fleet, log};

/// Serves the whole fleet to a host over stdin and stdout.
///
/// A host made for `python -m nodetool.worker --stdio` starts this one with the same arguments: `millwork -m
/// nodetool.worker --stdio`.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork serve --stdio
  millwork serve --stdio --namespaces image,text
  NODETOOL_PYTHON=$(command -v millwork) some-host")]
pub(crate) struct Args {
    /// Frames on stdin and stdout, logs on stderr.
    #[arg(long)]
    stdio: bool,
    /// Write what happens there, a JSON object a line: each change of a worker, each end of a request. `-` is stderr.
    #[arg(long, value_name = "FILE")]
    events: Option<String>,
    /// Answer `GET /metrics` for Prometheus there: 127.0.0.1:9464, or unix:PATH.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<String>,
    /// Send a span for each request to this OpenTelemetry collector: http://localhost:4318.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    #[command(flatten)]
    fleet: fleet::Args,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if !args.stdio {
        return Err(Failure::usage("there is one way to serve yet: --stdio").hint("millwork serve --stdio"));
    }
    let mut fleet = args.fleet.clone();
    fleet.set("events", args.events.as_deref());
    fleet.set("metrics", args.metrics.as_deref());
    fleet.set("otlp", args.otlp.as_deref());
    let (config, files) = (fleet.config()?, fleet.files());
    let again = move || fleet.config().map_err(|failure| failure.message().to_owned());
    Ok(millwork::serve::stdio_reloading(config, log::of_server(), &files, again)?)
}

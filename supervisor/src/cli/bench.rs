//! `millwork bench`: the flags, and the table. The measuring is in [`crate::bench`].

use indicatif::{ProgressBar, ProgressStyle};

use super::failure::{Failure, Outcome};
use super::{fleet, out};
use crate::bench::{self, NotStarted, Options};

/// Measures a worker from outside, beside a child that only echoes bytes.
///
/// Round trips, requests and blobs a second, progress, chunks, cancel, memory, start and exit; each beside the same bytes
/// through a plain pipe in the same run, so that the ratios hold on any machine. What a worker lacks is shown as "–".
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork bench -- millwork worker --stdio --test-nodes
  millwork bench --pin 0 -- millwork serve --stdio --test-nodes
  millwork bench --vs \"python -m nodetool.worker --stdio\" -- millwork worker --stdio --test-nodes")]
pub(crate) struct Args {
    /// A second worker to put beside it.
    #[arg(long, value_name = "COMMAND")]
    vs: Option<String>,
    /// The node that gives back its field `value`, bytes too.
    #[arg(long, value_name = "TYPE", default_value = "test.Echo")]
    echo_node: String,
    /// The same for the worker of --vs; the same type by default.
    #[arg(long, value_name = "TYPE", requires = "vs")]
    vs_echo_node: Option<String>,
    /// Keep everything on this core: round trips are then steady, and many times quicker.
    #[arg(long, value_name = "CPU")]
    pin: Option<usize>,
    /// A tenth of the time, and rougher numbers.
    #[arg(long)]
    quick: bool,
    /// JSON instead of a table: seconds, bytes and events a second.
    #[arg(long)]
    json: bool,
    /// The worker to measure: a program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let options = Options {
        command: args.command.clone(),
        other: args.vs.as_deref().map(fleet::words).transpose()?,
        echo_node: args.echo_node.clone(),
        other_echo_node: args.vs_echo_node.clone().unwrap_or_else(|| args.echo_node.clone()),
        quick: args.quick,
        pin: args.pin,
    };
    // Hidden where stderr is no terminal. It never ticks by itself: that would disturb what is measured.
    let line = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} measuring {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let report = bench::run(&options, &|step| {
        line.set_message(step.to_owned());
        line.tick();
    });
    line.finish_and_clear();
    let report = report.map_err(|error| match error.downcast_ref::<NotStarted>() {
        Some(_) => Failure::no_worker(format!("{error:#}")),
        None => error.into(),
    })?;
    if report.lacks_echo() {
        let node = &args.echo_node;
        eprintln!(
            "hint: the worker has no node {node}, which most rows need: --test-nodes gives it to a worker of ours, --echo-node names another"
        );
    }
    if args.json { out::json(&report.to_json()) } else { out::line(&report.to_text()) }
}

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
    #[command(flatten)]
    fleet: fleet::Args,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if !args.stdio {
        return Err(Failure::usage("there is one way to serve yet: --stdio").hint("millwork serve --stdio"));
    }
    Ok(millwork::serve::stdio_with(args.fleet.config()?, log::of_server())?)
}

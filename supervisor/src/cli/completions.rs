//! `millwork completions`: a script that completes commands and flags in a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::failure::Outcome;
use super::{Cli, out};

/// Writes a completion script to stdout.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(
    after_help = "Example, for bash:\n  millwork completions bash > ~/.local/share/bash-completion/completions/millwork"
)]
pub(crate) struct Args {
    /// The shell to write for.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "millwork", &mut script);
    out::write(&script)
}

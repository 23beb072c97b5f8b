//! The command without the rest of Millwork, for working on the checks.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use millwork_conformance::cli;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: cli::Args,
}

fn main() -> ExitCode {
    let outcome = cli::run(&Cli::parse().args);
    if !outcome.stdout.is_empty() && writeln!(std::io::stdout(), "{}", outcome.stdout).is_err() {
        return ExitCode::SUCCESS;
    }
    if let Some(error) = outcome.error {
        eprintln!("error: {error}");
    }
    ExitCode::from(outcome.code)
}

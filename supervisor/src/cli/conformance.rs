//! `millwork conformance`: only the way from the command line to [`millwork_conformance`].

use std::process::ExitCode;

use millwork_conformance::cli;

use super::out;

pub(crate) use cli::Args;

/// Runs the suite. Its exit codes are its own.
pub(crate) fn run(args: &Args) -> ExitCode {
    let outcome = cli::run(args);
    if !outcome.stdout.is_empty()
        && let Err(failure) = out::line(&outcome.stdout)
    {
        return failure.report(false);
    }
    if let Some(error) = outcome.error {
        eprintln!("error: {error}");
    }
    ExitCode::from(outcome.code)
}

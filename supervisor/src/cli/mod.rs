//! The command line: what can be typed, a file a command. How nodes are run is in the library.

mod batch;
mod bench;
mod call;
mod check;
mod completions;
mod config;
mod conformance;
mod content;
mod destinations;
mod examples;
mod failure;
mod fake_worker;
mod fields;
mod files;
mod fleet;
mod inspect;
mod install;
mod inventory;
mod log;
#[cfg(feature = "stock")]
mod models;
mod new;
mod nodes;
mod npy;
mod out;
mod outputs;
mod package;
mod problems;
mod progress;
mod provider;
mod replay;
mod run;
mod serve;
mod show;
mod status;
mod stream;
mod suggest;
pub(crate) mod table;
mod transfer;
mod types;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};
use nix::sys::signal::{SigSet, Signal};

use failure::{Failure, Outcome};
use millwork::Guardian;

/// Runs model and compute nodes in supervised worker processes.
#[derive(Debug, Parser)]
#[command(name = "millwork", version, max_term_width = 100)]
#[command(after_help = "\
Start here:
  millwork nodes
  millwork run image.Blur image=photo.png sigma=4 -o blurred.png")]
pub(crate) struct Cli {
    #[command(flatten)]
    log: log::Args,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Batch(batch::Args),
    Ask(provider::ask::Args),
    Embed(provider::embed::Args),
    Transcribe(provider::transcribe::Args),
    Say(provider::say::Args),
    Imagine(provider::imagine::Args),
    #[cfg(feature = "stock")]
    Models(models::Args),
    Nodes(nodes::Args),
    Status(status::Args),
    Serve(serve::Args),
    New(new::Args),
    /// Is a worker: the stock nodes on stdin and stdout, as a host starts them.
    // Handled before any parsing; here only for the help.
    #[command(disable_help_flag = true)]
    Worker {
        #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    Check(check::Args),
    Package(package::Args),
    Config(config::Args),
    Bench(bench::Args),
    Conformance(conformance::Args),
    FakeWorker(fake_worker::Args),
    Inspect(inspect::Args),
    Replay(replay::Args),
    Completions(completions::Args),
}

/// Runs the command that the arguments, without the program's name, ask for.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    // A log file at its limit is an error of the write to it, and not our end. Threads that start later inherit this.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
    let args = as_serve(args);
    let cli = match Cli::try_parse_from(std::iter::once("millwork".into()).chain(args.iter().cloned())) {
        Ok(cli) => cli,
        Err(error) => {
            let error = with_dashes(error, &args);
            // Help and version are no errors; their reader may have gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    if let Command::Conformance(args) = &cli.command {
        // Its workers write their own logs, and its verdict is its exit code.
        return conformance::run(args);
    }
    let verbose = cli.log.is_verbose();
    match log::start(&cli.log, matches!(cli.command, Command::Serve(_))).and_then(|()| dispatch(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(verbose),
    }
}

/// A host made for the Python worker starts `PYTHON -m nodetool.worker --stdio …`: that is `serve`.
fn as_serve(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.collect();
    if let [module_flag, module, ..] = args.as_slice()
        && module_flag == "-m"
        && module == "nodetool.worker"
    {
        args.splice(..2, ["serve".into()]);
    }
    args
}

/// A worker's command without the `--` before it looks like arguments of our own.
fn with_dashes(mut error: clap::Error, args: &[OsString]) -> clap::Error {
    let takes_command = ["conformance", "inspect", "replay", "bench"];
    let Some(command) = args.first().and_then(|first| takes_command.into_iter().find(|name| first == name)) else {
        return error;
    };
    if error.kind() == clap::error::ErrorKind::UnknownArgument && !args.iter().any(|arg| arg == "--") {
        let tip = format!("the worker's command stands after `--`: millwork {command} -- COMMAND");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

fn dispatch(command: Command) -> Outcome {
    let has_workers = match &command {
        Command::Run(_) | Command::Batch(_) | Command::Nodes(_) | Command::Status(_) | Command::Serve(_) => true,
        Command::Check(_) | Command::Ask(_) | Command::Embed(_) => true,
        Command::Transcribe(_) | Command::Say(_) | Command::Imagine(_) => true,
        Command::Package(args) => args.has_workers(),
        _ => false,
    };
    // To the end of this function, when every worker has gone.
    let _guardian = has_workers.then(Guardian::start).and_then(|guardian| {
        guardian
            .inspect_err(|error| tracing::warn!("nobody would end what workers leave, were this killed: {error}"))
            .ok()
    });
    match command {
        Command::Run(args) => wait(run::run(&args)),
        Command::Batch(args) => wait(batch::run(args)),
        Command::Ask(args) => wait(provider::ask::run(&args)),
        Command::Embed(args) => wait(provider::embed::run(&args)),
        Command::Transcribe(args) => wait(provider::transcribe::run(&args)),
        Command::Say(args) => wait(provider::say::run(&args)),
        Command::Imagine(args) => wait(provider::imagine::run(&args)),
        #[cfg(feature = "stock")]
        Command::Models(args) => wait(models::run(args)),
        Command::Nodes(args) => wait(nodes::run(&args)),
        Command::Status(args) => wait(status::run(&args)),
        Command::Serve(args) => serve::run(&args),
        Command::New(args) => new::run(&args),
        Command::Worker { .. } => Err(Failure::usage("`worker` comes first: millwork worker --stdio")),
        Command::Check(args) => wait(check::run(&args)),
        Command::Package(args) => wait(package::run(&args)),
        Command::Config(args) => config::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Conformance(_) => Ok(()),
        Command::FakeWorker(args) => fake_worker::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Runs a command that talks to the fleet. The fleet has a thread and a runtime of its own.
fn wait(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        let args = as_serve(args.iter().map(OsString::from));
        Cli::try_parse_from(std::iter::once("millwork".into()).chain(args))
    }

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_python_workers_arguments_mean_serve() {
        let cli = parse(&["-m", "nodetool.worker", "--stdio", "--namespaces", "a,b"]).unwrap();
        assert!(matches!(cli.command, Command::Serve(_)));
        assert!(parse(&["-m", "other.module"]).is_err());
    }

    #[test]
    fn fields_and_flags_may_mix() {
        let cli = parse(&["run", "image.Blur", "image=a.png", "-o", "b.png", "sigma=-4", "--json", "-v"]).unwrap();
        assert!(matches!(cli.command, Command::Run(_)) && cli.log.is_verbose());
        let cli = parse(&["bench", "--vs", "python -m x", "--", "millwork", "worker", "--stdio"]).unwrap();
        assert!(matches!(cli.command, Command::Bench(_)));
        assert!(parse(&["bench"]).is_err());
    }
}

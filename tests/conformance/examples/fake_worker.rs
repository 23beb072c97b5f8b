//! The command `millwork fake-worker` by itself, for a build without the rest: `cargo run -p millwork-conformance
//! --example fake_worker -- --list`.

use std::process::ExitCode;

use clap::Parser;
use millwork_conformance::fake::cli::{Args, run};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    match run(&Cli::parse().args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

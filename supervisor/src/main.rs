//! The command `millwork`. What it does is in [`cli`]; here is only what must happen before anything else.

mod bench;
mod cli;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    // A worker is ready in milliseconds, and the reference of `bench` is as plain as a program can be: no argument
    // parser, thread, log or runtime before them.
    match args.peek().and_then(|first| first.to_str()) {
        Some("worker") => worker(args.skip(1)),
        Some("bench-echo") => bench::echo::run().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        _ => cli::main(args),
    }
}

#[cfg(feature = "stock")]
fn worker(args: impl Iterator<Item = OsString>) -> ExitCode {
    millwork_stock::main("millwork worker", args)
}

#[cfg(not(feature = "stock"))]
fn worker(_: impl Iterator<Item = OsString>) -> ExitCode {
    eprintln!("error: this millwork was built without the stock nodes; name workers in millwork.toml");
    ExitCode::from(2)
}

//! The stock worker as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    millwork_stock::main("millwork-worker", std::env::args_os().skip(1))
}

//! `millwork inspect`: frames between a host and a worker, shown and recorded. All of it is in [`millwork_conformance::look`].

pub(crate) use millwork_conformance::look::inspect::Args;

use super::failure::{Failure, Outcome};

pub(crate) fn run(args: &Args) -> Outcome {
    match millwork_conformance::look::inspect::run(args) {
        Ok(code) => std::process::exit(code.into()),
        Err(error) => Err(Failure::of_look(&error)),
    }
}

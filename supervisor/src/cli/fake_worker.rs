//! `millwork fake-worker`: a scripted worker, to test a host with. All of it is in [`millwork_conformance::fake`].

pub(crate) use millwork_conformance::fake::cli::Args;

use super::failure::{Failure, Outcome};

pub(crate) fn run(args: &Args) -> Outcome {
    millwork_conformance::fake::cli::run(args).map_err(|error| Failure::usage(error.to_string()))
}

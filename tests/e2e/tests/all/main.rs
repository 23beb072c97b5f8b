//! The promises of the design, kept by real processes over real pipes. A module a subject; every test says which
//! promise it is about. One binary, so that the whole is linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "the tests' names say what they show")]

mod answers;
mod bad_input;
mod blobs;
mod cancel;
mod ending;
mod fake_workers;
mod flow;
mod host_death;
mod jobs;
mod launching;
mod load_errors;
mod logs;
mod looking;
mod operations;
mod packages;
mod stdout;
mod stock;
mod supervision;

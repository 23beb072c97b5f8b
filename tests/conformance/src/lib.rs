//! Holds any worker to the bridge protocol, and any host to scripted workers. What the commands print to a terminal beyond
//! a report, and how they are typed, is the command line's.

pub mod baseline;
pub mod check;
mod checks;
pub mod cli;
pub mod diagnose;
mod digest;
pub mod fake;
pub mod fuzz;
pub mod hex;
pub mod look;
pub mod message;
#[cfg(test)]
mod pages;
pub mod peer;
mod pipes;
pub mod random;
pub mod report;
pub mod requirement;
pub mod runner;
pub mod session;
mod signals;
pub mod transcript;
pub mod validate;
pub mod worker;

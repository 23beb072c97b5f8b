//! Scripted workers for people who write hosts: each does one thing wrong, or late, or not at all.
//!
//! Behind every scenario is the same small and correct worker ([`worker`]), so that a host can go on once the one thing
//! has happened. What a host should make of it is said in each [`Scenario`]; whether it does is the host's own test.

mod call;
pub mod cli;
mod nodes;
mod out;
mod scenario;
mod scenarios;
mod worker;

pub use scenario::{Scenario, all, find, groups};

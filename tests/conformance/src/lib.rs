//! Holds any worker to the bridge protocol, and any host to scripted workers. What the commands print to a terminal beyond
//! a report, and how they are typed, is the command line's.

pub mod fake;
pub mod look;

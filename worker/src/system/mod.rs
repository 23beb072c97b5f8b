//! What a worker asks of the operating system: signals, its children and descendants, its end. A system that lacks a part has a file of its own.

mod child;
mod exit;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

pub(crate) use child::part_from_parent;
pub(crate) use exit::exit_now;
#[cfg(target_os = "linux")]
pub(crate) use linux::{Signals, kill_descendants, lead_own_group, take_signals};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{Signals, kill_descendants, lead_own_group, take_signals};

//! Real programs over real pipes: starting them, talking to them, and making sure that nothing of them is left.
//! What they promise is in `tests/`; nothing here knows which answer is right.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is test code: what goes wrong here ends the test"
)]

pub mod descendants;
pub mod peer;
pub mod process;

pub use millwork_protocol::{Bytes, Frame, Map, Value, map};
pub use peer::{Message, Peer, Request};
pub use process::{Launch, Program};

use std::time::{Duration, Instant};

/// How long anything may take that has no bound of its own to show: far above what it needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is yes; false where it was not within `limit`.
pub fn within(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Says that a test could not run here, and why. `tests/run` counts these lines.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

//! Progress for what takes long enough that somebody waits, and none for the rest.

use std::time::{Duration, Instant};

use millwork_worker::Context;

/// Work that is done sooner reports nothing.
const QUIET: Duration = Duration::from_millis(500);

/// When a piece of work began.
#[derive(Debug)]
pub(crate) struct Pace(Instant);

impl Pace {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Reports that `done` of `total` is done, unless it is early yet; `what` is being done.
    pub(crate) fn report(&self, cx: &Context, done: usize, total: usize, what: &str) {
        if self.0.elapsed() >= QUIET {
            cx.progress_message(done as f64, total as f64, what);
        }
    }
}

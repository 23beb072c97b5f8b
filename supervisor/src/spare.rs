//! The buffer of a large frame that has been passed on, kept for a moment in case another one comes.
//!
//! Fresh memory for many megabytes costs more than moving them: every page of it is a fault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a buffer is kept.
const KEPT: Duration = Duration::from_secs(2);

/// At most one buffer, shared by all links of a fleet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spare(Arc<Mutex<Option<Kept>>>);

#[derive(Debug)]
struct Kept {
    buffer: Vec<u8>,
    since: Instant,
}

impl Spare {
    /// Keeps a buffer in the place of the one before.
    pub(crate) fn put(&self, buffer: Vec<u8>) {
        *self.0.lock() = Some(Kept { buffer, since: Instant::now() });
    }

    /// The buffer, if there is one.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().take().map(|kept| kept.buffer)
    }

    /// Lets go of a buffer whose time is over; how long the one that stays has left.
    pub(crate) fn expire(&self) -> Option<Duration> {
        let mut kept = self.0.lock();
        let left = KEPT.checked_sub(kept.as_ref()?.since.elapsed()).filter(|left| !left.is_zero());
        if left.is_none() {
            *kept = None;
        }
        left
    }
}

//! How much memory the workers' processes have, now and then. What follows from it is the state machine's.

use super::Fleet;
use crate::core::{Event, Millis};
use crate::process;

/// How often, in milliseconds.
const EVERY: Millis = 2000;

impl Fleet {
    /// There is a process to be weighed.
    pub(super) fn weigh_soon(&mut self) {
        self.usage_due = self.usage_due.min(self.now() + EVERY);
    }

    /// Weighs every process, if it is time.
    pub(super) fn weigh_workers(&mut self) {
        if self.now() < self.usage_due {
            return;
        }
        self.usage_due = Millis::MAX;
        for worker in 0..self.slots.len() {
            let Some(slot) = self.slots.get(worker) else { continue };
            let Some(group) = &slot.group else { continue };
            let (run, weight) = (slot.run, process::resident_bytes(group));
            self.weigh_soon();
            if let Some(rss_bytes) = weight {
                self.handle(Event::Usage { worker, run, rss_bytes });
            }
        }
    }
}

//! A flag that can be waited for. Who sets it, and what follows, is not decided here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Shared by a request and whoever may cancel it; set once, never cleared.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl CancelToken {
    /// Whether it has been set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Sets it and wakes whoever waits.
    pub fn cancel(&self) {
        let _guard = self.0.lock.lock();
        self.0.cancelled.store(true, Ordering::Release);
        self.0.wake.notify_all();
    }

    /// Waits until it is set.
    pub fn wait(&self) {
        let mut guard = self.0.lock.lock();
        while !self.is_cancelled() {
            self.0.wake.wait(&mut guard);
        }
    }

    /// Waits until it is set or the time has come.
    pub fn wait_until(&self, deadline: Instant) {
        let mut guard = self.0.lock.lock();
        while !self.is_cancelled() {
            if self.0.wake.wait_until(&mut guard, deadline).timed_out() {
                return;
            }
        }
    }
}

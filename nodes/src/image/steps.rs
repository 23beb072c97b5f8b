//! Long loops: told to the host about a hundred times, stopped soon after a cancel.

use millwork_worker::prelude::*;

/// A loop of a known number of equal steps.
pub(crate) struct Steps<'a> {
    cx: &'a Context,
    done: usize,
    told: usize,
    total: usize,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(cx: &'a Context, total: usize) -> Self {
        Self { cx, done: 0, told: 0, total }
    }

    /// One step is done.
    ///
    /// # Errors
    /// `cancelled` once the request has been cancelled.
    pub(crate) fn step(&mut self) -> Result<()> {
        self.cx.check()?;
        self.done += 1;
        if (self.done - self.told) * 100 >= self.total || self.done == self.total {
            self.told = self.done;
            self.cx.progress(self.done as f64, self.total as f64);
        }
        Ok(())
    }
}

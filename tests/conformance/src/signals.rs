//! Ctrl-C while a worker is being checked: everything that was started is killed before this process ends.

use std::sync::Once;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};

use crate::peer::tree;

/// While this lives, signals that end this process end the workers first.
pub(crate) struct Guard;

impl Guard {
    /// Blocks them in this thread, and in those that it starts, and waits for them in one.
    pub(crate) fn install() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
            if pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&signals), None).is_err() {
                return;
            }
            std::thread::spawn(move || {
                if let Ok(signal) = signals.wait() {
                    tree::kill_all_marked();
                    std::process::exit(128 + signal as i32);
                }
            });
        });
        Self
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Whatever a worker has hidden from its own tree still carries the mark.
        tree::kill_all_marked();
    }
}

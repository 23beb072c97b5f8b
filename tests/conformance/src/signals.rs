//! Ctrl-C while a worker is being checked: everything that was started is killed before this process ends.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};

use crate::peer::tree;

/// How many guards there are: the last one to go looks for what is left.
static GUARDS: AtomicUsize = AtomicUsize::new(0);

/// A signal has come: this process is about to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// While this lives, signals that end this process end the workers first.
pub(crate) struct Guard;

impl Guard {
    /// Blocks them in this thread, and in those that it starts, and waits for them in one.
    pub(crate) fn install() -> Self {
        static ONCE: Once = Once::new();
        GUARDS.fetch_add(1, Ordering::SeqCst);
        ONCE.call_once(|| {
            let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
            if pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&signals), None).is_err() {
                return;
            }
            std::thread::spawn(move || {
                if let Ok(signal) = signals.wait() {
                    ENDING.store(true, Ordering::SeqCst);
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
        // What a worker that was killed for the signal seems to be is nobody's business.
        while ENDING.load(Ordering::SeqCst) {
            std::thread::park();
        }
        // Whatever a worker has hidden from its own tree still carries the mark.
        if GUARDS.fetch_sub(1, Ordering::SeqCst) == 1 {
            tree::kill_all_marked();
        }
    }
}

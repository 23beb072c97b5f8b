//! A thread that writes for one that must not wait: what it is handed goes into a bounded queue, and what does not fit is
//! refused. What is written, and where to, is its owner's.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// So much waits for a slow reader.
const WAITING: usize = 8192;
/// How long the end of the process waits for what is still to be written.
const LAST: Duration = Duration::from_millis(500);

/// The way to such a thread. Dropping it lets the thread write what it has, for a moment.
#[derive(Debug)]
pub(super) struct Outlet<T> {
    inlet: Option<SyncSender<T>>,
    /// Ends with the thread.
    done: Receiver<()>,
}

/// Why something was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too much waits already.
    Full,
    /// The thread has given up.
    Over,
}

impl<T: Send + 'static> Outlet<T> {
    /// Starts `run` on a thread of its own; it ends when what it receives does.
    pub(super) fn start(name: &str, run: impl FnOnce(&Receiver<T>) + Send + 'static) -> io::Result<Self> {
        let (inlet, queue) = sync_channel(WAITING);
        let (running, done) = sync_channel(0);
        let thread = move || {
            run(&queue);
            drop::<SyncSender<()>>(running);
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(thread)?;
        Ok(Self { inlet: Some(inlet), done })
    }

    pub(super) fn give(&self, one: T) -> Result<(), Refused> {
        let Some(inlet) = &self.inlet else { return Err(Refused::Over) };
        inlet.try_send(one).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Full,
            TrySendError::Disconnected(_) => Refused::Over,
        })
    }
}

impl<T> Drop for Outlet<T> {
    fn drop(&mut self) {
        self.inlet = None;
        // Nothing is ever sent: this ends with the thread, or because a reader is too slow to wait for.
        let _ = self.done.recv_timeout(LAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_written_and_what_is_too_much_refused() {
        let (written, all) = sync_channel(2 * WAITING);
        let (go, wait) = sync_channel::<()>(0);
        let outlet = Outlet::start("outlet-test", move |queue| {
            let _ = wait.recv();
            queue.iter().for_each(|one: usize| written.send(one).unwrap());
        })
        .unwrap();
        let taken = (0..WAITING + 5).filter(|one| outlet.give(*one).is_ok()).count();
        assert_eq!((taken, outlet.give(0)), (WAITING, Err(Refused::Full)));
        drop(go);
        drop(outlet);
        assert_eq!(all.iter().count(), WAITING);
        let over = Outlet::start("outlet-test", |_: &Receiver<u8>| {}).unwrap();
        while over.give(1) != Err(Refused::Over) {
            std::thread::yield_now();
        }
    }
}

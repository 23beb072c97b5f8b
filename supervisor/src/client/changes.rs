//! Workers' changes of state, for hosts that show or record them.

use std::io;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::oneshot;

use crate::core::WorkerState;

/// A reader that lags by more misses the oldest.
pub(super) const KEPT: usize = 256;

/// What a host wants to be called with.
pub(super) type Sink = Box<dyn FnMut(WorkerChange) + Send>;

/// One worker has changed its state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerChange {
    /// The worker's name.
    pub worker: String,
    /// Its new state.
    pub state: WorkerState,
    /// Why, where there is something to say: how it died, what it did wrong.
    pub detail: Option<String>,
}

/// A stream of changes, from [`Client::changes`](super::Client::changes).
#[derive(Debug)]
pub struct Changes {
    inlet: broadcast::Receiver<WorkerChange>,
}

impl Changes {
    pub(super) fn new(inlet: broadcast::Receiver<WorkerChange>) -> Self {
        Self { inlet }
    }

    /// The stream of a fleet that has stopped.
    pub(super) fn ended() -> Self {
        Self::new(broadcast::channel(1).1)
    }

    /// The next change; nothing once the fleet has stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<WorkerChange> {
        loop {
            match self.inlet.recv().await {
                Ok(change) => return Some(change),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Gives every change to `sink` on a thread of its own, which ends with the fleet. What comes back resolves then.
    pub(super) fn listen(mut self, mut sink: Sink) -> io::Result<oneshot::Receiver<()>> {
        let (done, ended) = oneshot::channel();
        let listen = move || {
            loop {
                match self.inlet.blocking_recv() {
                    Ok(change) => sink(change),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
            drop(sink);
            // The fleet may have been dropped, and nobody waits.
            let _ = done.send(());
        };
        std::thread::Builder::new().name("millwork-events".to_owned()).spawn(listen)?;
        Ok(ended)
    }
}

//! Workers' changes of state, for hosts that show or record them.

use tokio::sync::broadcast::{self, error::RecvError};

use crate::core::WorkerState;

/// A reader that lags by more misses the oldest.
pub(super) const KEPT: usize = 256;

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

    /// The next change; nothing once no supervisor or client is left to make one. Cancel-safe.
    pub async fn next(&mut self) -> Option<WorkerChange> {
        loop {
            match self.inlet.recv().await {
                Ok(change) => return Some(change),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

//! The thin shell around the state machine: one thread that owns pipes and processes and does what the machine says.

use tokio::sync::{mpsc, watch};

use crate::client::{Command, Progress};
use crate::{Config, Error};

pub(crate) fn spawn_thread(
    _config: Config,
    _commands: mpsc::UnboundedReceiver<Command>,
    _progress: watch::Sender<Progress>,
) -> Result<std::thread::JoinHandle<()>, Error> {
    Err(Error::Stopped)
}

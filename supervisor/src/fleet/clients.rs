//! The Rust clients' side of the shell: their requests in, their inboxes out.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use millwork_protocol::Bytes;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::Fleet;
use crate::client::{Command, Inbox, Progress, Terminal, WorkerChange};
use crate::core::{Answer, Event, HostId, Incoming};

impl HostId {
    /// All clients in this process; their ids are unique.
    pub(super) const CLIENTS: Self = Self(0);
    /// The host behind the pipe.
    pub(super) const PIPE: Self = Self(1);
}

/// Clients in this process and where their answers go.
#[derive(Debug)]
pub(crate) struct Clients {
    commands: mpsc::UnboundedReceiver<Command>,
    inboxes: HashMap<Arc<str>, Arc<Inbox>>,
    progress: watch::Sender<Progress>,
    changes: broadcast::Sender<WorkerChange>,
    stopped: Vec<oneshot::Sender<()>>,
}

impl Clients {
    pub(crate) fn new(
        commands: mpsc::UnboundedReceiver<Command>,
        progress: watch::Sender<Progress>,
        changes: broadcast::Sender<WorkerChange>,
    ) -> Self {
        Self { commands, inboxes: HashMap::new(), progress, changes, stopped: Vec::new() }
    }

    /// Nobody.
    pub(crate) fn none() -> Self {
        Self::new(mpsc::unbounded_channel().1, watch::channel(Progress::Starting).0, broadcast::Sender::new(1))
    }

    /// Delivers a frame. True where its reader lags and has no room for more.
    pub(super) fn emit(&self, id: &str, payload: Bytes, is_progress: bool) -> bool {
        let Some(inbox) = self.inboxes.get(id) else { return false };
        inbox.push(payload, is_progress);
        inbox.is_blocked()
    }

    pub(super) fn end(&mut self, id: &str, answer: Answer) {
        if let Some(inbox) = self.inboxes.remove(id) {
            inbox.end(match answer {
                Answer::Forward(payload) => Terminal::Payload(payload),
                Answer::Message(_, data) => Terminal::Result(data),
                Answer::Error(error) => Terminal::Error(error),
            });
        }
    }

    /// Tells whoever listens.
    pub(super) fn tell(&self, change: WorkerChange) {
        // An error means that nobody does.
        let _ = self.changes.send(change);
    }

    /// Says how the first attempts went. A fleet that was ready once stays so called.
    pub(super) fn report(&self, is_ready: bool, failures: impl FnOnce() -> String) {
        self.progress.send_if_modified(|progress| {
            if *progress == Progress::Ready {
                return false;
            }
            *progress = if is_ready { Progress::Ready } else { Progress::Failed(failures()) };
            true
        });
    }
}

impl Drop for Clients {
    /// However the fleet ends, nobody waits for it for ever.
    fn drop(&mut self) {
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Request { inbox, .. } => inbox.end(Terminal::stopped()),
                Command::Shutdown(Some(done)) => self.stopped.push(done),
                Command::Shutdown(None) | Command::Cancel { .. } | Command::Resume => {}
            }
        }
        self.inboxes.drain().for_each(|(_, inbox)| inbox.end(Terminal::stopped()));
        self.progress.send_replace(Progress::Stopped);
        for done in self.stopped.drain(..) {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}

impl Fleet {
    /// Takes what clients have sent.
    pub(super) fn poll_clients(&mut self, cx: &mut Context<'_>) -> bool {
        let mut busy = false;
        while let Poll::Ready(Some(command)) = self.clients.commands.poll_recv(cx) {
            busy = true;
            match command {
                Command::Request { kind, id, frame, route, fingerprint, secrets, inbox } => {
                    secrets.iter().for_each(|secret| self.secrets.learn(secret));
                    self.clients.inboxes.insert(id.clone(), inbox);
                    let kind = kind.into();
                    let incoming = Incoming { host: HostId::CLIENTS, id, kind, route, fingerprint, frame };
                    self.handle(Event::Request(incoming));
                }
                Command::Cancel { id } => self.handle(Event::Cancel { host: HostId::CLIENTS, id }),
                Command::Resume => self.resume_reading(),
                Command::Shutdown(done) => {
                    self.clients.stopped.extend(done);
                    self.handle(Event::Shutdown { at_once: false });
                }
            }
        }
        busy
    }
}

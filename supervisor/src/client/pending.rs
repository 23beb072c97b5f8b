//! A request under way: its events, its end, and cancelling it.

use std::fmt;
use std::sync::Arc;

use millwork_protocol::message::{ErrorData, ErrorKind};
use millwork_protocol::{Bytes, Envelope, Limits, Map};
use tokio::sync::mpsc;

use super::Command;
use super::inbox::{Inbox, Item, Terminal};

/// Something that a request sends before it ends.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// `{progress, total, message?}`. Only the last one is kept for a reader that lags.
    Progress(Map),
    /// A preview, a log line, anything that `type` in the data names.
    Update(Map),
    /// One piece of a stream: `{outputs, blobs}`, or what the provider's stream sends.
    Chunk(Map),
    /// Another message, such as `blob.chunk` of a transfer that was asked for.
    Other {
        /// Its type.
        kind: String,
        /// Its data.
        data: Map,
    },
}

/// How a request failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What went wrong, in words that can be shown.
    pub message: String,
    /// The sort of failure; a peer that does not say counts as [`ErrorKind::Failed`].
    pub kind: ErrorKind,
    /// Whether the same request may succeed when it is sent again.
    pub retryable: bool,
    /// The stack of the code that failed, where there is one.
    pub traceback: Option<String>,
}

impl From<ErrorData> for RequestError {
    fn from(data: ErrorData) -> Self {
        let kind = data.kind.unwrap_or(ErrorKind::Failed);
        let retryable = data.retryable.unwrap_or_else(|| kind.is_retryable());
        Self { message: data.error, kind, retryable, traceback: data.traceback }
    }
}

/// A request that has been sent. Dropping it before its end cancels it.
#[must_use = "dropping it cancels the request"]
pub struct Pending {
    id: Arc<str>,
    inbox: Arc<Inbox>,
    commands: mpsc::UnboundedSender<Command>,
    /// The end, once it has been seen and not yet taken.
    end: Option<Result<Map, RequestError>>,
    ended: bool,
}

impl Pending {
    pub(super) fn new(id: Arc<str>, inbox: Arc<Inbox>, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self { id, inbox, commands, end: None, ended: false }
    }

    /// The request's id, as it stands in logs.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The next event; nothing once the request has ended, and then [`Pending::finish`] has the result at once.
    ///
    /// Events wait for their reader: one that stops reading in the middle of a stream slows down the worker, and with
    /// it the other requests there. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let (item, resume) = std::future::poll_fn(|cx| self.inbox.poll(cx)).await;
        if resume {
            let _ = self.commands.send(Command::Resume);
        }
        match item {
            Some(Item::Event(payload)) => Some(event(&payload)),
            Some(Item::End(terminal)) => {
                self.ended = true;
                self.end = Some(outcome(terminal));
                None
            }
            None => None,
        }
    }

    /// Waits for the end, passing over events.
    ///
    /// # Errors
    /// What the worker or the supervisor answered: see [`RequestError::kind`].
    pub async fn finish(mut self) -> Result<Map, RequestError> {
        while self.next().await.is_some() {}
        self.end.take().unwrap_or_else(|| outcome(Terminal::stopped()))
    }

    /// Asks for an end. It still comes as a result or an error, cooperatively or, after the grace period, by force.
    pub fn cancel(&self) {
        let _ = self.commands.send(Command::Cancel { id: self.id.clone() });
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.ended {
            self.cancel();
            if self.inbox.close() {
                let _ = self.commands.send(Command::Resume);
            }
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("id", &self.id).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// A frame's type and data. The workers' frames have been peeked at before; data that breaks off reads as empty.
fn read(payload: &Bytes) -> (String, Result<Map, String>) {
    match Envelope::peek(payload) {
        Ok(envelope) => {
            let data = envelope.decode_data(payload, &Limits::default());
            (envelope.kind.unwrap_or_default().to_owned(), data.map_err(|error| error.to_string()))
        }
        Err(error) => (String::new(), Err(error.to_string())),
    }
}

fn event(payload: &Bytes) -> Event {
    let (kind, data) = read(payload);
    let data = data.unwrap_or_default();
    match kind.as_str() {
        "progress" => Event::Progress(data),
        "update" => Event::Update(data),
        "chunk" => Event::Chunk(data),
        _ => Event::Other { kind, data },
    }
}

fn outcome(terminal: Terminal) -> Result<Map, RequestError> {
    let payload = match terminal {
        Terminal::Payload(payload) => payload,
        Terminal::Result(data) => return Ok(data),
        Terminal::Error(error) => return Err(error.into()),
    };
    let invalid = |text: String| {
        RequestError::from(ErrorData::new(ErrorKind::Failed, format!("the worker's answer cannot be read: {text}")))
    };
    match read(&payload) {
        (kind, Ok(data)) if kind == "error" => {
            Err(ErrorData::from_map(data).map_or_else(|error| invalid(error.to_string()), Into::into))
        }
        (_, Ok(data)) => Ok(data),
        (_, Err(text)) => Err(invalid(text)),
    }
}

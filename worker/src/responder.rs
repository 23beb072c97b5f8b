//! One request's voice: interim frames while it works, then exactly one terminal frame, whatever happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use millwork_protocol::message::{ErrorData, ErrorKind};
use millwork_protocol::{Frame, Map};

use crate::Error;
use crate::context::Interim;
use crate::in_flight::InFlight;
use crate::output::Output;

/// How a request speaks. [`Responder::finish`] and [`Responder::fail`] consume it; dropping it sends the error.
#[derive(Debug)]
pub(crate) struct Responder {
    voice: Voice,
    in_flight: Arc<InFlight>,
    max_frame: usize,
}

/// What a request and the end of the worker share: whoever sets `answered` first sends the terminal frame.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    id: Option<Arc<str>>,
    output: Arc<Output>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    answered: AtomicBool,
    /// What its errors must not say.
    secrets: OnceLock<Vec<String>>,
}

/// Shorter ones would blot out words that are none.
const SHORTEST_SECRET: usize = 6;

impl Voice {
    pub(crate) fn new(id: Option<Arc<str>>, output: Arc<Output>) -> Self {
        Self { id, output, state: Arc::default() }
    }

    /// Keeps these out of the errors of this request: a library may quote the URL or the header that it failed with.
    pub(crate) fn keep_secret<'a>(&self, secrets: impl Iterator<Item = &'a String>) {
        let mut secrets: Vec<String> = secrets.filter(|secret| secret.len() >= SHORTEST_SECRET).cloned().collect();
        if !secrets.is_empty() {
            // The longest first: one may begin with another.
            secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
            // A request brings its secrets once.
            let _ = self.state.secrets.set(secrets);
        }
    }

    /// The text without the secrets of this request.
    pub(crate) fn blot(&self, text: &str) -> String {
        let secrets = self.state.secrets.get().map(Vec::as_slice).unwrap_or_default();
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn error_frame(&self, error: &Error) -> Frame {
        match self.state.secrets.get() {
            None => error_frame(self.id(), error),
            Some(_) => error_frame(self.id(), &error.blotted(|text| self.blot(text))),
        }
    }

    fn terminal(&self, frame: Frame) {
        if !self.state.answered.swap(true, Ordering::AcqRel) {
            self.output.send(frame);
        }
    }

    /// The terminal frame for a failure, unless there was one.
    pub(crate) fn fail(&self, error: &Error) {
        self.terminal(self.error_frame(error));
    }
}

/// The frame of type `error` of a request that has not begun.
pub(crate) fn error_frame(id: Option<&str>, error: &Error) -> Frame {
    let (kind, message, traceback) = error.parts();
    let mut data = ErrorData::new(kind.clone(), message);
    data.retryable = Some(error.is_retryable());
    data.traceback = traceback.map(str::to_owned);
    Frame::message("error", id, &data.into_map())
}

impl Responder {
    pub(crate) fn new(voice: Voice, in_flight: Arc<InFlight>, max_frame: usize) -> Self {
        Self { voice, in_flight, max_frame }
    }

    pub(crate) fn voice(&self) -> &Voice {
        &self.voice
    }

    /// Sends `result`.
    pub(crate) fn finish(self, data: &Map) {
        self.finish_as("result", data);
    }

    /// Sends a terminal frame of the given type; one too large for a frame becomes an error.
    pub(crate) fn finish_as(self, kind: &str, data: &Map) {
        let frame = self.bounded(Frame::message(kind, self.voice.id(), data));
        self.end(frame);
    }

    /// Sends `error`.
    pub(crate) fn fail(self, error: &Error) {
        let frame = self.voice.error_frame(error);
        self.end(frame);
    }

    /// Sends an interim frame; waits while the host is far behind.
    ///
    /// # Errors
    /// `too_large` where it does not fit in one frame.
    pub(crate) fn interim(&self, kind: &str, data: &Map) -> crate::Result<()> {
        let frame = Frame::message(kind, self.voice.id(), data);
        if frame.payload_len() > self.max_frame {
            return Err(too_large(frame.payload_len(), self.max_frame));
        }
        self.voice.output.send(frame);
        Ok(())
    }

    pub(crate) fn interim_voice(&self) -> InterimVoice {
        InterimVoice { voice: self.voice.clone(), max_frame: self.max_frame }
    }

    fn bounded(&self, frame: Frame) -> Frame {
        if frame.payload_len() <= self.max_frame {
            return frame;
        }
        error_frame(self.voice.id(), &too_large(frame.payload_len(), self.max_frame))
    }

    /// The id is free again before the host can read the frame that frees it.
    fn end(self, frame: Frame) {
        self.in_flight.release(self.voice.id());
        self.voice.terminal(frame);
        self.in_flight.ended();
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if self.voice.state.answered.load(Ordering::Acquire) {
            return;
        }
        self.in_flight.release(self.voice.id());
        self.voice.fail(&Error::failed("the worker ended the request without an answer"));
        self.in_flight.ended();
    }
}

fn too_large(len: usize, max: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "Response frame too large: {len} bytes exceeds limit {max} bytes; ask for `blob_transfer: \"chunked-v1\"` or raise {}",
            millwork_protocol::limits::MAX_FRAME_ENV
        ),
    )
}

/// Progress and updates of a request.
pub(crate) struct InterimVoice {
    voice: Voice,
    max_frame: usize,
}

impl Interim for InterimVoice {
    fn progress(&self, data: &Map) {
        let id = self.voice.id();
        self.voice.output.send_latest(id.unwrap_or_default(), Frame::message("progress", id, data));
    }

    fn milestone(&self, data: &Map) {
        self.voice.output.send(Frame::message("progress", self.voice.id(), data));
    }

    fn update(&self, data: &Map) {
        let frame = Frame::message("update", self.voice.id(), data);
        if frame.payload_len() > self.max_frame {
            tracing::warn!(bytes = frame.payload_len(), max = self.max_frame, "an update was too large to send");
            return;
        }
        self.voice.output.send(frame);
    }

    fn blot(&self, text: &str) -> String {
        self.voice.blot(text)
    }
}

//! One request's voice: interim frames while it works, then exactly one terminal frame, whatever happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    answered: Arc<AtomicBool>,
}

impl Voice {
    pub(crate) fn new(id: Option<Arc<str>>, output: Arc<Output>) -> Self {
        Self { id, output, answered: Arc::default() }
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn terminal(&self, frame: Frame) {
        if !self.answered.swap(true, Ordering::AcqRel) {
            self.output.send(frame);
        }
    }

    /// The terminal frame for a failure, unless there was one.
    pub(crate) fn fail(&self, error: &Error) {
        self.terminal(error_frame(self.id(), error));
    }
}

/// The frame of type `error`.
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
        let frame = error_frame(self.voice.id(), error);
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
        if self.voice.answered.load(Ordering::Acquire) {
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

    fn update(&self, data: &Map) {
        let frame = Frame::message("update", self.voice.id(), data);
        if frame.payload_len() > self.max_frame {
            tracing::warn!(bytes = frame.payload_len(), max = self.max_frame, "an update was too large to send");
            return;
        }
        self.voice.output.send(frame);
    }
}

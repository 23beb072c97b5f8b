//! The host behind the pipe: its frames in, its answers out, and what its end means.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use millwork_protocol::envelope::{DataError, NO_TYPE};
use millwork_protocol::limits::MAX_FRAME_ENV;
use millwork_protocol::message::{ErrorData, ErrorKind};
use millwork_protocol::{Bytes, Envelope, EnvelopeError, Frame, FrameEvent, HEADER_LEN, READY_LINE, Scalar};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Fleet;
use crate::core::{Answer, Event, HostId, Incoming, Route, fingerprint};
use crate::error::Error;
use crate::link::Link;
use crate::spare::Spare;

/// So many reads of the host, then the workers get their turn.
const READS: usize = 8;
/// Above so many unread bytes of answers the host is not asked for more. Far above what stops the workers: a host may
/// write a good many requests before it reads.
const FULL: usize = 32 << 20;
/// How long the host may leave its last answers unread once everything else has ended.
const FLUSH_PATIENCE: Duration = Duration::from_millis(500);

/// The host's pipes and the signals that it may send.
#[derive(Debug)]
pub(crate) struct Host {
    pub(super) link: Link,
    /// A second handle on its stdout, to see whether anybody is there.
    watch: OwnedFd,
    signals: Vec<Signal>,
    said_ready: bool,
    last_write: Instant,
}

impl Host {
    /// Takes the descriptors. Needs a runtime with IO around it.
    pub(crate) fn new(input: OwnedFd, output: OwnedFd, max_frame: usize) -> Result<Self, Error> {
        let watch = output.try_clone().map_err(Error::io("duplicate stdout"))?;
        let link = Link::new(input, output, max_frame, Spare::default()).map_err(Error::io("use stdin and stdout"))?;
        let kinds = [SignalKind::terminate(), SignalKind::interrupt()];
        let signals: Result<_, _> = kinds.into_iter().map(signal).collect();
        let signals = signals.map_err(Error::io("listen for signals"))?;
        Ok(Self { link, watch, signals, said_ready: false, last_write: Instant::now() })
    }

    pub(super) fn emit(&mut self, id: &str, payload: Bytes, is_progress: bool) {
        let frame = Frame::forward(payload);
        if is_progress { self.link.push_progress(id, frame) } else { self.link.push(frame) }
    }

    /// The line that hosts wait for.
    pub(super) fn say_ready(&mut self) {
        if !std::mem::replace(&mut self.said_ready, true) {
            // A host that has closed stderr does not wait for the line.
            let _ = writeln!(std::io::stderr().lock(), "{READY_LINE}");
        }
    }

    /// From now on nothing more is coming: it has a while to read the rest.
    pub(super) fn expect_flush(&mut self) {
        self.last_write = Instant::now();
    }

    /// Whether the reading end of its stdout has been closed.
    fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(&self.watch), PollFlags::empty())];
        let polled = poll(&mut fds, PollTimeout::ZERO);
        let hung_up =
            fds.iter().filter_map(PollFd::revents).any(|r| r.intersects(PollFlags::POLLERR | PollFlags::POLLHUP));
        !self.link.is_output_open() || (polled.is_ok() && hung_up)
    }
}

impl Fleet {
    /// Whether the host has to wait: for workers to take its requests, or for itself to read its answers.
    pub(super) fn is_congested(&self) -> bool {
        self.core.is_congested() || self.host.as_ref().is_some_and(|host| host.link.backlog() > FULL)
    }

    /// Reads the host, unless it has to wait.
    pub(super) fn poll_host(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(host) = &mut self.host else { return false };
        let mut busy = false;
        if host.signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
            busy = true;
            self.handle(Event::Shutdown { at_once: false });
        }
        for _ in 0..READS {
            let is_congested = self.is_congested();
            let Some(host) = self.host.as_mut().filter(|host| host.link.is_input_open()) else { break };
            if is_congested {
                // Its end would not be read before all that came first.
                if host.is_gone() {
                    host.link.close_input();
                    self.handle(Event::Shutdown { at_once: true });
                }
                break;
            }
            match host.link.poll_read(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(0) | Err(_)) => {
                    host.link.close_input();
                    let at_once = host.is_gone();
                    self.handle(Event::Shutdown { at_once });
                }
                Poll::Ready(Ok(_)) => {
                    while let Some(event) = self.host.as_mut().and_then(|host| host.link.next_event()) {
                        self.host_event(event);
                    }
                }
            }
            busy = true;
        }
        busy
    }

    fn host_event(&mut self, event: FrameEvent) {
        match event {
            FrameEvent::Frame(payload) => self.host_frame(payload),
            FrameEvent::Oversized { claimed, max, head } => {
                let text = format!("frame of {claimed} bytes is above the maximum of {max} bytes ({MAX_FRAME_ENV})");
                self.refuse_frame(&head, text);
            }
            FrameEvent::NoMemory { len, head } => {
                self.refuse_frame(&head, format!("frame of {len} bytes: there is no memory for it"));
            }
        }
    }

    /// Answers a frame of which only the beginning is there. The id often stands in it.
    fn refuse_frame(&mut self, head: &[u8], text: String) {
        let id = head.get(HEADER_LEN..).and_then(Envelope::salvage_request_id);
        let error = ErrorData::new(ErrorKind::TooLarge, text);
        self.answer_host(id.unwrap_or_default(), Answer::Error(error));
    }

    fn host_frame(&mut self, payload: Bytes) {
        let refuse = |kind: ErrorKind, text: String| Answer::Error(ErrorData::new(kind, text));
        let envelope = match Envelope::peek(&payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                let text = error.to_string();
                let id = match error {
                    EnvelopeError::Malformed { request_id, .. } => request_id.unwrap_or_default(),
                    _ => String::new(),
                };
                return self.answer_host(&id, refuse(ErrorKind::InvalidInput, text));
            }
        };
        let id: Arc<str> = envelope.request_id.unwrap_or_default().into();
        let Some(kind) = envelope.kind else {
            return self.answer_host(&id, refuse(ErrorKind::UnknownMessage, NO_TYPE.to_owned()));
        };
        if kind == "cancel" {
            return self.handle(Event::Cancel { host: HostId::PIPE, id });
        }
        // `discover` needs none.
        let found = envelope.data_type();
        if kind != "discover" && !matches!(found, "map" | "nil") {
            return self.answer_host(&id, refuse(ErrorKind::InvalidInput, DataError::NotAMap { found }.to_string()));
        }
        let route =
            Route::new(envelope.data_scalars(Route::KEYS), || envelope.under("params")?.data_scalars(["model"])[0]);
        envelope.data_texts_under("secrets").into_iter().for_each(|secret| self.secrets.learn(secret));
        if kind.starts_with("models.") {
            let [token] = envelope.data_scalars(["token"]);
            token.and_then(Scalar::text).into_iter().for_each(|token| self.secrets.learn(token));
        }
        let data = envelope.data.clone().and_then(|range| payload.get(range)).unwrap_or_default();
        let incoming = Incoming {
            host: HostId::PIPE,
            id,
            fingerprint: fingerprint(kind, data),
            kind: kind.into(),
            route,
            frame: Frame::forward(payload.clone()),
        };
        self.handle(Event::Request(incoming));
    }

    pub(super) fn write_to_host(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(host) = &mut self.host else { return false };
        match host.link.poll_write(cx) {
            Ok(wrote) => {
                if wrote {
                    host.last_write = Instant::now();
                }
                wrote
            }
            Err(_) => {
                // Nobody is left to read an answer.
                host.link.close_output();
                host.link.close_input();
                self.handle(Event::Shutdown { at_once: true });
                true
            }
        }
    }

    /// Whether the host has its last answers, or does not want them.
    pub(super) fn is_flushed(&self) -> bool {
        let patient = |host: &Host| host.link.backlog() > 0 && host.last_write.elapsed() < FLUSH_PATIENCE;
        !self.host.as_ref().is_some_and(patient)
    }
}

//! What a worker sends, as it comes: frames taken off its pipe, held to the rules for all of them, and kept for whoever asks. What
//! checks ask for is in [`worker`](super).

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use millwork_protocol::Bytes;

use super::{FLOOD, MOST_KEPT, Worker};
use crate::check::{Outcome, Stop, fail};
use crate::message::{Message, shorten};
use crate::peer::{Event, exit_text};
use crate::transcript::Direction;
use crate::validate::{self, rule};

impl Worker {
    pub(super) fn next_where(&mut self, what: &str, is_it: impl Fn(&Message) -> bool) -> Outcome<Message> {
        if let Some(at) = self.inbox.iter().position(&is_it)
            && let Some(message) = self.inbox.remove(at)
        {
            return Ok(message);
        }
        let limit = self.session.patience().min(self.session.time_left());
        let end = Instant::now() + limit;
        while let Some(message) = self.pump(end.saturating_duration_since(Instant::now())) {
            if is_it(&message) {
                return Ok(message);
            }
            if self.inbox.len() < MOST_KEPT || message.is_terminal() {
                self.inbox.push_back(message);
            }
            if Instant::now() >= end {
                break;
            }
        }
        Err(self.missing(what, limit))
    }

    fn missing(&self, what: &str, limit: Duration) -> Stop {
        if let Some(over) = &self.over {
            let cause = format!("It ended while it had this to answer. Its stderr ends with: {}", self.stderr_tail());
            return fail(format!("{what} was due, and {over}")).cause(cause);
        }
        self.session.silence();
        // A worker that cannot say which request it refuses says so under nil.
        let refusal = self.inbox.iter().find(|message| message.id.is_none() && message.error().is_some());
        let (head, len) = self.peer.unfinished();
        let stop = fail(format!("{what} was due, and no answer came within {:.1} s", limit.as_secs_f64()));
        if len > 0 {
            self.hold_to_its_end(len);
            let claimed = head.first_chunk::<4>().map_or(0, |header| u32::from_be_bytes(*header));
            return stop.cause(format!(
                "stdout holds {len} bytes of a frame that claims {claimed} and never ends; it begins with {:?}",
                String::from_utf8_lossy(head.get(..40).unwrap_or(&head))
            ));
        }
        if let Some(text) = refusal.and_then(Message::error) {
            return stop.cause(format!("An error came instead, with nil as its id: {text:?}"));
        }
        stop.cause("The worker took the request and never ended it, or waits for something that the contract does not give it.")
    }

    /// A frame that has begun and stands still is one that is left unfinished, also while its worker lives.
    fn hold_to_its_end(&self, len: usize) {
        let still = self.peer.last_byte().map(|last| last.elapsed()).unwrap_or_default();
        if still >= self.session.seconds(1.0) {
            let seconds = still.as_secs_f64();
            self.session.violated(rule::WHOLE, format!("{len} bytes of a frame came, and for {seconds:.1} s no more"));
        }
    }

    /// The next event, seen to; gives the frame, if it is one that a check may see.
    pub(super) fn pump(&mut self, limit: Duration) -> Option<Message> {
        let mut end = Instant::now() + limit;
        loop {
            if self.over.is_some() {
                return None;
            }
            match self.peer.event(end.saturating_duration_since(Instant::now())) {
                Ok(Event::Frame(payload, at)) => {
                    if let Some(message) = self.take(payload, at) {
                        return Some(message);
                    }
                    // A flood of frames that no check may see has no end of its own.
                    if Instant::now() >= end + FLOOD {
                        return None;
                    }
                }
                Ok(Event::NoFrame(line)) => {
                    self.session.record(|transcript| transcript.bytes(Instant::now(), Direction::Received, &line));
                    let text = String::from_utf8_lossy(&line);
                    self.session.violated(
                        rule::FRAMES_ONLY,
                        format!("stdout holds what is no frame: {:?}", shorten(&text, 80)),
                    );
                    self.stray.get_or_insert(line);
                    if Instant::now() >= end + FLOOD {
                        return None;
                    }
                }
                Ok(Event::End { cut }) => {
                    if let Some(cut) = cut {
                        self.session.record(|transcript| transcript.bytes(Instant::now(), Direction::Received, &cut));
                        self.session.violated(rule::WHOLE, "stdout ends inside a frame");
                    }
                    self.end();
                }
                Ok(Event::Exited) => {
                    // What it has written is still on its way, unless a child of its holds the pipe open.
                    end = end.min(Instant::now() + self.session.seconds(1.0));
                    if limit.is_zero() {
                        return None;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if limit > Duration::ZERO && self.peer.wait_exit(Duration::ZERO).is_some() && Instant::now() >= end
                    {
                        self.end();
                    }
                    return None;
                }
                Err(RecvTimeoutError::Disconnected) => self.end(),
            }
        }
    }

    fn end(&mut self) {
        let exit = self.peer.wait_exit(self.session.seconds(1.0));
        let over = match exit {
            Some((status, _)) => format!("the worker ended ({})", exit_text(status)),
            None => "the worker closed its stdout".to_owned(),
        };
        self.session.note(over.clone());
        self.over = Some(over);
    }

    /// Holds a frame against the rules for all; gives it where a check can do something with it.
    fn take(&mut self, payload: Bytes, at: Instant) -> Option<Message> {
        self.session.record(|transcript| transcript.payload(at, &payload));
        let (read, breach) = validate::read(&payload);
        if let Some((rule, what)) = breach {
            self.session.violated(rule, what);
        }
        let read = read?;
        let message = Message { kind: read.kind, id: read.id, data: read.data, payload, at };
        match &message.id {
            None => {
                if !self.without_id {
                    self.session.violated(rule::NIL_ID, format!("a `{}` frame with nil as its id", message.kind));
                }
            }
            Some(id) => match self.sent.get_mut(id) {
                Some(sent) if sent.ended => {
                    let what = format!("a `{}` frame for {id:?}, which has had its terminal frame", message.kind);
                    self.session.violated(rule::AFTER_THE_END, what);
                    return None;
                }
                Some(sent) => {
                    sent.ended = message.is_terminal();
                    let breach =
                        sent.kind.as_deref().and_then(|kind| validate::answer(kind, &message.kind, &message.data));
                    if let Some((rule, what)) = breach {
                        self.session.violated(rule, what);
                    }
                }
                None if self.any_id => {}
                None => {
                    self.session
                        .violated(rule::KNOWN_ID, format!("a `{}` frame for {id:?}, which nobody asked", message.kind));
                    return None;
                }
            },
        }
        Some(message)
    }
}

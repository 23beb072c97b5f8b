//! What was sent and what came while a check ran, kept to a bound, for the story of a failure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use millwork_protocol::{Bytes, Envelope, Limits, Value};
use serde::Serialize;

use crate::hex;
use crate::message::shorten;

/// So many entries are kept from the beginning of a check, and so many from its end.
const FIRST: usize = 6;
const LAST: usize = 12;
/// A payload up to this size is kept whole.
const WHOLE: usize = 64 << 10;
const HEAD: usize = 256;

/// Which way an entry went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the worker.
    Sent,
    /// From the worker.
    Received,
    /// Neither: something that happened.
    Note,
}

/// One thing that was sent, or came, or happened.
#[derive(Debug, Clone)]
struct Entry {
    at: Instant,
    direction: Direction,
    /// Bytes as they were on the pipe, header included; the head of them where they are many.
    bytes: Bytes,
    len: usize,
    /// In how many pieces it was written.
    pieces: usize,
    note: String,
}

/// The entries of one check.
#[derive(Debug)]
pub struct Transcript {
    begun: Instant,
    first: Vec<Entry>,
    last: VecDeque<Entry>,
    left_out: usize,
}

/// One entry as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exchange {
    /// Seconds since the check began.
    pub seconds: f64,
    /// Which way it went.
    pub direction: Direction,
    /// What it is, decoded.
    pub text: String,
    /// Its bytes, annotated, a line each; empty for a note.
    pub hex: Vec<String>,
}

impl Default for Transcript {
    fn default() -> Self {
        Self { begun: Instant::now(), first: Vec::new(), last: VecDeque::new(), left_out: 0 }
    }
}

impl Transcript {
    /// Bytes as they were on the pipe, header included.
    pub(crate) fn bytes(&mut self, at: Instant, direction: Direction, bytes: &Bytes) {
        if direction == Direction::Sent && self.goes_on(bytes) {
            return;
        }
        let len = bytes.len();
        let bytes = if len <= WHOLE { bytes.clone() } else { Bytes::copy_from_slice(&bytes[..HEAD]) };
        self.push(Entry { at, direction, bytes, len, pieces: 1, note: String::new() });
    }

    /// Adds bytes to the frame that the last write left unfinished, if there is one.
    fn goes_on(&mut self, more: &Bytes) -> bool {
        let last = self.last.back_mut().or_else(|| self.first.last_mut());
        let Some(last) = last.filter(|last| last.direction == Direction::Sent && last.len == last.bytes.len()) else {
            return false;
        };
        let unfinished = match last.bytes.first_chunk::<4>() {
            Some(header) => (u32::from_be_bytes(*header) as usize).checked_add(4).is_some_and(|due| due > last.len),
            None => true,
        };
        if !unfinished || last.len + more.len() > WHOLE {
            return false;
        }
        last.bytes = Bytes::from([&last.bytes[..], more].concat());
        last.len = last.bytes.len();
        last.pieces += 1;
        true
    }

    /// A payload that came, shown with its header.
    pub(crate) fn payload(&mut self, at: Instant, payload: &Bytes) {
        let len = payload.len();
        let head = &payload[..if len <= WHOLE { len } else { HEAD }];
        let header = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        let bytes = Bytes::from([&header, head].concat());
        self.push(Entry { at, direction: Direction::Received, bytes, len: len + 4, pieces: 1, note: String::new() });
    }

    /// Something that happened.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let (bytes, note) = (Bytes::new(), note.into());
        self.push(Entry { at: Instant::now(), direction: Direction::Note, bytes, len: 0, pieces: 0, note });
    }

    fn push(&mut self, entry: Entry) {
        if self.first.len() < FIRST {
            self.first.push(entry);
            return;
        }
        self.last.push_back(entry);
        if self.last.len() > LAST {
            self.last.pop_front();
            self.left_out += 1;
        }
    }

    /// The entries as they are shown.
    pub(crate) fn show(&self) -> Vec<Exchange> {
        let mut shown: Vec<Exchange> = self.first.iter().map(|entry| self.show_one(entry)).collect();
        if self.left_out > 0 {
            let text = format!("… {} more left out …", self.left_out);
            let seconds = shown.last().map_or(0.0, |entry| entry.seconds);
            shown.push(Exchange { seconds, direction: Direction::Note, text, hex: Vec::new() });
        }
        shown.extend(self.last.iter().map(|entry| self.show_one(entry)));
        shown
    }

    fn show_one(&self, entry: &Entry) -> Exchange {
        let seconds = entry.at.checked_duration_since(self.begun).unwrap_or(Duration::ZERO).as_secs_f64();
        let text = match (entry.pieces, decoded(&entry.bytes, entry.len)) {
            (0, _) => entry.note.clone(),
            (1, text) => text,
            (pieces, text) => format!("in {pieces} pieces: {text}"),
        };
        Exchange { seconds, direction: entry.direction, text, hex: hex::annotate(&entry.bytes, entry.len) }
    }
}

/// A frame in one line: its type, its id and its data.
fn decoded(bytes: &Bytes, len: usize) -> String {
    let payload = bytes.slice(bytes.len().min(4)..);
    let claims = bytes.first_chunk::<4>().map(|header| u32::from_be_bytes(*header) as usize);
    let whole = claims == Some(len.saturating_sub(4));
    if let Some(first) = claims.filter(|claimed| claimed.saturating_add(4) < bytes.len() && len == bytes.len()) {
        let (first, rest) = (bytes.slice(..first + 4), bytes.slice(first + 4..));
        return format!("{}, and in the same write {}", decoded(&first, first.len()), together(&rest));
    }
    match Envelope::peek(&payload) {
        Ok(envelope) if whole => {
            let data = match envelope.decode_data(&payload, &Limits::default()) {
                Ok(data) => Value::Map(data).to_json().to_string(),
                Err(error) => format!("({error})"),
            };
            let id = envelope.request_id.map_or_else(|| "nil".to_owned(), |id| format!("{id:?}"));
            format!("{} {id} {}", envelope.kind.unwrap_or("(no type)"), shorten(&data, 300))
        }
        _ if len > bytes.len() => format!("{len} bytes, of which the first {} are kept", bytes.len()),
        Err(error) if whole => format!("a frame of {} bytes: {error}", payload.len()),
        _ => format!("{len} bytes that are no whole frame"),
    }
}

/// What follows a frame in the same write.
fn together(rest: &Bytes) -> String {
    let mut frames = 0;
    let mut left = &rest[..];
    while let Some((header, behind)) = left.split_first_chunk::<4>() {
        let Some(behind) = behind.get(u32::from_be_bytes(*header) as usize..) else { break };
        (frames, left) = (frames + 1, behind);
    }
    match (frames, left.len()) {
        (1, 0) => decoded(rest, rest.len()),
        (frames, 0) => format!("{frames} more frames"),
        (0, bytes) => format!("{bytes} bytes that are no whole frame"),
        (frames, bytes) => format!("{frames} more frames and {bytes} bytes that are no whole frame"),
    }
}

#[cfg(test)]
mod tests {
    use millwork_protocol::{Frame, Map};

    use super::*;

    fn frame(id: &str) -> Bytes {
        Frame::message("discover", Some(id), &Map::new()).to_bytes()
    }

    fn texts(writes: &[Bytes]) -> Vec<String> {
        let mut transcript = Transcript::default();
        writes.iter().for_each(|bytes| transcript.bytes(Instant::now(), Direction::Sent, bytes));
        transcript.show().into_iter().map(|entry| entry.text).collect()
    }

    #[test]
    fn a_frame_in_pieces_is_shown_as_one_and_several_in_a_write_are_counted() {
        let whole = frame("a");
        let pieces: Vec<Bytes> = whole.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
        let in_pieces = format!("in {} pieces: discover \"a\" {{}}", whole.len());
        assert_eq!(texts(&[pieces, vec![frame("b")]].concat()), [&in_pieces, "discover \"b\" {}"]);
        let three = Bytes::from([&frame("a")[..], &frame("b"), &frame("c")].concat());
        assert_eq!(texts(&[three]), ["discover \"a\" {}, and in the same write 2 more frames"]);
        let torn = Bytes::from([&frame("a")[..], &frame("b")[..9]].concat());
        assert_eq!(texts(&[torn]), ["discover \"a\" {}, and in the same write 9 bytes that are no whole frame"]);
    }
}

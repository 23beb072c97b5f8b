//! Bytes in, frames out: an incremental reader that can stop at any byte and loses nothing.
//!
//! | state | on bytes | gives |
//! | --- | --- | --- |
//! | header | fewer than 4 | nothing |
//! | header | a length within the limit | → body |
//! | header | a length above it | `Oversized`, → skip |
//! | body | all of them | `Frame`, → header |
//! | body | more than there is memory for | `NoMemory`, → skip |
//! | skip | all of them | → header |
//!
//! Memory follows what has arrived, never what a header claims, and a large frame's buffer leaves with the frame.

use bytes::Bytes;

use super::HEADER_LEN;

/// Room for many small frames per read.
const CHUNK: usize = 64 << 10;
/// A frame that does not fit in the rest of this much gets a buffer of its own.
const OWN_BUFFER_FROM: usize = CHUNK / 2;
/// The first size of such a buffer; it doubles as bytes arrive.
const OWN_BUFFER_START: usize = 1 << 20;

/// What came out of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameEvent {
    /// One payload.
    Frame(Bytes),
    /// A header above the limit. The reader now passes over as many bytes as it claims.
    Oversized {
        /// The length that the header claims.
        claimed: usize,
        /// The limit.
        max: usize,
        /// The first bytes from the header on, at most 64: stray text on the stream shows here.
        head: Bytes,
    },
    /// A frame within the limit for which there is no memory. The reader now passes over the rest of it.
    NoMemory {
        /// Its length.
        len: usize,
        /// The first bytes from the header on, at most 64.
        head: Bytes,
    },
}

/// Turns a stream of bytes into [`FrameEvent`]s.
///
/// Append bytes to [`FrameReader::space`] (its spare capacity is what one read should ask for), then take events
/// until there are none. Nothing is lost by stopping between the two, so a read may be cancelled at any time.
#[derive(Debug)]
pub struct FrameReader {
    max: usize,
    /// Unparsed bytes from `start` on.
    small: Vec<u8>,
    start: usize,
    /// A large frame under way, and its length.
    large: Option<(Vec<u8>, usize)>,
    /// Bytes of a refused frame still to pass over.
    skip: usize,
    /// A frame that had to be given up: `NoMemory`, to be told.
    given_up: Option<FrameEvent>,
}

impl FrameReader {
    /// A reader that refuses payloads of more than `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, small: Vec::new(), start: 0, large: None, skip: 0, given_up: None }
    }

    /// Where the next bytes belong: append at most its spare capacity, which is never zero.
    pub fn space(&mut self) -> &mut Vec<u8> {
        if let Some((mut buffer, len)) = self.large.take() {
            let grown = (buffer.len() * 2).clamp(OWN_BUFFER_START, len.max(OWN_BUFFER_START));
            // A frame that is complete and not taken yet has room for one byte more: there is always room.
            let more = grown.min(len).saturating_sub(buffer.len()).max(1);
            let is_full = buffer.len() == buffer.capacity();
            if is_full && buffer.len() < len && buffer.try_reserve_exact(more).is_err() {
                self.give_up(&buffer, len);
            } else {
                buffer.reserve_exact(if is_full { more } else { 0 });
                return &mut self.large.insert((buffer, len)).0;
            }
        }
        if self.start == self.small.len() {
            self.small.clear();
            self.start = 0;
        }
        self.small.reserve_exact(CHUNK.saturating_sub(self.small.len()));
        if self.small.capacity() - self.small.len() < CHUNK / 4 {
            self.small.drain(..self.start);
            self.start = 0;
            self.small.reserve_exact(CHUNK - self.small.len().min(CHUNK / 2));
        }
        &mut self.small
    }

    /// Whether a frame has begun and not ended: the end of the stream here cuts it off.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.large.is_some() || self.skip > 0 || self.start < self.small.len()
    }

    /// Whether the reader is passing over a refused frame.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.skip > 0
    }

    /// Bytes that have arrived and belong to no event yet.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        match &self.large {
            Some((buffer, _)) => buffer,
            None => self.small.get(self.start..).unwrap_or_default(),
        }
    }

    /// The next event that the bytes so far make up.
    pub fn next_event(&mut self) -> Option<FrameEvent> {
        self.next_event_reusing(|| None)
    }

    /// As [`FrameReader::next_event`]; where a large frame begins, `spare` may give an empty buffer to read it into.
    pub fn next_event_reusing(&mut self, spare: impl FnOnce() -> Option<Vec<u8>>) -> Option<FrameEvent> {
        if let Some(event) = self.given_up.take() {
            return Some(event);
        }
        if let Some((buffer, len)) = self.large.take() {
            if buffer.len() < len {
                self.large = Some((buffer, len));
                return None;
            }
            return Some(FrameEvent::Frame(self.finish_large(buffer, len)));
        }
        self.pass_over();
        let rest = self.small.get(self.start..).unwrap_or_default();
        let (header, body) = rest.split_first_chunk::<HEADER_LEN>()?;
        let len = u32::from_be_bytes(*header) as usize;
        if len > self.max {
            let head = Bytes::copy_from_slice(rest.get(..64).unwrap_or(rest));
            self.start += HEADER_LEN;
            self.skip = len;
            self.pass_over();
            return Some(FrameEvent::Oversized { claimed: len, max: self.max, head });
        }
        if let Some(payload) = body.get(..len) {
            let payload = Bytes::copy_from_slice(payload);
            self.start += HEADER_LEN + len;
            return Some(FrameEvent::Frame(payload));
        }
        if len >= OWN_BUFFER_FROM {
            // An answer is often a little larger than its question: growing a spare buffer costs less than a fresh one. One
            // much too large would be held by a small frame.
            let spare = spare().filter(|b| b.is_empty() && (len / 2..=2 * len).contains(&b.capacity()));
            let mut buffer = spare.unwrap_or_else(|| Vec::with_capacity(len.min(OWN_BUFFER_START.max(body.len()))));
            buffer.extend_from_slice(body);
            self.small = Vec::new();
            self.start = 0;
            self.large = Some((buffer, len));
        }
        None
    }

    /// A caller may have appended more than the spare capacity: what is beyond the frame goes back.
    fn finish_large(&mut self, mut buffer: Vec<u8>, len: usize) -> Bytes {
        if buffer.len() > len {
            self.small = buffer.split_off(len);
            self.start = 0;
        }
        Bytes::from(buffer)
    }

    fn give_up(&mut self, so_far: &[u8], len: usize) {
        let header = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        let head = [&header[..], so_far.get(..60).unwrap_or(so_far)].concat().into();
        self.given_up = Some(FrameEvent::NoMemory { len, head });
        self.skip = len - so_far.len();
    }

    fn pass_over(&mut self) {
        let here = self.skip.min(self.small.len() - self.start);
        self.skip -= here;
        self.start += here;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, map};

    fn feed(reader: &mut FrameReader, mut bytes: &[u8], step: usize) -> Vec<FrameEvent> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let space = reader.space();
            let n = (space.capacity() - space.len()).min(step).min(bytes.len());
            assert!(n > 0, "a reader always has room");
            space.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            events.extend(std::iter::from_fn(|| reader.next_event()));
        }
        events
    }

    #[test]
    fn any_split_gives_the_same_frames() {
        let sizes = [0, 1, 10, 5000, 40_000, 200_000, 3, 3_000_000];
        let frames: Vec<Frame> =
            sizes.iter().map(|n| Frame::message("x", None, &map! { "b" => Bytes::from(vec![0x0a; *n]) })).collect();
        let stream: Vec<u8> = frames.iter().flat_map(|f| f.to_bytes().to_vec()).collect();
        for step in [1, 7, 4096, 1 << 20] {
            let mut reader = FrameReader::new(1 << 24);
            let events = feed(&mut reader, &stream, step);
            let expected: Vec<FrameEvent> = frames.iter().map(|f| FrameEvent::Frame(f.to_payload())).collect();
            assert!(events == expected, "step {step}");
            assert!(!reader.is_mid_frame());
        }
    }

    #[test]
    fn an_oversized_frame_is_told_and_passed_over() {
        let mut stream = (1000u32).to_be_bytes().to_vec();
        stream.extend(vec![7; 1000]);
        stream.extend_from_slice(&Frame::forward(Bytes::from_static(b"\xc0")).to_bytes());
        for step in [1, 3, 4096] {
            let events = feed(&mut FrameReader::new(100), &stream, step);
            assert!(matches!(&events[0], FrameEvent::Oversized { claimed: 1000, max: 100, .. }));
            assert_eq!(events[1..], [FrameEvent::Frame(Bytes::from_static(b"\xc0"))]);
        }
    }

    #[test]
    fn a_claim_costs_no_memory() {
        let mut reader = FrameReader::new(256 << 20);
        assert!(feed(&mut reader, &(256u32 << 20).to_be_bytes(), 4).is_empty());
        assert!(reader.space().capacity() <= OWN_BUFFER_START);
        assert!(reader.is_mid_frame());
    }

    #[test]
    fn stray_text_is_shown() {
        let events = feed(&mut FrameReader::new(256 << 20), b"Traceback (most recent call last):\n", 64);
        assert!(matches!(&events[0], FrameEvent::Oversized { head, .. } if head.starts_with(b"Traceback")));
    }
}

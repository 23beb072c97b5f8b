//! Watches bytes on their way and finds the frames in them. It never holds the bytes up, and never changes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use millwork_protocol::{Bytes, FrameEvent, FrameReader};

/// So many bytes of frames may wait to be looked at; what is beyond is counted and not shown.
const BACKLOG: usize = 256 << 20;

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Host,
    Worker,
}

impl Side {
    /// What it is called in files.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Worker => "worker",
        }
    }
}

/// What was seen.
#[derive(Debug)]
pub(super) enum Sight {
    /// A payload.
    Frame(Bytes),
    /// Bytes that are no frame: the length that they would be, and the first of them. Nothing behind them can be told.
    Stray(usize, Bytes),
    /// So many frames that are not shown, since showing them was too slow.
    Missed(usize),
    /// The end of the stream, with so many bytes of a frame that is not complete.
    End(usize),
    /// The worker's process is gone, and nothing more comes.
    Over,
}

/// Something seen, with when and from whom.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) at: Duration,
    pub(super) from: Side,
    pub(super) sight: Sight,
}

/// The outlet of both directions: where sights go, and how much of them waits.
#[derive(Debug, Clone)]
pub(super) struct Outlet {
    pub(super) start: Instant,
    pub(super) sights: Sender<Seen>,
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Outlet {
    pub(super) fn send(&self, from: Side, sight: Sight) {
        // The one who looks may have gone; the bytes go on.
        let _ = self.sights.send(Seen { at: self.start.elapsed(), from, sight });
    }
}

/// One direction.
#[derive(Debug)]
pub(super) struct Tap {
    side: Side,
    outlet: Outlet,
    reader: FrameReader,
    is_lost: bool,
    missed: usize,
}

impl Tap {
    pub(super) fn new(side: Side, outlet: Outlet, max_frame: usize) -> Self {
        Self { side, outlet, reader: FrameReader::new(max_frame), is_lost: false, missed: 0 }
    }

    /// Takes in bytes that are about to be passed on.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !self.is_lost && !bytes.is_empty() {
            let space = self.reader.space();
            let room = (space.capacity() - space.len()).min(bytes.len());
            let (now, rest) = bytes.split_at(room);
            space.extend_from_slice(now);
            bytes = rest;
            while let Some(event) = self.reader.next_event() {
                match event {
                    FrameEvent::Frame(payload) => self.frame(payload),
                    FrameEvent::Oversized { claimed, head, .. } | FrameEvent::NoMemory { len: claimed, head } => {
                        self.is_lost = true;
                        return self.outlet.send(self.side, Sight::Stray(claimed, head));
                    }
                }
            }
        }
    }

    fn frame(&mut self, payload: Bytes) {
        if self.outlet.waiting.load(Ordering::Relaxed) > BACKLOG {
            self.missed += 1;
            return;
        }
        if self.missed > 0 {
            self.outlet.send(self.side, Sight::Missed(std::mem::take(&mut self.missed)));
        }
        self.outlet.waiting.fetch_add(payload.len(), Ordering::Relaxed);
        self.outlet.send(self.side, Sight::Frame(payload));
    }

    /// The stream has ended.
    pub(super) fn end(self) {
        if self.missed > 0 {
            self.outlet.send(self.side, Sight::Missed(self.missed));
        }
        let torn = if self.is_lost { 0 } else { self.reader.pending().len() };
        self.outlet.send(self.side, Sight::End(torn));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::{Frame, map};
    use std::sync::mpsc::channel;

    #[test]
    fn frames_are_found_in_any_pieces_and_strays_are_told_once() {
        let frame = Frame::message("x", Some("1"), &map! { "b" => Bytes::from(vec![7; 100_000]) });
        let mut bytes = [frame.to_bytes(), frame.to_bytes()].concat();
        bytes.extend_from_slice(b"Traceback (most recent call last):\nTraceback");
        for step in [1, 1000, 1 << 20] {
            let (sights, seen) = channel();
            let outlet = Outlet { start: Instant::now(), sights, waiting: Arc::default() };
            let mut tap = Tap::new(Side::Worker, outlet, 1 << 20);
            bytes.chunks(step).for_each(|chunk| tap.feed(chunk));
            tap.end();
            let seen: Vec<Sight> = seen.iter().map(|seen| seen.sight).collect();
            assert!(
                matches!(&seen[..], [Sight::Frame(a), Sight::Frame(b), Sight::Stray(_, head), Sight::End(0)]
                    if *a == frame.to_payload() && a == b && head.starts_with(b"Trac")),
                "{seen:?}"
            );
        }
    }
}

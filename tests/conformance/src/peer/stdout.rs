//! Reading a worker's stdout on a thread of its own: bytes to frames, each with the time at which it was complete.

use std::io::Read;
use std::process::ChildStdout;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use millwork_protocol::Bytes;

/// A header above this is no length: text, read as one, always is.
const LARGEST: usize = 512 << 20;

/// So many bytes may wait to be looked at; then the worker has to wait too.
const MOST_WAITING: usize = 256 << 20;
/// What a frame costs beside its bytes.
const OVERHEAD: usize = 256;

/// Something that came, or ended.
#[derive(Debug)]
pub(crate) enum Event {
    /// One payload, complete at this time.
    Frame(Bytes, Instant),
    /// A line, where a header would claim more than any frame may hold. What comes after it is read as frames again.
    NoFrame(Bytes),
    /// The stream has ended; `cut` holds the first bytes of a frame that had begun.
    End { cut: Option<Bytes> },
    /// The process has ended. Frames may still be on their way.
    Exited,
}

impl Event {
    /// How many bytes it holds.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Frame(bytes, _) | Self::NoFrame(bytes) => bytes.len(),
            Self::End { .. } | Self::Exited => 0,
        }
    }
}

/// What other threads may want to know about the reading, and change.
#[derive(Debug, Default)]
pub(super) struct Reading {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    paused: bool,
    /// What frames that have come and were not looked at take.
    waiting: usize,
    first_byte: Option<Instant>,
    last_byte: Option<Instant>,
    /// The beginning of a frame that is not complete yet, header included, and how many bytes of it there are.
    pending: (Bytes, usize),
}

impl Reading {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pause(&self, paused: bool) {
        self.state().paused = paused;
        self.changed.notify_all();
    }

    /// When the first byte came.
    pub(super) fn first_byte(&self) -> Option<Instant> {
        self.state().first_byte
    }

    /// When the last byte so far came.
    pub(super) fn last_byte(&self) -> Option<Instant> {
        self.state().last_byte
    }

    /// The beginning of an unfinished frame, and how many bytes of it have come.
    pub(super) fn pending(&self) -> (Bytes, usize) {
        self.state().pending.clone()
    }

    fn pass(&self) {
        drop(self.changed.wait_while(self.state(), |state| state.paused || state.waiting > MOST_WAITING));
    }

    /// A frame of so many bytes has come, and waits.
    fn came(&self, len: usize) {
        self.state().waiting += len + OVERHEAD;
    }

    /// A frame of so many bytes was taken.
    pub(super) fn taken(&self, len: usize) {
        let mut state = self.state();
        let was_full = state.waiting > MOST_WAITING;
        state.waiting = state.waiting.saturating_sub(len + OVERHEAD);
        if was_full && state.waiting <= MOST_WAITING {
            self.changed.notify_all();
        }
    }

    /// Nobody takes anything any more: the rest is read and thrown away.
    pub(super) fn let_go(&self) {
        let mut state = self.state();
        (state.paused, state.waiting) = (false, 0);
        self.changed.notify_all();
    }
}

/// Reads until the end, or until nobody listens.
pub(super) fn read(mut stdout: ChildStdout, events: &Sender<Event>, reading: &Arc<Reading>) {
    let mut buffer = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        reading.pass();
        let n = match stdout.read(&mut chunk) {
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        if n == 0 {
            let rest = Bytes::from(head(&buffer));
            let text = is_text(&rest);
            if text {
                let _ = events.send(Event::NoFrame(rest.clone()));
            }
            let _ = events.send(Event::End { cut: (!text && !rest.is_empty()).then_some(rest) });
            return;
        }
        let now = Instant::now();
        let mut state = reading.state();
        state.first_byte.get_or_insert(now);
        state.last_byte = Some(now);
        drop(state);
        buffer.extend_from_slice(chunk.get(..n).unwrap_or_default());
        let mut at = 0;
        while let Some((event, len)) = next(buffer.get(at..).unwrap_or_default()) {
            at += len;
            reading.came(event.len());
            if events.send(event).is_err() {
                return;
            }
        }
        buffer.drain(..at).for_each(drop);
        reading.state().pending = (Bytes::from(head(&buffer)), buffer.len());
    }
}

/// The first thing that is complete, and how many bytes it has.
fn next(bytes: &[u8]) -> Option<(Event, usize)> {
    let (header, rest) = bytes.split_first_chunk::<4>()?;
    if is_text(bytes) {
        let line = bytes.split_inclusive(|byte| *byte == b'\n').next().filter(|line| line.ends_with(b"\n"))?;
        return Some((Event::NoFrame(Bytes::from(head(line))), line.len()));
    }
    let len = u32::from_be_bytes(*header) as usize;
    let payload = rest.get(..len)?;
    Some((Event::Frame(Bytes::copy_from_slice(payload), Instant::now()), 4 + len))
}

/// Whether this cannot be the beginning of a frame.
fn is_text(bytes: &[u8]) -> bool {
    bytes.first_chunk::<4>().is_some_and(|header| u32::from_be_bytes(*header) as usize > LARGEST)
}

fn head(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..256).unwrap_or(bytes).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_again_behind_a_line_of_text() {
        let bytes = b"\0\0\0\x01\x80Traceback:\n\0\0\0\x02\x81\xc0\0\0\0\x09cut";
        let mut at = 0;
        let mut found = Vec::new();
        while let Some((event, len)) = next(&bytes[at..]) {
            at += len;
            found.push(match event {
                Event::Frame(payload, _) => payload.to_vec(),
                Event::NoFrame(line) => line.to_vec(),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(found, [b"\x80".to_vec(), b"Traceback:\n".to_vec(), b"\x81\xc0".to_vec()]);
        assert_eq!(&bytes[at..], b"\0\0\0\x09cut");
    }
}

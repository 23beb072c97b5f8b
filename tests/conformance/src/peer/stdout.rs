//! Reading a worker's stdout on a thread of its own: bytes to frames, each with the time at which it was complete.

use std::io::Read;
use std::process::ChildStdout;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use millwork_protocol::{Bytes, FrameEvent, FrameReader};

/// A header above this is no length: text, read as one, always is.
const LARGEST: usize = 512 << 20;

/// Something that came, or ended.
#[derive(Debug)]
pub(crate) enum Event {
    /// One payload, complete at this time.
    Frame(Bytes, Instant),
    /// A header that claims more than any frame may hold. Nothing after it is read as frames.
    NoFrame { claimed: usize, head: Bytes },
    /// The stream has ended; `cut` holds the first bytes of a frame that had begun.
    End { cut: Option<Bytes> },
    /// The process has ended. Frames may still be on their way.
    Exited,
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
    first_byte: Option<Instant>,
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

    /// The beginning of an unfinished frame, and how many bytes of it have come.
    pub(super) fn pending(&self) -> (Bytes, usize) {
        self.state().pending.clone()
    }

    fn pass(&self) {
        drop(self.changed.wait_while(self.state(), |state| state.paused));
    }
}

/// Reads until the end, or until nobody listens.
pub(super) fn read(mut stdout: ChildStdout, events: &Sender<Event>, reading: &Arc<Reading>) {
    let mut reader = FrameReader::new(LARGEST);
    let mut chunk = vec![0; 64 << 10];
    let mut broken = false;
    loop {
        reading.pass();
        let n = match stdout.read(&mut chunk) {
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        if n == 0 {
            let (head, len) = reading.pending();
            let _ = events.send(Event::End { cut: (len > 0 && !broken).then_some(head) });
            return;
        }
        reading.state().first_byte.get_or_insert_with(Instant::now);
        if broken {
            continue;
        }
        for part in chunk.get(..n).unwrap_or_default().chunks(16 << 10) {
            reader.space().extend_from_slice(part);
            while let Some(event) = reader.next_event() {
                let event = match event {
                    FrameEvent::Frame(payload) => Event::Frame(payload, Instant::now()),
                    FrameEvent::Oversized { claimed, head, .. } => {
                        broken = true;
                        Event::NoFrame { claimed, head }
                    }
                    FrameEvent::NoMemory { len, head } => {
                        broken = true;
                        Event::NoFrame { claimed: len, head }
                    }
                };
                if events.send(event).is_err() {
                    return;
                }
                if broken {
                    break;
                }
            }
        }
        let pending = reader.pending();
        let head = Bytes::copy_from_slice(pending.get(..256).unwrap_or(pending));
        reading.state().pending = (head, pending.len());
    }
}

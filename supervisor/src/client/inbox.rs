//! Where the fleet's thread leaves what arrives for one request, and its caller picks it up. Bounded: a full inbox stops
//! the reading from that worker.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use millwork_protocol::message::{ErrorData, ErrorKind};
use millwork_protocol::{Bytes, Map};
use parking_lot::Mutex;

/// So many events, or so many bytes of them, make an inbox full.
const MAX_EVENTS: usize = 256;
const MAX_BYTES: usize = 16 << 20;
/// Progress that is not picked up is replaced by later progress only from here on, so that a prompt reader sees it all.
const COALESCE_FROM: usize = 16;

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Terminal {
    /// A worker's terminal frame.
    Payload(Bytes),
    /// A result that the supervisor put together.
    Result(Map),
    /// An error that the supervisor found.
    Error(ErrorData),
}

impl Terminal {
    pub(crate) fn stopped() -> Self {
        Self::Error(ErrorData::new(ErrorKind::Unavailable, "the supervisor has been shut down"))
    }
}

/// What one look into the inbox finds.
#[derive(Debug)]
pub(super) enum Item {
    Event(Bytes),
    End(Terminal),
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<(Bytes, bool)>,
    bytes: usize,
    terminal: Option<Terminal>,
    ended: bool,
    waker: Option<Waker>,
    /// The fleet has seen it full and waits for room.
    blocked: bool,
    /// Nobody will pick anything up any more.
    closed: bool,
}

impl State {
    fn is_full(&self) -> bool {
        self.events.len() >= MAX_EVENTS || self.bytes >= MAX_BYTES
    }
}

impl Inbox {
    /// Adds a frame that does not end the request.
    pub(crate) fn push(&self, payload: Bytes, is_progress: bool) {
        let waker = {
            let mut state = self.state.lock();
            // What comes before its cancel has taken effect would fill it again, and hold up the worker for nobody.
            if state.closed {
                return;
            }
            let is_late = is_progress && state.events.len() >= COALESCE_FROM;
            let replaced = state.events.back().filter(|(_, progress)| is_late && *progress).map(|(old, _)| old.len());
            if let Some(len) = replaced {
                state.events.pop_back();
                state.bytes -= len;
            }
            state.bytes += payload.len();
            state.events.push_back((payload, is_progress));
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Ends the request. Only the first end counts.
    pub(crate) fn end(&self, terminal: Terminal) {
        let waker = {
            let mut state = self.state.lock();
            if state.ended {
                return;
            }
            state.ended = true;
            state.terminal = Some(terminal);
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Whether there is no room; if so, its reader will say when there is.
    pub(crate) fn is_blocked(&self) -> bool {
        let mut state = self.state.lock();
        state.blocked = state.is_full();
        state.blocked
    }

    /// The next item, and whether the fleet must be told that there is room again. Nothing comes after the end.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<(Option<Item>, bool)> {
        let mut state = self.state.lock();
        let item = match state.events.pop_front() {
            Some((payload, _)) => {
                state.bytes -= payload.len();
                Some(Item::Event(payload))
            }
            None if state.ended => state.terminal.take().map(Item::End),
            None => {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        Poll::Ready((item, std::mem::take(&mut state.blocked)))
    }

    /// Throws away what is there and what still comes, and frees a blocked fleet; true where it must be told.
    pub(super) fn close(&self) -> bool {
        let mut state = self.state.lock();
        state.closed = true;
        state.events.clear();
        state.bytes = 0;
        std::mem::take(&mut state.blocked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(inbox: &Inbox) -> Poll<(Option<Item>, bool)> {
        inbox.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_inbox_says_when_there_is_room() {
        let inbox = Inbox::default();
        for _ in 0..MAX_EVENTS {
            assert!(!inbox.is_blocked());
            inbox.push(Bytes::from_static(b"x"), false);
        }
        assert!(inbox.is_blocked());
        assert!(matches!(poll(&inbox), Poll::Ready((Some(Item::Event(_)), true))));
        assert!(matches!(poll(&inbox), Poll::Ready((Some(Item::Event(_)), false))));
        assert!(!inbox.close());
    }

    #[test]
    fn an_inbox_that_was_left_never_fills() {
        let inbox = Inbox::default();
        let fill = || (0..MAX_EVENTS).for_each(|_| inbox.push(Bytes::from_static(b"x"), false));
        fill();
        assert!(inbox.is_blocked() && inbox.close());
        fill();
        assert!(!inbox.is_blocked());
    }

    #[test]
    fn late_progress_replaces_progress_and_nothing_else() {
        let inbox = Inbox::default();
        (0..COALESCE_FROM).for_each(|_| inbox.push(Bytes::from_static(b"chunk"), false));
        inbox.push(Bytes::from_static(b"1"), true);
        inbox.push(Bytes::from_static(b"2"), true);
        inbox.push(Bytes::from_static(b"chunk"), false);
        inbox.push(Bytes::from_static(b"3"), true);
        inbox.end(Terminal::stopped());
        inbox.end(Terminal::Result(Map::new()));
        let mut seen = Vec::new();
        while let Poll::Ready((Some(Item::Event(payload)), _)) = poll(&inbox) {
            seen.push(payload);
        }
        assert_eq!(seen[COALESCE_FROM..], ["2", "chunk", "3"]);
        assert!(matches!(poll(&inbox), Poll::Ready((None, _))));
    }
}

//! The requests that have no terminal frame yet, by id. What they do is not known here.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::responder::Voice;
use crate::{CancelToken, Error};

/// Requests in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    requests: Mutex<Requests>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Requests {
    by_id: HashMap<String, (CancelToken, Voice)>,
    /// Requests without an id can only be counted.
    nameless: usize,
    /// Requests that have let their ids go, but whose terminal frames are not in the queue yet.
    ending: usize,
    /// No more requests will come.
    closed: bool,
}

impl Requests {
    fn are_over(&self) -> bool {
        self.by_id.is_empty() && self.nameless == 0 && self.ending == 0
    }
}

impl InFlight {
    /// Takes a request in; false where its id is in flight already.
    pub(crate) fn insert(&self, voice: &Voice, cancel: &CancelToken) -> bool {
        let mut requests = self.requests.lock();
        match voice.id() {
            None => requests.nameless += 1,
            Some(id) if requests.by_id.contains_key(id) => return false,
            Some(id) => {
                requests.by_id.insert(id.to_owned(), (cancel.clone(), voice.clone()));
            }
        }
        true
    }

    /// Lets a request's id go. It still counts as under way until [`InFlight::ended`].
    pub(crate) fn release(&self, id: Option<&str>) {
        let mut requests = self.requests.lock();
        match id {
            Some(id) => drop(requests.by_id.remove(id)),
            None => requests.nameless = requests.nameless.saturating_sub(1),
        }
        requests.ending += 1;
    }

    /// Says that the terminal frame of a released request is on its way: a worker that ends now loses nothing of it.
    pub(crate) fn ended(&self) {
        let mut requests = self.requests.lock();
        requests.ending = requests.ending.saturating_sub(1);
        if requests.closed {
            self.ended.notify_all();
        }
    }

    /// Cancels one request; an unknown id is nobody's.
    pub(crate) fn cancel(&self, id: &str) {
        if let Some((token, _)) = self.requests.lock().by_id.get(id) {
            token.cancel();
        }
    }

    /// Cancels every request.
    pub(crate) fn cancel_all(&self) {
        self.requests.lock().by_id.values().for_each(|(token, _)| token.cancel());
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let requests = self.requests.lock();
        requests.by_id.len() + requests.nameless
    }

    /// Says that no more requests will come.
    pub(crate) fn close(&self) {
        self.requests.lock().closed = true;
        self.ended.notify_all();
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.lock().are_over()
    }

    /// Waits until no more will come and all have ended; false where the time came first.
    pub(crate) fn wait_for_end(&self, deadline: Instant) -> bool {
        let mut requests = self.requests.lock();
        while !(requests.closed && requests.are_over()) {
            if self.ended.wait_until(&mut requests, deadline).timed_out() {
                return false;
            }
        }
        true
    }

    /// Ends every request that is left with the same error.
    pub(crate) fn fail_all(&self, error: &Error) {
        let left: Vec<Voice> = self.requests.lock().by_id.drain().map(|(_, (_, voice))| voice).collect();
        left.iter().for_each(|voice| voice.fail(error));
    }
}

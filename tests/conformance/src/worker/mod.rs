//! A worker as a check sees it: requests out, answers in, each under its id, with the rules for all frames watched on the way.

mod inbox;

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use millwork_protocol::{Bytes, Envelope, Frame, Map, Value, map};
use nix::sys::signal::Signal;

use crate::check::{Outcome, ensure, fail, not_applicable};
use crate::message::{Message, shorten};
use crate::peer::{Peer, Process, exit_text};
use crate::session::Session;
use crate::transcript::Direction;

/// So many frames are kept that nobody has asked for yet. Of a flood the rest is dropped, the ends of requests excepted.
const MOST_KEPT: usize = 1 << 16;

/// How long a look at what has come already may take.
const FLOOD: Duration = Duration::from_millis(200);

/// A request that was sent.
#[derive(Debug)]
struct Sent {
    /// Its type; unknown where the payload was made by hand.
    kind: Option<String>,
    ended: bool,
}

/// A running worker in the hands of a check. What the process can do, such as [`Peer::stderr`] and [`Peer::signal`], can be asked
/// of it too.
#[derive(Debug)]
pub struct Worker {
    peer: Peer,
    session: Session,
    sent: HashMap<String, Sent>,
    inbox: VecDeque<Message>,
    /// Why no more frames will come.
    over: Option<String>,
    /// The first bytes on stdout that are no frame.
    stray: Option<Bytes>,
    next_id: u32,
    any_id: bool,
    /// Something was sent that can only be answered under nil.
    without_id: bool,
}

impl Deref for Worker {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl Worker {
    pub(crate) fn new(peer: Peer, session: Session) -> Self {
        Self {
            peer,
            session,
            sent: HashMap::new(),
            inbox: VecDeque::new(),
            over: None,
            stray: None,
            next_id: 0,
            any_id: false,
            without_id: false,
        }
    }

    /// What all checks share: times, and other workers.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The protocol version that it is held to.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.session.facts().map_or(1, |facts| facts.version)
    }

    /// The metadata of a node that it has to have for this check.
    ///
    /// # Errors
    /// "Not applicable" where it has none.
    pub fn node(&self, node_type: &str) -> Outcome<Map> {
        self.session.node(node_type).cloned()
    }

    /// Waits for the READY line.
    ///
    /// # Errors
    /// Where it does not come.
    pub fn await_ready(&self) -> Outcome {
        if self.session.facts().is_some_and(|facts| !facts.says_ready) {
            return Ok(());
        }
        let limit = self.session.start_limit();
        ensure!(
            self.peer.wait_ready(limit),
            "no line {} on stderr within {} s", millwork_protocol::READY_LINE, limit.as_secs_f64();
            "It ended or hangs while it starts. Its stderr ends with: {}", self.stderr_tail()
        );
        Ok(())
    }

    /// A request of this type is answered, as far as is known. What never is fails its own requirement, and not every other
    /// one that makes use of it.
    ///
    /// # Errors
    /// "Not applicable" where it was asked once, alone, and left out.
    pub fn answers(&self, kind: &str) -> Outcome {
        let unanswered = self.session.facts().map(|facts| facts.unanswered.as_slice()).unwrap_or_default();
        match unanswered.iter().find(|plain| plain.kind == kind) {
            Some(plain) if plain.owner != self.session.current() => {
                Err(not_applicable(format!("it takes an answer to {kind}, which never comes: see {}", plain.owner)))
            }
            _ => Ok(()),
        }
    }

    // --- sending ---

    /// Sends a request under a new id, which it returns.
    pub fn send(&mut self, kind: &str, data: Map) -> String {
        self.next_id += 1;
        let id = format!("{}/{}", self.session.current().to_lowercase(), self.next_id);
        self.send_as(kind, &id, data);
        id
    }

    /// Sends a request under this id.
    pub fn send_as(&mut self, kind: &str, id: &str, data: Map) {
        self.sent.insert(id.to_owned(), Sent { kind: Some(kind.to_owned()), ended: false });
        self.write(Frame::message(kind, Some(id), &data).to_bytes());
    }

    /// Sends `cancel` for a request.
    pub fn cancel(&self, id: &str) {
        self.write(Frame::message("cancel", Some(id), &Map::new()).to_bytes());
    }

    /// Sends a payload as it is, with its length before it. An id that can be read in it counts as sent.
    pub fn send_payload(&mut self, payload: impl Into<Bytes>) {
        let payload = payload.into();
        if let Ok(Envelope { kind, request_id: Some(id), .. }) = Envelope::peek(&payload) {
            self.sent.insert(id.to_owned(), Sent { kind: kind.map(str::to_owned), ended: false });
        }
        // A payload by hand may have an id that cannot be read.
        self.without_id = true;
        self.write(Frame::forward(payload).to_bytes());
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: impl Into<Bytes>) {
        self.without_id = true;
        self.write(bytes.into());
    }

    /// Takes an id as sent, where it stands in bytes that cannot be read.
    pub fn expect_id(&mut self, id: &str) {
        self.sent.insert(id.to_owned(), Sent { kind: None, ended: false });
    }

    /// The same where it is known what the bytes ask for.
    pub fn expect_request(&mut self, kind: &str, id: &str) {
        self.sent.insert(id.to_owned(), Sent { kind: Some(kind.to_owned()), ended: false });
    }

    /// From now on frames under any id are taken: for when broken bytes may hold any.
    pub fn expect_any_id(&mut self) {
        self.any_id = true;
    }

    fn write(&self, bytes: Bytes) {
        self.session.record(|transcript| transcript.bytes(Instant::now(), Direction::Sent, &bytes));
        self.peer.write(bytes);
    }

    /// Closes its stdin as soon as it has taken everything.
    pub fn close_stdin(&mut self) {
        self.session.note("stdin is closed");
        self.peer.close_stdin();
    }

    // --- receiving ---

    /// The next frame, whosever it is; nothing where none comes in this time, or ever again.
    pub fn try_next(&mut self, limit: Duration) -> Option<Message> {
        self.inbox.pop_front().or_else(|| self.pump(limit))
    }

    /// The next frame, whosever it is.
    ///
    /// # Errors
    /// Where none comes.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not say why there is no next frame")]
    pub fn next(&mut self) -> Outcome<Message> {
        self.next_where("a frame", |_| true)
    }

    /// The next frame of a request.
    ///
    /// # Errors
    /// Where none comes.
    pub fn next_of(&mut self, id: &str) -> Outcome<Message> {
        self.may_come(id)?;
        self.next_where(&format!("a frame for {id:?}"), |message| message.id.as_deref() == Some(id))
    }

    /// The next frame without an id.
    ///
    /// # Errors
    /// Where none comes.
    pub fn next_without_id(&mut self) -> Outcome<Message> {
        self.next_where("a frame with nil as its id", |message| message.id.is_none())
    }

    /// The frame that ends a request; what comes before it is passed over.
    ///
    /// # Errors
    /// Where none comes.
    pub fn terminal(&mut self, id: &str) -> Outcome<Message> {
        self.may_come(id)?;
        let is_it = |message: &Message| message.id.as_deref() == Some(id) && message.is_terminal();
        let end = self.next_where(&format!("the terminal frame of {id:?}"), is_it)?;
        self.inbox.retain(|message| message.id.as_deref() != Some(id));
        Ok(end)
    }

    /// Every frame of a request; the last is the terminal one.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn frames(&mut self, id: &str) -> Outcome<Vec<Message>> {
        let mut all = Vec::new();
        loop {
            let message = self.next_of(id)?;
            let done = message.is_terminal();
            all.push(message);
            if done {
                return Ok(all);
            }
        }
    }

    /// Sends a request and waits for the frame that ends it.
    ///
    /// # Errors
    /// Where none comes.
    pub fn call(&mut self, kind: &str, data: Map) -> Outcome<Message> {
        let id = self.send(kind, data);
        self.terminal(&id)
    }

    /// Runs a node with these fields and waits for the frame that ends it.
    ///
    /// # Errors
    /// Where none comes.
    pub fn execute(&mut self, node_type: &str, fields: Map) -> Outcome<Message> {
        self.call("execute", map! { "node_type" => node_type, "fields" => fields })
    }

    /// Asks for the plainest thing there is: it still serves.
    ///
    /// # Errors
    /// Where it does not.
    pub fn is_well(&mut self) -> Outcome {
        let answer = self.call("worker.status", map! {}).map_err(|stop| {
            stop.reworded(|what| format!("it no longer serves: after this, a plain worker.status fails: {what}"))
        })?;
        answer.expect_kind("result").map(|_| ())
    }

    /// Takes what comes in this time and hands it over: for showing that nothing comes.
    pub fn listen(&mut self, time: Duration) -> Vec<Message> {
        let end = Instant::now() + time;
        let mut all: Vec<Message> = self.inbox.drain(..).collect();
        while let Some(message) = self.pump(end.saturating_duration_since(Instant::now())) {
            if all.len() < MOST_KEPT || message.is_terminal() {
                all.push(message);
            }
            // One that never stops must not keep the suite for ever.
            if Instant::now() >= end {
                break;
            }
        }
        all
    }

    /// Every frame until stdout ends.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub fn rest(&mut self) -> Outcome<Vec<Message>> {
        let limit = self.session.patience_for_the_end().min(self.session.time_left());
        let all = self.listen(limit);
        ensure!(self.over.is_some(), "stdout has not ended within {:.1} s", limit.as_secs_f64());
        Ok(all)
    }

    /// How it ended.
    ///
    /// # Errors
    /// Where it has not within `limit`.
    pub fn exit(&mut self, limit: Duration) -> Outcome<ExitStatus> {
        let limit = limit.min(self.session.time_left());
        let (status, _) = self
            .peer
            .wait_exit(limit)
            .ok_or_else(|| fail(format!("it still runs after {:.1} s", limit.as_secs_f64())))?;
        self.session.note(format!("it ended: {}", exit_text(status)));
        Ok(status)
    }

    /// The living processes that it has started.
    #[must_use]
    pub fn leftovers(&self) -> Vec<Process> {
        self.peer.others()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.session.note(format!("{signal} is sent"));
        self.peer.signal(signal);
    }

    /// Whether it has gone before it was ready.
    pub(crate) fn ended_early(&self) -> bool {
        self.peer.ready().is_empty() && self.peer.wait_exit(Duration::ZERO).is_some()
    }

    /// The first bytes of stdout that are no frame, as text.
    pub(crate) fn stdout_head(&self) -> String {
        let (head, _) = self.peer.unfinished();
        String::from_utf8_lossy(self.stray.as_ref().unwrap_or(&head)).into_owned()
    }

    /// Whether it sends requests back, as `cat` does.
    pub(crate) fn sends_back(&mut self) -> bool {
        while let Some(message) = self.pump(Duration::ZERO) {
            self.inbox.push_back(message);
            if self.inbox.len() > MOST_KEPT {
                break;
            }
        }
        self.inbox.iter().any(|message| message.kind == "discover" && message.data.is_empty())
    }

    /// Whether every request that was sent has its end, so that the next check can use this worker.
    pub(crate) fn is_settled(&self) -> bool {
        self.over.is_none() && !self.any_id && self.sent.values().all(|sent| sent.ended)
    }

    /// Takes what has come already, for the transcript.
    pub(crate) fn settle(&mut self) {
        let end = Instant::now() + self.session.seconds(1.0);
        while self.pump(Duration::ZERO).is_some() && Instant::now() < end {}
        self.inbox.clear();
        self.without_id = false;
    }

    /// The last lines of its stderr.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        let text = self.peer.stderr();
        // Without the marks that an interpreter puts below its lines.
        let lines = text.lines().filter(|line| !line.trim_matches([' ', '\t', '^', '~']).is_empty());
        let tail: Vec<&str> = lines.rev().take(3).collect::<Vec<_>>().into_iter().rev().collect();
        if tail.is_empty() { "(nothing)".to_owned() } else { format!("\n{}", shorten(&tail.join("\n"), 600)) }
    }

    /// What comes for this id, if it is known to come at all.
    fn may_come(&self, id: &str) -> Outcome {
        self.sent.get(id).and_then(|sent| sent.kind.as_deref()).map_or(Ok(()), |kind| self.answers(kind))
    }
}

/// The value as a whole number of a map's key, or nothing.
#[must_use]
pub fn whole(map: &Map, key: &str) -> Option<i64> {
    map.get(key).and_then(Value::as_i64)
}

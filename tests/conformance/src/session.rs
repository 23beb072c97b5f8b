//! What all checks of one run share: the command, what is known about the worker, and what was seen.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use millwork_protocol::{Map, Value};

use crate::check::{Outcome, fail, not_applicable};
use crate::peer::Launch;
use crate::transcript::{Exchange, Transcript};
use crate::worker::Worker;

/// How long a worker may take for one answer before it counts as missing, unscaled.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The same for one that has left out some answers already: what is half built should not take an hour to judge. Checks have
/// workers sleep for a second, which is no silence.
const SHORTER: Duration = Duration::from_secs(2);
/// So many.
const SILENCES: u32 = 3;
/// How long a worker may take to end, at least.
const END: Duration = Duration::from_secs(5);
/// A host kills a worker that is not ready by then.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A request that other checks use as the plainest thing to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    /// Its type.
    pub kind: &'static str,
    /// The requirement that it is answered.
    pub owner: &'static str,
}

/// What a worker is asked before any check.
pub(crate) const PROBES: [Plain; 3] = [
    Plain { kind: "discover", owner: "DIS-001" },
    Plain { kind: "worker.status", owner: "STA-001" },
    Plain { kind: "provider.list", owner: "PRV-001" },
];

/// What a worker says about itself, asked once.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The protocol version that it is held to.
    pub version: u32,
    /// The metadata of its nodes.
    pub nodes: Vec<Map>,
    /// Its status.
    pub status: Map,
    /// The entries of `provider.list`.
    pub providers: Vec<Map>,
    /// Whether it says that it is ready: one that does not is checked all the same.
    pub says_ready: bool,
    /// The plain requests that it left out when it was asked nothing else.
    pub unanswered: Vec<Plain>,
}

/// A rule for all frames that one of them broke.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) what: String,
    /// The check that was running.
    pub(crate) during: String,
    pub(crate) evidence: Vec<Exchange>,
}

#[derive(Debug)]
struct Shared {
    launch: Launch,
    scale: f64,
    begun: Instant,
    facts: OnceCell<Facts>,
    current: RefCell<String>,
    deadline: Cell<Instant>,
    silences: Cell<u32>,
    transcript: RefCell<Transcript>,
    violations: RefCell<Vec<Violation>>,
}

/// What all checks of one run share. Cloning it gives the same one.
#[derive(Debug, Clone)]
pub struct Session(Rc<Shared>);

impl Session {
    /// A run of this command, with every limit multiplied by `scale`.
    #[must_use]
    pub fn new(launch: Launch, scale: f64) -> Self {
        Self(Rc::new(Shared {
            launch,
            scale,
            begun: Instant::now(),
            facts: OnceCell::new(),
            current: RefCell::default(),
            deadline: Cell::new(Instant::now() + START_LIMIT.mul_f64(scale.max(0.1) * 2.0)),
            silences: Cell::new(0),
            transcript: RefCell::default(),
            violations: RefCell::default(),
        }))
    }

    /// The command as it was given.
    #[must_use]
    pub fn launch(&self) -> Launch {
        self.0.launch.clone()
    }

    /// When this run began, the start of the worker that is asked about itself included.
    pub(crate) fn begun(&self) -> Instant {
        self.0.begun
    }

    /// A time, scaled as the user wants.
    #[must_use]
    pub fn seconds(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.0.scale)
    }

    /// How long one answer may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let patience = if self.0.silences.get() < SILENCES { PATIENCE } else { SHORTER };
        patience.mul_f64(self.0.scale)
    }

    /// How long a worker may take to finish what it has, and end.
    #[must_use]
    pub fn patience_for_the_end(&self) -> Duration {
        self.patience().max(END.mul_f64(self.0.scale))
    }

    /// An answer that was due did not come in all that time.
    pub(crate) fn silence(&self) {
        self.0.silences.set(self.0.silences.get() + 1);
    }

    /// How long a worker may take until it is ready.
    #[must_use]
    pub fn start_limit(&self) -> Duration {
        START_LIMIT.mul_f64(self.0.scale)
    }

    /// What is left of the time of this check.
    pub(crate) fn time_left(&self) -> Duration {
        self.0.deadline.get().saturating_duration_since(Instant::now())
    }

    /// What the worker said about itself; nothing while it is being asked.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.0.facts.get()
    }

    pub(crate) fn set_facts(&self, facts: Facts) {
        let _ = self.0.facts.set(facts);
    }

    /// A check begins: its transcript is empty, and it has this much time.
    pub(crate) fn begin(&self, id: &str, limit: Duration) {
        *self.0.current.borrow_mut() = id.to_owned();
        *self.0.transcript.borrow_mut() = Transcript::default();
        self.0.deadline.set(Instant::now() + limit.mul_f64(self.0.scale));
    }

    /// The id of the check that is running.
    pub(crate) fn current(&self) -> String {
        self.0.current.borrow().clone()
    }

    pub(crate) fn record(&self, record: impl FnOnce(&mut Transcript)) {
        record(&mut self.0.transcript.borrow_mut());
    }

    /// Adds a remark to the story of this check.
    pub fn note(&self, note: impl Into<String>) {
        self.record(|transcript| transcript.note(note));
    }

    pub(crate) fn evidence(&self) -> Vec<Exchange> {
        self.0.transcript.borrow().show()
    }

    /// A frame broke a rule that holds for all: this fails that rule's requirement, not the check that is running.
    pub(crate) fn violated(&self, rule: &'static str, what: impl Into<String>) {
        // A flood of the same is told once a check.
        let during = self.current();
        if self.0.violations.borrow().iter().any(|known| known.rule == rule && known.during == during) {
            return;
        }
        let what = what.into();
        self.note(format!("breaks {rule}: {what}"));
        let evidence = self.evidence();
        self.0.violations.borrow_mut().push(Violation { rule, what, during, evidence });
    }

    /// Those so far are somebody else's.
    pub(crate) fn forget_violations(&self) {
        self.0.violations.borrow_mut().clear();
    }

    /// Every violation of every rule, the first ones first.
    pub(crate) fn all_violations(&self) -> Vec<Violation> {
        self.0.violations.borrow().clone()
    }

    /// The violations of one rule, the first ones first.
    pub(crate) fn violations(&self, rule: &str) -> Vec<Violation> {
        self.0.violations.borrow().iter().filter(|violation| violation.rule == rule).cloned().collect()
    }

    /// Starts the command, and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub fn start(&self) -> Outcome<Worker> {
        self.start_with(|launch| launch)
    }

    /// The same with a change to the command, such as a variable in its environment.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub fn start_with(&self, change: impl FnOnce(Launch) -> Launch) -> Outcome<Worker> {
        let worker = self.spawn_with(change)?;
        worker.await_ready()?;
        Ok(worker)
    }

    /// Starts the command with a change to it, and waits for nothing.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn spawn_with(&self, change: impl FnOnce(Launch) -> Launch) -> Outcome<Worker> {
        let peer = change(self.launch()).start().map_err(|error| fail(format!("it cannot be started: {error}")))?;
        Ok(Worker::new(peer, self.clone()))
    }

    /// The metadata of a node that the worker has to have for this check.
    ///
    /// # Errors
    /// "Not applicable" where it has none.
    pub fn node(&self, node_type: &str) -> Outcome<&Map> {
        let nodes = self.facts().map(|facts| facts.nodes.as_slice()).unwrap_or_default();
        let found = nodes.iter().find(|node| node.get("node_type").and_then(Value::as_str) == Some(node_type));
        found.ok_or_else(|| not_applicable(format!("the worker has no node {node_type}")))
    }
}

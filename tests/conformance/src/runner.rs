//! Runs the checks against one command and says how each went. What is printed, and with which exit code, is not decided here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use millwork_protocol::{Map, PROTOCOL_VERSION, Value};
use serde::Serialize;

use crate::check::{Check, Failure, Outcome, Run, Stop};
use crate::checks;
use crate::diagnose::{self, NoWorker, Start};
use crate::message::Message;
use crate::peer::Launch;
use crate::requirement::{self, Level, Requirement};
use crate::session::{Facts, PATIENCE, PROBES, Session, Violation};
use crate::transcript::Exchange;
use crate::worker::Worker;

/// What to run, and how patiently.
#[derive(Debug, Clone)]
pub struct Options {
    /// The worker: a program and its arguments.
    pub launch: Launch,
    /// The protocol version to hold it to; else what it reports.
    pub protocol: Option<u32>,
    /// Ids, beginnings of ids or areas; nothing means all.
    pub only: Vec<String>,
    /// The same, to be left out.
    pub skip: Vec<String>,
    /// Every limit is multiplied by this.
    pub timeout_scale: f64,
    /// How many checks run side by side, each with workers of its own.
    pub jobs: usize,
}

/// How one requirement fares.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It is met.
    Pass,
    /// A must that is not met.
    Fail(Story),
    /// A should that is not met.
    Warn(Story),
    /// It cannot be checked with this worker.
    NotApplicable {
        /// Why not.
        reason: String,
    },
}

/// In which way a requirement is not met.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Story {
    /// What was seen.
    pub what: String,
    /// The likely cause.
    pub cause: Option<String>,
    /// The check that was running, where it is not the requirement's own.
    pub during: Option<String>,
    /// What was sent and what came.
    pub evidence: Vec<Exchange>,
}

/// One requirement and how it fares.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// The requirement.
    #[serde(skip)]
    pub requirement: &'static Requirement,
    /// How it fares.
    pub verdict: Verdict,
    /// How long its check took.
    pub elapsed: Duration,
}

/// How a worker fares.
#[derive(Debug, Clone)]
pub struct Report {
    /// The command as one would type it.
    pub command: String,
    /// The protocol version that it was held to.
    pub protocol: u32,
    /// The requirements in the order of the areas.
    pub judged: Vec<Judged>,
    /// How long it all took, the first start of the worker included.
    pub elapsed: Duration,
}

impl Report {
    /// The musts that are not met.
    pub fn failures(&self) -> impl Iterator<Item = &Judged> {
        self.judged.iter().filter(|judged| matches!(judged.verdict, Verdict::Fail(_)))
    }
}

/// Whether one of these patterns names the requirement: its id, the beginning of it, or its area.
#[must_use]
pub fn matches(patterns: &[String], requirement: &Requirement) -> bool {
    patterns.iter().any(|pattern| requirement.id.starts_with(&pattern.to_uppercase()))
}

/// Starts the command and asks it about itself.
///
/// # Errors
/// Where the command is no worker.
pub fn open(options: &Options) -> Result<Session, NoWorker> {
    let session = Session::new(options.launch.clone(), options.timeout_scale);
    let facts = probe(&session, options.protocol)?;
    session.set_facts(facts);
    Ok(session)
}

/// Runs what `options` asks for, in as many lanes as it says. `progress` is told each requirement when its check has ended,
/// and how many there are.
pub fn run(session: &Session, options: &Options, progress: &mut dyn FnMut(&Requirement, usize)) -> Report {
    let facts = session.facts().cloned().unwrap_or_default();
    let protocol = facts.version;
    let due: Vec<(&Requirement, &Check)> = checks::in_order()
        .filter(|(requirement, _)| requirement.since <= protocol)
        .filter(|(requirement, _)| options.only.is_empty() || matches(&options.only, requirement))
        .filter(|(requirement, _)| !matches(&options.skip, requirement))
        .collect();
    let mut judged: Vec<Option<Judged>> = due.iter().map(|_| None).collect();
    let mut violations = Vec::new();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (results, inlet) = mpsc::channel();
        let lanes: Vec<_> = (0..options.jobs.clamp(1, due.len().max(1)))
            .map(|_| (results.clone(), facts.clone()))
            .map(|(results, facts)| scope.spawn(|| lane(options, facts, &due, &next, results)))
            .collect();
        drop(results);
        for (at, one) in inlet {
            progress(one.requirement, due.len());
            judged[at] = Some(one);
        }
        violations.extend(lanes.into_iter().filter_map(|lane| lane.join().ok()).flatten());
    });
    let mut judged: Vec<Judged> = judged.into_iter().flatten().collect();
    // A rule for all frames is judged by what was seen during every check, also the later ones.
    violations.sort_by_key(|violation| due.iter().position(|(_, check)| check.id == violation.during));
    for one in &mut judged {
        if let Some(violation) = violations.iter().find(|violation| violation.rule == one.requirement.id) {
            let violation = violation.clone();
            let during = (violation.during != one.requirement.id).then_some(violation.during);
            let story = Story { what: violation.what, cause: None, during, evidence: violation.evidence };
            one.verdict = broken(one.requirement, story);
        }
    }
    Report { command: options.launch.text(), protocol, judged, elapsed: session.begun().elapsed() }
}

/// Takes one check after the other until none is left, with workers of its own; gives the violations that it saw.
fn lane(
    options: &Options,
    facts: Facts,
    due: &[(&'static Requirement, &Check)],
    next: &AtomicUsize,
    results: mpsc::Sender<(usize, Judged)>,
) -> Vec<Violation> {
    let session = Session::new(options.launch.clone(), options.timeout_scale);
    session.set_facts(facts);
    let mut shared = None;
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some((requirement, check)) = due.get(at) else { break };
        let start = Instant::now();
        session.begin(check.id, check.limit);
        let outcome = run_one(&session, check, &mut shared);
        let verdict = verdict(requirement, outcome, &session);
        // Whoever does not listen any more does not want the rest either.
        if results.send((at, Judged { requirement, verdict, elapsed: start.elapsed() })).is_err() {
            break;
        }
    }
    drop(shared);
    session.all_violations()
}

fn run_one(session: &Session, check: &Check, shared: &mut Option<Worker>) -> Outcome {
    let outcome = match check.run {
        Run::Launch(run) => return run(session),
        Run::Fresh(run) => {
            let mut worker = session.start()?;
            let outcome = run(&mut worker);
            worker.settle();
            return outcome;
        }
        Run::Shared(run) | Run::Standing(run) => {
            let mut worker = match shared.take() {
                Some(worker) => worker,
                None => session.start()?,
            };
            let outcome = run(&mut worker);
            worker.settle();
            // After a failure, or with something under way, the next check must not pay for this one.
            if !matches!(outcome, Err(Stop::Fail(_))) && worker.is_settled() {
                *shared = Some(worker);
            }
            outcome
        }
    };
    match (check.run, outcome) {
        // What a standing rule's own traffic does is other requirements' business.
        (Run::Standing(_), Err(Stop::Fail(_))) => Ok(()),
        (_, outcome) => outcome,
    }
}

fn verdict(requirement: &Requirement, outcome: Outcome, session: &Session) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Pass,
        Err(Stop::NotApplicable(reason)) => Verdict::NotApplicable { reason },
        Err(Stop::Fail(Failure { what, cause })) => {
            broken(requirement, Story { what, cause, during: None, evidence: session.evidence() })
        }
    }
}

fn broken(requirement: &Requirement, story: Story) -> Verdict {
    match requirement.level {
        Level::Must => Verdict::Fail(story),
        Level::Should => Verdict::Warn(story),
    }
}

/// Starts the worker and asks it about itself. What it answers wrongly is for the checks; here it only has to be a worker.
fn probe(session: &Session, protocol: Option<u32>) -> Result<Facts, NoWorker> {
    let command = session.launch().text();
    session.begin("probe", session.start_limit() * 2);
    let mut worker = match session.launch().start() {
        Ok(peer) => Worker::new(peer, session.clone()),
        Err(error) => return Err(NoWorker::not_started(&command, &error)),
    };
    // Frames that are sent early wait in the pipe: one that never says READY may still be a worker.
    let [plain_discover, others @ ..] = PROBES;
    let discover = worker.send(plain_discover.kind, Map::new());
    let start = diagnose::await_start(&mut worker, session);
    if matches!(start, Start::Foreign | Start::Silent) || worker.ended_early() {
        return Err(diagnose::diagnose(&command, &mut worker, session));
    }
    // One after the other: what comes of several at once is for the checks.
    let mut unanswered = Vec::new();
    let mut note = |plain, answer: Outcome<Message>| match answer {
        Ok(answer) => answer.data,
        Err(_) => {
            unanswered.push(plain);
            Map::new()
        }
    };
    session.begin("probe", PATIENCE);
    let discover = note(plain_discover, worker.terminal(&discover));
    let [status, providers] = others.map(|plain| {
        session.begin("probe", PATIENCE);
        note(plain, worker.call(plain.kind, Map::new()))
    });
    let says_ready = start == Start::Ready;
    if !discover.contains_key("nodes") && !says_ready {
        return Err(diagnose::diagnose(&command, &mut worker, session));
    }
    // A worker that reports none is one of version 1; one that reports a newer one keeps what it promised before.
    let reported =
        discover.get("protocol_version").and_then(Value::as_i64).and_then(|version| u32::try_from(version).ok());
    let version = protocol.or(reported).unwrap_or(1).clamp(1, PROTOCOL_VERSION);
    let (nodes, providers) = (maps(&discover, "nodes"), maps(&providers, "providers"));
    Ok(Facts { version, nodes, status, providers, says_ready, unanswered })
}

fn maps(data: &Map, key: &str) -> Vec<Map> {
    let items = data.get(key).and_then(Value::as_list).unwrap_or_default();
    items.iter().filter_map(Value::as_map).cloned().collect()
}

/// Every requirement, for who only wants to read them.
#[must_use]
pub fn requirements() -> &'static [Requirement] {
    requirement::all()
}

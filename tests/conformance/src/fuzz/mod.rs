//! Throws mutated and generated frames at a worker until it dies, falls silent, or says what is no frame; then looks for the
//! smallest frame that does it. What valid workers may answer to nonsense is not judged.

mod mutate;
mod shrink;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millwork_protocol::{Frame, Map, map};

use crate::check::{Outcome, Stop, ensure, fail};
use crate::peer::exit_text;
use crate::random::Random;
use crate::session::Session;
use crate::validate::rule;
use crate::worker::Worker;

use mutate::Mutator;

/// So many frames go out before a plain request has to be answered.
const BATCH: usize = 32;
/// So many batches one worker gets, before its input ends inside a frame.
const BATCHES: usize = 64;
/// What no input may make a worker do.
const RULES: [&str; 5] = [rule::ONE_MAP, rule::WHOLE, rule::TYPE, rule::KEYS, rule::FRAMES_ONLY];

/// How long, from where, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long to go on.
    pub time: Duration,
    /// The same seed gives the same frames.
    pub seed: u64,
    /// The folder that a failing input is written to.
    pub out: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fuzzed {
    /// How many frames went out.
    pub frames: u64,
    /// The seed that they came from.
    pub seed: u64,
    /// What was found, if anything.
    pub finding: Option<Finding>,
}

/// Input that a worker does not stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it did.
    pub what: String,
    /// The bytes that make it do so, as they stand on the pipe.
    pub bytes: Vec<u8>,
    /// Whether these bytes alone do it: else they are all that went before.
    pub reproduced: bool,
    /// Where they were written, or why they were not.
    pub file: Result<PathBuf, String>,
}

/// Whether this worker can be fuzzed: one that answers nothing plain could not be seen to be well.
#[must_use]
pub fn can_fuzz(session: &Session) -> bool {
    session.facts().is_none_or(|facts| facts.unanswered.iter().all(|plain| plain.kind != "worker.status"))
}

/// Goes on until the time is over, or something is found. `progress` is told how many frames went out.
pub fn run(session: &Session, options: &Options, progress: &mut dyn FnMut(u64)) -> Fuzzed {
    let end = Instant::now() + options.time;
    let mut random = Random::new(options.seed);
    let mutator = Mutator::new(session);
    let mut frames = 0;
    while Instant::now() < end {
        let mut history: Vec<Vec<u8>> = Vec::new();
        let failed = life(session, end, &mut random, &mutator, &mut history, &mut |n| {
            frames += n;
            progress(frames);
        });
        if let Some(what) = failed {
            let (bytes, reproduced) = shrink::shrink(session, history);
            let file = write(&options.out, options.seed, &bytes);
            return Fuzzed { frames, seed: options.seed, finding: Some(Finding { what, bytes, reproduced, file }) };
        }
    }
    Fuzzed { frames, seed: options.seed, finding: None }
}

/// One worker from its start to its end; says what it did wrong. `history` holds the frames since it last was well.
fn life(
    session: &Session,
    end: Instant,
    random: &mut Random,
    mutator: &Mutator,
    history: &mut Vec<Vec<u8>>,
    sent: &mut dyn FnMut(u64),
) -> Option<String> {
    session.begin("fuzz", Duration::from_secs(3600));
    let mut worker = match started(session) {
        Ok(worker) => worker,
        Err(stop) => return Some(words(&stop)),
    };
    for _ in 0..BATCHES {
        if Instant::now() >= end {
            break;
        }
        history.clear();
        history.extend((0..BATCH).map(|_| framed(&mutator.payload(random))));
        sent(BATCH as u64);
        session.begin("fuzz", Duration::from_secs(3600));
        if let Err(stop) = throw(&mut worker, history) {
            return Some(words(&stop));
        }
    }
    history.clear();
    history.push(mutator.broken_frame(random));
    sent(1);
    ended(worker, &history[0]).err().map(|stop| words(&stop))
}

fn started(session: &Session) -> Outcome<Worker> {
    let mut worker = session.start()?;
    worker.expect_any_id();
    Ok(worker)
}

/// Sends frames, then asks something plain.
fn throw(worker: &mut Worker, frames: &[Vec<u8>]) -> Outcome {
    worker.session().forget_violations();
    worker.raw(frames.concat());
    worker.is_well()?;
    worker.listen(Duration::ZERO);
    match violations(worker.session()).first() {
        Some(what) => Err(fail(what)),
        None => Ok(()),
    }
}

/// Input that ends in the middle of something: the worker ends too, and not by a crash.
fn ended(mut worker: Worker, bytes: &[u8]) -> Outcome {
    worker.raw(bytes.to_vec());
    worker.close_stdin();
    let limit = worker.session().patience();
    let status = worker.exit(limit)?;
    ensure!(status.code().is_some(), "it crashed at the end of its input ({})", exit_text(status));
    Ok(())
}

fn violations(session: &Session) -> Vec<String> {
    RULES.iter().flat_map(|rule| session.violations(rule)).map(|violation| violation.what).collect()
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let header = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&header, payload].concat()
}

fn words(stop: &Stop) -> String {
    match stop {
        Stop::Fail(failure) => match &failure.cause {
            Some(cause) => format!("{}. {cause}", failure.what),
            None => failure.what.clone(),
        },
        Stop::NotApplicable(reason) => reason.clone(),
    }
}

fn write(folder: &Path, seed: u64, bytes: &[u8]) -> Result<PathBuf, String> {
    let path = folder.join(format!("fuzz-{seed}.bin"));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
    written.map(|()| path.clone()).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Sends the bytes of a file to a fresh worker, and says what it does wrong after them.
///
/// # Errors
/// Where it does not stand them.
pub fn replay(session: &Session, bytes: &[u8]) -> Result<(), String> {
    session.begin("replay", Duration::from_secs(120));
    let mut worker = started(session).map_err(|stop| words(&stop))?;
    let outcome = if whole_frames(bytes) { throw(&mut worker, &[bytes.to_vec()]) } else { ended(worker, bytes) };
    outcome.map_err(|stop| words(&stop))
}

/// Whether the bytes are frames to the last one: only after such can something plain be asked.
fn whole_frames(mut bytes: &[u8]) -> bool {
    while let Some((header, rest)) = bytes.split_first_chunk::<4>() {
        match rest.get(u32::from_be_bytes(*header) as usize..) {
            Some(next) => bytes = next,
            None => return false,
        }
    }
    bytes.is_empty()
}

/// Requests that may be mutated without harm: what they run, if it still can be run, has no effect on the machine.
fn valid_requests(session: &Session) -> Vec<Vec<u8>> {
    let mut requests: Vec<(&str, Map)> = vec![
        ("discover", map! {}),
        ("worker.status", map! {}),
        ("cancel", map! {}),
        ("provider.list", map! {}),
        ("provider.models", map! { "provider" => "none", "model_type" => "language" }),
        ("execute", map! { "node_type" => "no.such.Node", "fields" => map! { "a" => 1 } }),
        ("job.start", map! { "job_id" => "job", "workflow_id" => "flow" }),
        ("job.end", map! { "job_id" => "job", "reason" => "completed" }),
        ("models.evict", map! { "node_ids" => vec!["none"] }),
    ];
    let value = map! { "list" => vec![1, 2, 3], "text" => "words", "number" => 0.5, "deep" => map! { "er" => true } };
    for (node, kind, fields) in [
        ("test.Echo", "execute", map! { "value" => value }),
        ("test.Add", "execute", map! { "a" => 1.5, "b" => 2 }),
        ("test.Fail", "execute", map! { "message" => "on purpose" }),
        ("test.NeedsSecret", "execute", map! {}),
        ("test.Echo", "execute.stream", map! { "value" => "words" }),
    ] {
        if session.node(node).is_ok() {
            let identity = map! { "node_id" => "n", "job_id" => "j", "user_id" => "u", "requires_vram_gb" => 0.5 };
            let blobs = map! { "other" => millwork_protocol::Bytes::from_static(b"some bytes") };
            let mut data = map! { "node_type" => node, "fields" => fields, "secrets" => map! {}, "blobs" => blobs };
            data.extend(identity);
            requests.push((kind, data));
        }
    }
    let payload = |(kind, data): &(&str, Map)| Frame::message(kind, Some("fuzz-id"), data).to_payload().to_vec();
    requests.iter().map(payload).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_are_told_from_torn_ones() {
        assert!(whole_frames(&[framed(b"abc"), framed(b"")].concat()));
        assert!(!whole_frames(b"\0\0\0\x05abc") && !whole_frames(b"\0\0"));
    }
}

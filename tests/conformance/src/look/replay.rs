//! `millwork replay`: sends a recorded host's frames to a worker and compares what comes with what came then.
//!
//! Times are not kept: a frame is sent once everything that had ended before it in the recording has ended again.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use millwork_protocol::{Frame, FrameEvent, FrameReader, Limits, Map, Value};

use super::LookError;
use super::recording::{self, Recording};
use super::redact::{Redactor, Shown};
use super::tap::Side;
use crate::peer::exit_text;

/// How long a worker may take to end once its input has.
const END: Duration = Duration::from_secs(5);

/// Sends a recorded host's frames to a worker and shows what it answers differently.
///
/// A secret was recorded as *** and is sent so. Progress is not compared: how much of it comes is a matter of time.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork inspect --quiet --record session.jsonl -- ./worker
  millwork replay session.jsonl -- ./worker-2")]
pub struct Args {
    /// What `millwork inspect --record` has written.
    file: PathBuf,
    /// How long one answer may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// The worker and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The frames of one request that are compared, in order.
type Frames = Vec<(String, Result<Map, String>)>;

/// Runs the command: 0 where everything came as it had, 1 where something differs.
///
/// # Errors
/// [`LookError`], where the file is no recording or the worker does not start.
pub fn run(args: &Args) -> Result<u8, LookError> {
    let recording = recording::read(&args.file)?;
    let mut redactor = Redactor::new(recording.has_hashed_blobs);
    let recorded = recording.frames.iter().filter(|frame| frame.from == Side::Worker);
    let then = by_request(recorded.map(|frame| redactor.frame(&frame.payload)));
    let mut child = start(&args.command)?;
    let played = play(&mut child, &recording, &mut redactor, Duration::from_secs(args.timeout));
    let status = end(&mut child);
    let (answers, stopped) = played?;
    let stopped = stopped.map(|stopped| match (stopped, status) {
        (Stopped::Ended(what), Some(status)) => format!("{what} ({})", exit_text(status)),
        (Stopped::Ended(what) | Stopped::Other(what), _) => what,
    });
    let (text, is_same) = report(&then, &by_request(answers.into_iter()), stopped);
    // A reader that has gone wants no more.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Ok(u8::from(!is_same))
}

#[allow(clippy::disallowed_methods, reason = "it starts the worker that is compared, and ends it")]
fn start(command: &[String]) -> Result<Child, LookError> {
    let (program, arguments) = command.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().map_err(|source| LookError::NotStarted { command: program.to_owned(), source })
}

/// Closes nothing but waits, then kills: input has been closed by whoever wrote it. Gives how it ended by itself.
fn end(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + END;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(10)),
            Ok(Some(status)) => return Some(status),
            _ => break,
        }
    }
    // Of one that has gone, neither does anything.
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Why no more answers were waited for.
enum Stopped {
    /// The worker has gone.
    Ended(String),
    Other(String),
}

/// Sends what the host sent. The frames that came, and why no more were waited for.
fn play(
    child: &mut Child,
    recording: &Recording,
    redactor: &mut Redactor,
    timeout: Duration,
) -> Result<(Vec<Shown>, Option<Stopped>), LookError> {
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the worker has no pipes").into());
    };
    let (send, frames) = channel();
    thread::Builder::new().name("reader".to_owned()).spawn(move || read(stdout, &send))?;
    // Writing waits for a worker that does not read, which must not keep us from reading.
    let (to_worker, outbox) = channel::<Frame>();
    thread::Builder::new().name("writer".to_owned()).spawn(move || {
        let mut stdin = stdin;
        outbox.iter().try_for_each(|frame| stdin.write_all(&frame.to_bytes()))
    })?;
    let mut answers = Answers { frames, redactor, all: Vec::new(), ended: HashSet::new(), timeout };
    let mut stopped = None;
    for frame in &recording.frames {
        let is_end = frame.from == Side::Worker && is_terminal(&frame.kind);
        match (&frame.id, is_end) {
            (Some(id), true) => stopped = answers.wait_for(id),
            _ if frame.from == Side::Host => drop(to_worker.send(Frame::forward(frame.payload.clone()))),
            _ => {}
        }
        if stopped.is_some() {
            break;
        }
    }
    drop(to_worker);
    if stopped.is_none() {
        answers.rest();
    }
    Ok((answers.all, stopped))
}

struct Answers<'a> {
    frames: Receiver<Result<millwork_protocol::Bytes, String>>,
    redactor: &'a mut Redactor,
    all: Vec<Shown>,
    ended: HashSet<String>,
    timeout: Duration,
}

impl Answers<'_> {
    /// Takes frames until this request has ended; why it has not, where that is so.
    fn wait_for(&mut self, id: &str) -> Option<Stopped> {
        let until = Instant::now() + self.timeout;
        while !self.ended.remove(id) {
            match self.frames.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Ok(payload)) => self.take(&payload),
                Ok(Err(problem)) => return Some(Stopped::Other(problem)),
                Err(RecvTimeoutError::Timeout) => {
                    let what = format!("{id} was not answered within {} s", self.timeout.as_secs());
                    return Some(Stopped::Other(what));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Some(Stopped::Ended(format!("the worker ended before it answered {id}")));
                }
            }
        }
        None
    }

    /// Takes what still comes until the stream ends, which it should soon.
    fn rest(&mut self) {
        let until = Instant::now() + END;
        while let Ok(Ok(payload)) = self.frames.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.take(&payload);
        }
    }

    fn take(&mut self, payload: &millwork_protocol::Bytes) {
        let shown = self.redactor.frame(payload);
        if let (Some(id), true) = (&shown.id, is_terminal(&shown.kind)) {
            self.ended.insert(id.clone());
        }
        self.all.push(shown);
    }
}

fn read(mut stdout: ChildStdout, send: &Sender<Result<millwork_protocol::Bytes, String>>) {
    let mut reader = FrameReader::new(Limits::default().max_frame);
    let mut chunk = vec![0; 16 << 10];
    while let Ok(read @ 1..) = stdout.read(&mut chunk) {
        // A reader always has room for so little.
        reader.space().extend_from_slice(chunk.get(..read).unwrap_or_default());
        while let Some(event) = reader.next_event() {
            let event = match event {
                FrameEvent::Frame(payload) => Ok(payload),
                FrameEvent::Oversized { head, .. } => {
                    Err(format!("stdout holds what is no frame: {:?}", String::from_utf8_lossy(&head)))
                }
                FrameEvent::NoMemory { len, .. } => Err(format!("no memory for a frame of {len} bytes")),
            };
            let is_over = event.is_err();
            if send.send(event).is_err() || is_over {
                return;
            }
        }
    }
}

fn is_terminal(kind: &str) -> bool {
    matches!(kind, "result" | "error" | "discover")
}

/// The frames that are compared, by request id; those without one under an empty id.
fn by_request(frames: impl Iterator<Item = Shown>) -> BTreeMap<String, Frames> {
    let mut requests = BTreeMap::<String, Frames>::new();
    for frame in frames.filter(|frame| !matches!(frame.kind.as_str(), "progress" | "update")) {
        requests.entry(frame.id.unwrap_or_default()).or_default().push((frame.kind, frame.data));
    }
    requests
}

/// What differs, in words, and whether nothing does.
fn report(then: &BTreeMap<String, Frames>, now: &BTreeMap<String, Frames>, stopped: Option<String>) -> (String, bool) {
    let mut text = String::new();
    let none = Frames::new();
    let ids: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let (mut different, mut unreached) = (0, 0);
    for id in &ids {
        // What was not sent any more, or had no time to end, is no difference.
        if stopped.is_some() && !now.contains_key(*id) {
            unreached += 1;
            continue;
        }
        let found = difference_of(then.get(*id).unwrap_or(&none), now.get(*id).unwrap_or(&none));
        if let Some(found) = found {
            different += 1;
            let id = if id.is_empty() { "(no id)" } else { id };
            text += &format!("{id}: {found}\n");
        }
    }
    if let Some(stopped) = &stopped {
        text += &format!("stopped: {stopped}\n");
    }
    let same = ids.len() - different - unreached;
    text += &format!("{} requests, {same} the same, {different} different", ids.len());
    if unreached > 0 {
        text += &format!(", {unreached} without an answer when it stopped");
    }
    text.push('\n');
    (text, different == 0 && stopped.is_none())
}

fn difference_of(then: &Frames, now: &Frames) -> Option<String> {
    for (index, pair) in then.iter().zip(now).enumerate() {
        let ((kind, data), (kind_now, data_now)) = pair;
        if kind != kind_now {
            return Some(format!("frame {} was {kind}, now {kind_now} {}", index + 1, brief(data_now)));
        }
        match (data, data_now) {
            (Ok(data), Ok(data_now)) => {
                let (data, data_now) = (Value::Map(data.clone()), Value::Map(data_now.clone()));
                if let Some(found) = difference(kind, &data, &data_now) {
                    return Some(found);
                }
            }
            (data, data_now) if data != data_now => {
                return Some(format!("{kind} was {}, now {}", brief(data), brief(data_now)));
            }
            _ => {}
        }
    }
    let kinds = |frames: &Frames| frames.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>().join(", ");
    match (then.get(now.len()..), now.get(then.len()..)) {
        (Some(missing @ [_, ..]), _) => Some(format!("missing now: {}", kinds(&missing.to_vec()))),
        (_, Some(more @ [_, ..])) => Some(format!("came now and not then: {}", kinds(&more.to_vec()))),
        _ => None,
    }
}

/// The first place where two values differ.
fn difference(path: &str, then: &Value, now: &Value) -> Option<String> {
    match (then, now) {
        (Value::Map(then), Value::Map(now)) => {
            let changed = then.iter().find_map(|(key, value)| match now.get(key) {
                Some(other) => difference(&format!("{path}.{key}"), value, other),
                None => Some(format!("{path}.{key} is missing now")),
            });
            changed
                .or_else(|| now.keys().find(|key| !then.contains_key(*key)).map(|key| format!("{path}.{key} is new")))
        }
        (Value::List(then), Value::List(now)) if then.len() == now.len() => {
            let mut pairs = then.iter().zip(now).enumerate();
            pairs.find_map(|(index, (then, now))| difference(&format!("{path}[{index}]"), then, now))
        }
        (Value::List(then), Value::List(now)) => Some(format!("{path} had {} elements, now {}", then.len(), now.len())),
        // An encoder may write a whole number either way.
        _ if then == now || (then.as_f64().is_some() && then.as_f64() == now.as_f64()) => None,
        _ => Some(format!("{path} was {}, now {}", short(then), short(now))),
    }
}

fn brief(data: &Result<Map, String>) -> String {
    match data {
        Ok(data) => short(&Value::Map(data.clone())),
        Err(problem) => problem.clone(),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_json().to_string();
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    fn result(value: impl Into<Value>) -> (String, Result<Map, String>) {
        ("result".to_owned(), Ok(map! { "outputs" => map! { "output" => value.into() } }))
    }

    #[test]
    fn the_first_difference_is_named_by_its_place() {
        let same = |then, now| difference_of(&vec![then], &vec![now]);
        assert_eq!(same(result(1), result(1.0)), None);
        assert_eq!(same(result(1), result(2)).unwrap(), "result.outputs.output was 1, now 2");
        let (a, b) = (vec!["x", "y"], vec!["x", "z"]);
        assert_eq!(same(result(a), result(b)).unwrap(), "result.outputs.output[1] was \"y\", now \"z\"");
        let error = ("error".to_owned(), Ok(map! { "error" => "no" }));
        assert_eq!(same(result(1), error).unwrap(), "frame 1 was result, now error {\"error\":\"no\"}");
        assert_eq!(difference_of(&vec![result(1)], &Vec::new()).unwrap(), "missing now: result");
        assert_eq!(difference_of(&Vec::new(), &vec![result(1)]).unwrap(), "came now and not then: result");
    }
}

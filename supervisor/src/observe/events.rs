//! Events as lines of JSON, in a file or on stderr. Never blocks: what its reader does not take is counted and dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc::Receiver;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde_json::{Map, Value, json};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::outlet::{Outlet, Refused};
use crate::process::Secrets;

/// Where events go; nowhere by default.
#[derive(Debug, Default)]
pub(crate) struct Events {
    lines: Option<Outlet<String>>,
    secrets: Secrets,
    /// Lines that were dropped and have not been told of.
    lost: u64,
}

/// The end of a request, as an event.
#[derive(Debug)]
pub(crate) struct RequestEnd<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) target: Option<&'a str>,
    pub(crate) worker: Option<&'a str>,
    pub(crate) queue_ms: u64,
    pub(crate) run_ms: Option<u64>,
    /// `ok`, or the kind of its error.
    pub(crate) outcome: &'a str,
}

impl Events {
    /// To the end of this file, which is made where there is none; `-` is stderr, and nothing is nowhere.
    pub(crate) fn open(destination: &str, secrets: Secrets) -> io::Result<Self> {
        let out: Box<dyn Write + Send> = match destination {
            "" => return Ok(Self::default()),
            // A descriptor of its own: one who waits in a write must not hold the lock of this process's stderr.
            "-" => Box::new(File::from(io::stderr().as_fd().try_clone_to_owned()?)),
            // A FIFO without a reader is an error, and not a wait.
            path => {
                let flags = OFlag::O_NONBLOCK;
                let file = OpenOptions::new().append(true).create(true).custom_flags(flags.bits()).open(path)?;
                fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
                Box::new(file)
            }
        };
        let lines = Outlet::start("millwork-events", move |lines| write(out, lines))?;
        Ok(Self { lines: Some(lines), secrets, lost: 0 })
    }

    /// Whether anybody reads them: nothing needs to be put together otherwise.
    pub(crate) fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// A worker's change of state.
    pub(crate) fn worker(&mut self, name: &str, state: &str, pid: Option<u32>, detail: Option<&str>) {
        self.tell("worker", json!({ "worker": name, "state": state, "pid": pid, "detail": detail }));
    }

    /// The end of a host's request.
    pub(crate) fn request(&mut self, end: &RequestEnd<'_>) {
        let RequestEnd { id, kind, target, worker, queue_ms, run_ms, outcome } = end;
        self.tell(
            "request",
            json!({
                "request_id": id, "type": kind, "target": target, "worker": worker, "queue_ms": queue_ms, "run_ms": run_ms,
                "outcome": outcome,
            }),
        );
    }

    /// Anything else about the supervisor.
    pub(crate) fn tell(&mut self, event: &str, facts: Value) {
        let Some(lines) = &self.lines else { return };
        if self.lost > 0 && lines.give(line("lost", json!({ "lines": self.lost }))).is_ok() {
            self.lost = 0;
        }
        let text = line(event, facts);
        let text = match self.secrets.redact(text.as_bytes()) {
            std::borrow::Cow::Borrowed(_) => text,
            std::borrow::Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        match lines.give(text) {
            Ok(()) => {}
            Err(Refused::Full) => self.lost += 1,
            // The file takes no more: the disk is full, or the reader has gone.
            Err(Refused::Over) => self.lines = None,
        }
    }
}

/// The facts that there are, behind the time and the name of the event.
fn line(event: &str, facts: Value) -> String {
    let mut time = String::new();
    // A time that cannot be written is left out.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    let mut all = Map::from_iter([("time".to_owned(), time.into()), ("event".to_owned(), event.into())]);
    let facts = if let Value::Object(facts) = facts { facts } else { Map::new() };
    all.extend(facts.into_iter().filter(|(_, value)| !value.is_null()));
    format!("{}\n", Value::Object(all))
}

fn write(out: Box<dyn Write + Send>, lines: &Receiver<String>) {
    let mut out = BufWriter::new(out);
    while let Ok(line) = lines.recv() {
        // What waits goes in one write; nothing stays in the buffer while nothing comes.
        let mut all = out.write_all(line.as_bytes());
        while let Ok(line) = lines.try_recv() {
            all = all.and_then(|()| out.write_all(line.as_bytes()));
        }
        if let Err(error) = all.and_then(|()| out.flush()) {
            tracing::warn!("events are written no more: {error}");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines_of_json_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let secrets = Secrets::default();
        secrets.learn("canary-123");
        let mut events = Events::open(path.to_str().unwrap(), secrets).unwrap();
        events.worker("stock", "backing_off", None, Some("it said canary-123"));
        let end = RequestEnd {
            id: "a\nb",
            kind: "execute",
            target: Some("x.Y"),
            worker: None,
            queue_ms: 3,
            run_ms: Some(4),
            outcome: "ok",
        };
        events.request(&end);
        // With what was written by then.
        drop(events);
        let read = || std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = read().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["detail"], lines[0].get("pid")), (&json!("it said ***"), None));
        assert_eq!((&lines[1]["request_id"], &lines[1]["run_ms"]), (&json!("a\nb"), &json!(4)));
        assert!(lines[0]["time"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn what_a_slow_reader_misses_is_told_when_it_reads_on() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (told, all) = std::sync::mpsc::channel();
        let lines = Outlet::start("events-test", move |lines| {
            let _ = wait.recv();
            lines.iter().for_each(|line: String| told.send(line).unwrap());
        });
        let mut events = Events { lines: Some(lines.unwrap()), secrets: Secrets::default(), lost: 0 };
        while events.lost < 3 {
            events.tell("test", json!({}));
        }
        drop(go);
        // It reads on: sooner or later one line is taken, with what was lost before it.
        while events.lost > 0 {
            events.tell("test", json!({ "n": "after" }));
        }
        drop(events);
        let told: Vec<String> = all.iter().collect();
        let [.., lost, after] = &told[..] else { panic!("{} lines", told.len()) };
        assert!(lost.contains("\"lost\",\"lines\":") && after.contains("\"after\""), "{lost}{after}");
    }
}

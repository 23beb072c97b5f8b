//! A host with many requests under way: frames out through a thread that may wait, frames in with the times at which they
//! came. It judges nothing but that stdout holds frames.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millwork_e2e::descendants::{self, Process};
use millwork_e2e::{Bytes, Frame, Launch, Map, PATIENCE, Value, within};
use millwork_protocol::{Envelope, FrameEvent, FrameReader, Limits, READY_LINE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// One frame.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) at: Instant,
    pub(crate) kind: String,
    pub(crate) id: String,
    payload: Bytes,
}

impl Reply {
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.kind.as_str(), "result" | "error" | "discover")
    }

    pub(crate) fn data(&self) -> Map {
        let envelope = Envelope::peek(&self.payload).expect("it was read before");
        envelope.decode_data(&self.payload, &Limits::default()).expect("the data of a frame can be read")
    }

    /// A text of an error, such as its `kind`.
    pub(crate) fn text(&self, key: &str) -> String {
        self.data().get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// What the supervisor says of one worker process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) pid: i32,
    pub(crate) in_flight: i64,
}

/// A supervisor and its pipes.
pub(crate) struct Host {
    child: Child,
    outbox: Option<Sender<Bytes>>,
    frames: Receiver<Reply>,
    /// What came while something else was waited for.
    early: Vec<Reply>,
    stderr: Arc<Mutex<String>>,
    mark: String,
    _folder: TempDir,
    next_id: u64,
}

impl Host {
    /// Starts `millwork serve --stdio --test-nodes` with this configuration, and waits until it is ready.
    pub(crate) fn serve(config: &str) -> Self {
        Self::start(Launch::of("millwork").args(["serve", "--stdio"]).file("millwork.toml", config))
    }

    pub(crate) fn start(launch: Launch) -> Self {
        let mark = launch.mark().to_owned();
        let (mut child, folder) = launch.start_piped();
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let mut stdout = child.stdout.take().expect("stdout is a pipe");
        let mut errors = child.stderr.take().expect("stderr is a pipe");
        let (outbox, bytes) = channel::<Bytes>();
        std::thread::spawn(move || bytes.iter().try_for_each(|bytes| stdin.write_all(&bytes)));
        let (send, frames) = channel();
        std::thread::spawn(move || read_frames(&mut stdout, &send));
        let stderr = Arc::<Mutex<String>>::default();
        let lines = stderr.clone();
        std::thread::spawn(move || {
            let mut chunk = vec![0; 64 << 10];
            while let Ok(n @ 1..) = errors.read(&mut chunk) {
                lines.lock().expect("no holder panics").push_str(&String::from_utf8_lossy(&chunk[..n]));
            }
        });
        let early = Vec::new();
        let host = Self { child, outbox: Some(outbox), frames, early, stderr, mark, _folder: folder, next_id: 0 };
        let is_ready = within(PATIENCE, || host.stderr().lines().any(|line| line == READY_LINE));
        assert!(is_ready, "never ready:\n{}", host.stderr());
        host
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().expect("no holder panics").clone()
    }

    /// The supervisor's resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        descendants::memory(self.pid(), "VmRSS").unwrap_or_default()
    }

    /// The living processes of all this, the supervisor and its guardian too.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let mut all = descendants::marked(&self.mark);
        let guardians = descendants::guardians(&all);
        all.extend(guardians);
        all
    }

    /// Sends a request under a new id.
    pub(crate) fn send(&mut self, kind: &str, data: &Map) -> String {
        self.next_id += 1;
        let id = format!("r{}", self.next_id);
        self.post(kind, &id, data);
        id
    }

    /// Sends a message about a request that is under way.
    pub(crate) fn post(&self, kind: &str, id: &str, data: &Map) {
        let bytes = Frame::message(kind, Some(id), data).to_bytes();
        // One that has gone takes none.
        let _ = self.outbox.as_ref().map(|outbox| outbox.send(bytes));
    }

    /// The next frame, if one comes in this time.
    pub(crate) fn try_next(&mut self, limit: Duration) -> Option<Reply> {
        if self.early.is_empty() { self.frames.recv_timeout(limit).ok() } else { Some(self.early.remove(0)) }
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Reply {
        self.try_next(PATIENCE * 2).unwrap_or_else(|| panic!("no frame came; the log ends with {}", self.log_end()))
    }

    /// The terminal frame of a request; others are kept for later.
    pub(crate) fn terminal(&mut self, id: &str) -> Reply {
        let end = Instant::now() + PATIENCE * 2;
        let is_it = |reply: &Reply| reply.id == id && reply.is_terminal();
        if let Some(at) = self.early.iter().position(is_it) {
            return self.early.remove(at);
        }
        while let Ok(reply) = self.frames.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if is_it(&reply) {
                return reply;
            }
            self.early.push(reply);
        }
        panic!("no answer came to {id}; the log ends with {}", self.log_end())
    }

    /// The terminal frames of all these requests, by id.
    pub(crate) fn terminals(&mut self, ids: &[String]) -> HashMap<String, Reply> {
        ids.iter().map(|id| (id.clone(), self.terminal(id))).collect()
    }

    /// The worker processes, as the supervisor tells of them.
    pub(crate) fn workers(&mut self) -> Vec<Worker> {
        let id = self.send("worker.status", &Map::new());
        workers(&self.terminal(&id))
    }

    /// Waits until the workers are as they should be.
    pub(crate) fn await_workers(&mut self, are: impl Fn(&[Worker]) -> bool) -> Vec<Worker> {
        let end = Instant::now() + PATIENCE;
        loop {
            let workers = self.workers();
            if are(&workers) {
                return workers;
            }
            assert!(Instant::now() < end, "the workers stay so: {workers:?}\n{}", self.log_end());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Closes its stdin, waits for its end, and gives how it ended and what is left of it 2 s later.
    pub(crate) fn end(mut self) -> (Option<ExitStatus>, Vec<Process>) {
        let guardians = descendants::guardians(&self.processes());
        let mark = self.mark.clone();
        let left = || [descendants::marked(&mark), descendants::living_guardians(&guardians)].concat();
        self.outbox = None;
        let mut status = None;
        within(PATIENCE, || {
            status = self.child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        within(Duration::from_secs(2), || left().is_empty());
        (status, left())
    }

    fn log_end(&self) -> String {
        let log = self.stderr();
        let lines: Vec<&str> = log.lines().rev().take(12).collect();
        lines.into_iter().rev().map(|line| format!("\n  {}", line.chars().take(300).collect::<String>())).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        descendants::kill_marked(&self.mark);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rows in an answer to `worker.status`.
pub(crate) fn workers(status: &Reply) -> Vec<Worker> {
    let data = status.data();
    let rows = data.get("extensions").and_then(|e| e.get("supervisor")?.get("workers")?.as_list());
    let worker = |row: &Value| {
        let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |key: &str| row.get(key).and_then(Value::as_i64).unwrap_or_default();
        let pid = i32::try_from(number("pid")).unwrap_or_default();
        Worker { name: text("name"), state: text("state"), pid, in_flight: number("in_flight") }
    };
    rows.unwrap_or_default().iter().map(worker).collect()
}

/// Sends a signal to a process, if it is still there, and says when.
pub(crate) fn signal(pid: i32, signal: Signal) -> Instant {
    let send = || (pid > 0).then(|| kill(Pid::from_raw(pid), signal));
    if signal == Signal::SIGSEGV {
        // Rust's handler takes the first one, which is none of its memory's, and gives up its place.
        let _ = send();
        std::thread::sleep(Duration::from_millis(10));
    }
    let now = Instant::now();
    let _ = send();
    now
}

fn read_frames(stdout: &mut impl Read, send: &Sender<Reply>) {
    let mut reader = FrameReader::new(Limits::default().max_frame);
    let mut chunk = vec![0; 256 << 10];
    while let Ok(n @ 1..) = stdout.read(&mut chunk) {
        for part in chunk[..n].chunks(16 << 10) {
            reader.space().extend_from_slice(part);
            while let Some(event) = reader.next_event() {
                let FrameEvent::Frame(payload) = event else { panic!("stdout holds what is no frame: {event:?}") };
                let envelope = Envelope::peek(&payload).expect("a frame can be read");
                let (kind, id) = (envelope.kind.unwrap_or_default(), envelope.request_id.unwrap_or_default());
                let (kind, id) = (kind.to_owned(), id.to_owned());
                if send.send(Reply { at: Instant::now(), kind, id, payload }).is_err() {
                    return;
                }
            }
        }
    }
}

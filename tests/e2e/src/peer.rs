//! The host's side of a conversation: frames out, frames in, stderr kept. It checks what holds for every conversation:
//! each frame can be read and keeps to the published schemas, and nothing follows a terminal frame.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use millwork_protocol::{Bytes, Envelope, Frame, FrameEvent, FrameReader, Limits, Map, READY_LINE, Value, map};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{PATIENCE, descendants, within};

/// A program that runs longer than this is ended: whatever waits for it would wait for ever.
const LIFETIME: Duration = Duration::from_secs(240);

/// One frame from the other side.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// `type`.
    pub kind: String,
    /// `request_id`, if there was one.
    pub id: Option<String>,
    /// `data`.
    pub data: Map,
}

impl Message {
    /// Whether this ends its request.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self.kind.as_str(), "result" | "error" | "discover")
    }

    /// The text of an error, which this must be.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn error(&self) -> &str {
        assert_eq!(self.kind, "error", "{self:?}");
        self.data["error"].as_str().expect("`error` is text")
    }

    /// The kind of an error, which this must be.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn error_kind(&self) -> &str {
        assert_eq!(self.kind, "error", "{self:?}");
        self.data["kind"].as_str().expect("`kind` is text")
    }

    /// One output of a result, which this must be.
    ///
    /// # Panics
    /// Where it is none, or has no such output.
    #[must_use]
    pub fn output(&self, slot: &str) -> &Value {
        assert!(matches!(self.kind.as_str(), "result" | "chunk"), "{self:?}");
        self.data["outputs"].get(slot).unwrap_or_else(|| panic!("no output {slot:?}: {:?}", self.data))
    }

    /// One blob of a result, which this must be.
    ///
    /// # Panics
    /// Where it is none, or has no such blob.
    #[must_use]
    pub fn blob(&self, slot: &str) -> Bytes {
        let blob = self.data["blobs"].get(slot).unwrap_or_else(|| panic!("no blob {slot:?} in a {}", self.kind));
        blob.clone().into_bytes().expect("a blob is bytes")
    }
}

/// The data of an `execute`, put together.
#[derive(Debug, Clone)]
pub struct Request(Map);

impl Request {
    /// A node without fields.
    #[must_use]
    pub fn node(node_type: &str) -> Self {
        Self(map! { "node_type" => node_type, "fields" => Map::new() })
    }

    /// With a field.
    #[must_use]
    pub fn field(self, name: &str, value: impl Into<Value>) -> Self {
        self.under("fields", name, value.into())
    }

    /// With a blob for a field.
    #[must_use]
    pub fn blob(self, name: &str, bytes: impl Into<Bytes>) -> Self {
        self.under("blobs", name, Value::Bytes(bytes.into()))
    }

    /// With a secret.
    #[must_use]
    pub fn secret(self, name: &str, value: &str) -> Self {
        self.under("secrets", name, Value::from(value))
    }

    /// With another key beside `fields`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    fn under(mut self, map: &str, name: &str, value: Value) -> Self {
        match self.0.entry(map.to_owned()).or_insert_with(|| Map::new().into()) {
            Value::Map(map) => drop(map.insert(name.to_owned(), value)),
            other => *other = map! { name => value }.into(),
        }
        self
    }
}

impl From<Request> for Map {
    fn from(request: Request) -> Self {
        request.0
    }
}

/// What is wrong with a frame; one that only breaks a schema can still be read.
#[derive(Debug)]
struct Wrong {
    what: String,
    message: Option<Box<Message>>,
}

impl Wrong {
    fn unreadable(what: impl Into<String>) -> Self {
        Self { what: what.into(), message: None }
    }

    /// The message all the same, where it may be wrong.
    fn forgiven(self, forgiving: bool) -> Message {
        match self.message {
            Some(message) if forgiving => *message,
            message => panic!("{}: {message:?}", self.what),
        }
    }
}

/// Lets a thread go on, or not.
#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn set_closed(&self, closed: bool) {
        *self.closed.lock().expect("no holder panics") = closed;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let closed = self.closed.lock().expect("no holder panics");
        drop(self.changed.wait_while(closed, |closed| *closed).expect("no holder panics"));
    }
}

/// A running program. Dropping it ends the program and everything that it has started.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    stdin: Arc<Mutex<Option<ChildStdin>>>,
    /// Frames, or what is wrong with one.
    frames: Receiver<Result<Message, Wrong>>,
    /// Whether frames that break the schemas are taken.
    forgiving: bool,
    stderr: Arc<Mutex<String>>,
    reading: Arc<Gate>,
    hearing: Arc<Gate>,
    ended: HashSet<String>,
    next_id: u32,
    mark: String,
    folder: TempDir,
    _lifetime: Sender<()>,
}

impl Peer {
    pub(crate) fn new(mut child: Child, mark: String, folder: TempDir) -> Self {
        let stdin = child.stdin.take().expect("stdin is a pipe");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let errors = child.stderr.take().expect("stderr is a pipe");
        let (send, frames) = channel();
        let reading = Arc::<Gate>::default();
        let gate = reading.clone();
        std::thread::spawn(move || read_frames(stdout, &send, &gate));
        let stderr = Arc::<Mutex<String>>::default();
        let lines = stderr.clone();
        let hearing = Arc::<Gate>::default();
        let ears = hearing.clone();
        std::thread::spawn(move || {
            let mut errors = BufReader::new(errors);
            let mut line = Vec::new();
            while errors.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                ears.pass();
                lines.lock().expect("no holder panics").push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        let (lifetime, over) = channel::<()>();
        let marked = mark.clone();
        std::thread::spawn(move || {
            if over.recv_timeout(LIFETIME) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                descendants::kill_marked(&marked);
            }
        });
        Self {
            child,
            stdin: Arc::new(Mutex::new(Some(stdin))),
            frames,
            stderr,
            reading,
            hearing,
            forgiving: false,
            ended: HashSet::new(),
            next_id: 0,
            mark,
            folder,
            _lifetime: lifetime,
        }
    }

    /// Waits for the line that says that frames are accepted.
    ///
    /// # Panics
    /// Where it does not come.
    #[must_use]
    pub fn ready(mut self) -> Self {
        let ready = within(PATIENCE, || {
            self.stderr().lines().any(|line| line == READY_LINE) || self.child.try_wait().is_ok_and(|s| s.is_some())
        });
        assert!(ready && self.stderr().lines().any(|line| line == READY_LINE), "never ready:\n{}", self.stderr());
        self
    }

    /// Takes frames that break the schemas too: behind it are workers that are wrong on purpose, and it passes on what they say.
    #[must_use]
    pub fn forgiving(mut self) -> Self {
        self.forgiving = true;
        self
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// The folder that it works in.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The mark that it and its descendants carry.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// What it has written to stderr so far.
    ///
    /// # Panics
    /// Never: nobody panics while holding the text.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no holder panics").clone()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// Where it has gone.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("it is there");
    }

    /// Writes bytes as they are. One that has gone takes none: what it answered before says why.
    ///
    /// # Panics
    /// Where stdin has been closed.
    pub fn raw(&self, bytes: &[u8]) {
        let mut stdin = self.stdin.lock().expect("no holder panics");
        let _ = stdin.as_mut().expect("stdin is open").write_all(bytes);
    }

    /// Writes a payload with its length before it.
    pub fn payload(&self, payload: &[u8]) {
        self.raw(&Frame::forward(Bytes::copy_from_slice(payload)).to_bytes());
    }

    /// Sends one message.
    pub fn send(&mut self, kind: &str, id: &str, data: impl Into<Map>) {
        self.ended.remove(id);
        self.raw(&Frame::message(kind, Some(id), &data.into()).to_bytes());
    }

    /// Sends a message about a request under way, such as its cancel: the id goes on being the same request's.
    pub fn send_more(&self, kind: &str, id: &str, data: impl Into<Map>) {
        self.raw(&Frame::message(kind, Some(id), &data.into()).to_bytes());
    }

    /// Takes an id as new: a payload that was not sent with [`Peer::send`] uses it again.
    pub fn forget(&mut self, id: &str) {
        self.ended.remove(id);
    }

    /// Writes bytes from another thread, for what may have to wait for our own reading.
    ///
    /// # Panics
    /// The thread, where stdin has been closed.
    pub fn raw_meanwhile(&self, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
        let stdin = self.stdin.clone();
        std::thread::spawn(move || {
            let mut stdin = stdin.lock().expect("no holder panics");
            let _ = stdin.as_mut().expect("stdin is open").write_all(&bytes);
        })
    }

    /// The next frame.
    ///
    /// # Panics
    /// Where none comes, or one that must not come.
    pub fn recv(&mut self) -> Message {
        match self.try_recv(PATIENCE) {
            Some(message) => message,
            None => panic!("no frame came; stderr:\n{}", self.stderr()),
        }
    }

    /// The next frame; nothing where none comes in this time, or the stream has ended.
    ///
    /// # Panics
    /// On a frame that must not come.
    pub fn try_recv(&mut self, limit: Duration) -> Option<Message> {
        let message = self.frames.recv_timeout(limit).ok()?.unwrap_or_else(|wrong| wrong.forgiven(self.forgiving));
        if let Some(id) = &message.id {
            assert!(!self.ended.contains(id), "a frame after the terminal one of {id:?}: {message:?}");
            if message.is_terminal() {
                self.ended.insert(id.clone());
            }
        }
        Some(message)
    }

    /// The next frame, whatever it is: for when the ids that were sent are not known.
    pub fn recv_any(&mut self) -> Message {
        match self.frames.recv_timeout(PATIENCE) {
            Ok(Ok(message)) => message,
            Ok(Err(wrong)) => wrong.forgiven(self.forgiving),
            Err(_) => panic!("no frame came; stderr:\n{}", self.stderr()),
        }
    }

    /// Every frame until the stream ends.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn rest(&mut self) -> Vec<Message> {
        let end = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while let Some(message) = self.try_recv(end.saturating_duration_since(Instant::now())) {
            all.push(message);
        }
        assert!(Instant::now() < end, "the stream does not end; so far {all:?}");
        all
    }

    /// Sends a message under a new id, which it returns.
    pub fn begin(&mut self, kind: &str, data: impl Into<Map>) -> String {
        self.next_id += 1;
        let id = format!("r{}", self.next_id);
        self.send(kind, &id, data);
        id
    }

    /// Every frame of this request up to the terminal one, which is the last.
    ///
    /// # Panics
    /// Where a frame of another request comes meanwhile.
    pub fn frames_of(&mut self, id: &str) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            let message = self.recv();
            assert_eq!(message.id.as_deref(), Some(id), "{message:?}");
            let done = message.is_terminal();
            all.push(message);
            if done {
                return all;
            }
        }
    }

    /// Sends a message and takes its frames; the last is the terminal one.
    pub fn call(&mut self, kind: &str, data: impl Into<Map>) -> Vec<Message> {
        let id = self.begin(kind, data);
        self.frames_of(&id)
    }

    /// Sends a message and takes its terminal frame.
    ///
    /// # Panics
    /// Never: the frames of a call end with one.
    pub fn ask(&mut self, kind: &str, data: impl Into<Map>) -> Message {
        self.call(kind, data).pop().expect("a call has a terminal frame")
    }

    /// Runs a node and takes its terminal frame.
    pub fn execute(&mut self, request: Request) -> Message {
        self.ask("execute", request)
    }

    /// Asks for the plainest thing there is and checks the answer: it is well and serves.
    ///
    /// # Panics
    /// Where it does not.
    pub fn is_well(&mut self) {
        let answer = self.execute(Request::node("test.Add").field("a", 19).field("b", 23.5));
        assert_eq!(answer.output("output"), &Value::Float(42.5));
    }

    /// Stops reading its stderr, or goes on.
    pub fn pause_hearing(&self, pause: bool) {
        self.hearing.set_closed(pause);
    }

    /// Stops reading what it writes, or goes on.
    pub fn pause_reading(&self, pause: bool) {
        self.reading.set_closed(pause);
    }

    /// Closes its stdin.
    ///
    /// # Panics
    /// Never: nobody panics while holding it.
    pub fn close(&self) {
        self.stdin.lock().expect("no holder panics").take();
    }

    /// How it ended, if it does within this time.
    ///
    /// # Panics
    /// Where it cannot be waited for.
    pub fn exit(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        within(limit, || {
            status = self.child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        status
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.reading.set_closed(false);
        self.hearing.set_closed(false);
        descendants::kill_marked(&self.mark);
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("its stderr:\n{}", self.stderr());
        }
    }
}

/// Reads until the end; what is no frame, or a wrong one, ends the test that waits for one.
fn read_frames(mut stdout: ChildStdout, send: &Sender<Result<Message, Wrong>>, gate: &Gate) {
    let mut reader = FrameReader::new(u32::MAX as usize);
    let mut chunk = vec![0; 64 << 10];
    loop {
        gate.pass();
        let Ok(n) = stdout.read(&mut chunk) else { return };
        if n == 0 {
            if reader.is_mid_frame() {
                let _ = send.send(Err(Wrong::unreadable("stdout ended inside a frame")));
            }
            return;
        }
        for part in chunk[..n].chunks(16 << 10) {
            reader.space().extend_from_slice(part);
            while let Some(event) = reader.next_event() {
                let read = match event {
                    FrameEvent::Frame(payload) => checked(&payload),
                    other => Err(Wrong::unreadable(format!("stdout holds what is no frame: {other:?}"))),
                };
                if send.send(read).is_err() {
                    return;
                }
            }
        }
    }
}

fn message(payload: &Bytes) -> Result<Message, String> {
    let envelope = Envelope::peek(payload).map_err(|error| format!("an unreadable frame: {error}"))?;
    let data = envelope.decode_data(payload, &Limits::default());
    Ok(Message {
        kind: envelope.kind.ok_or("a frame without a type")?.to_owned(),
        id: envelope.request_id.map(str::to_owned),
        data: data.map_err(|error| format!("a frame with unreadable data: {error}"))?,
    })
}

fn checked(payload: &Bytes) -> Result<Message, Wrong> {
    let message = message(payload).map_err(Wrong::unreadable)?;
    match millwork_conformance::validate::breach(payload) {
        None => Ok(message),
        Some(what) => Err(Wrong { what, message: Some(Box::new(message)) }),
    }
}

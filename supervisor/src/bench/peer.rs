//! One child process on raw pipes: frames out, frames in, blocking. What is measured with it is not decided here.
//!
//! This is deliberately not the supervisor's own fleet: a measurement from outside uses nothing of what it measures.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use millwork_protocol::{Bytes, Envelope, Frame, Limits, Map, READY_LINE, Value};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::linux;
use super::watch::{Tail, Watch};

/// A host kills a worker that is not ready by then.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// How long any one step may take before the child counts as hung.
const STEP_LIMIT: Duration = Duration::from_secs(120);
/// How long a child may live on after its stdin has closed.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// A child that cannot be measured, as it does not run.
#[derive(Debug, thiserror::Error)]
#[error("{0} did not start")]
pub(crate) struct NotStarted(String);

/// A child process and its pipes. Dropping it kills what is left of it.
pub(crate) struct Peer {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// Bytes read and not yet taken are `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    tail: Arc<Tail>,
    watch: Watch,
    /// The time from the start of the process to its READY line.
    pub(crate) ready: Duration,
}

impl Peer {
    /// Starts `command` and waits for its READY line, where it is a worker and has one.
    pub(crate) fn start(name: &str, command: &[String], is_worker: bool) -> Result<Self> {
        let begun = Instant::now();
        let mut child =
            millwork::spawn_piped(command).with_context(|| command.join(" ")).context(NotStarted(name.to_owned()))?;
        let (Some(input), Some(output), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            bail!("{name}: no pipes");
        };
        // From here on, whatever goes wrong ends the child with it.
        let mut peer = Self {
            name: name.to_owned(),
            watch: Watch::new(child.id()),
            child,
            input: Some(input),
            output,
            buffer: vec![0; 256 << 10],
            start: 0,
            end: 0,
            tail: Arc::new(Tail::default()),
            ready: Duration::ZERO,
        };
        if is_worker {
            wait_ready(&mut stderr, begun + READY_LIMIT, &peer.tail)
                .map_err(|error| anyhow!("{error}{}", peer.tail.quote()).context(NotStarted(name.to_owned())))?;
        }
        peer.ready = begun.elapsed();
        peer.input.as_ref().map_or(Ok(()), linux::prepare_pipe)?;
        linux::widen_pipe(&peer.output);
        peer.tail.clone().follow(stderr);
        Ok(peer)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives the next step its time; a child that needs longer is killed, and the step fails.
    pub(crate) fn begin_step(&self) {
        self.watch.arm(Instant::now() + STEP_LIMIT);
    }

    /// Ends the step: while others have their turn, the child may take as long as it likes to say nothing.
    pub(crate) fn end_step(&self) {
        self.watch.disarm();
    }

    /// Writes all of `bytes`, reading what comes meanwhile so that two full pipes never wait for each other.
    pub(crate) fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let input = self.input.as_mut().ok_or_else(|| anyhow!("{}: stdin is closed", self.name))?;
            match input.write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut both = [
                        PollFd::new(input.as_fd(), PollFlags::POLLOUT),
                        PollFd::new(self.output.as_fd(), PollFlags::POLLIN),
                    ];
                    poll(&mut both, PollTimeout::NONE)?;
                    if both[1].any().unwrap_or(false) {
                        self.fill()?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(&error.to_string())),
            }
        }
        Ok(())
    }

    /// The next payload.
    pub(crate) fn receive(&mut self) -> Result<&[u8]> {
        let range = loop {
            if let Some(range) = self.complete() {
                break range;
            }
            self.fill()?;
        };
        self.start = range.end;
        Ok(self.buffer.get(range).unwrap_or_default())
    }

    /// Whether a whole frame has been read already.
    pub(crate) fn has_frame(&self) -> bool {
        self.complete().is_some()
    }

    fn complete(&self) -> Option<std::ops::Range<usize>> {
        let body = self.start + 4;
        let len = self.frame_len()?;
        (body + len <= self.end).then(|| body..body + len)
    }

    fn frame_len(&self) -> Option<usize> {
        let header = self.buffer.get(self.start..self.end)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*header) as usize)
    }

    /// One read.
    fn fill(&mut self) -> Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let wanted = 4 + self.frame_len().unwrap_or(0);
        ensure!(wanted <= 1 << 30, "{}: stdout carries something else than frames{}", self.name, self.tail.quote());
        if self.end == self.buffer.len() || self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let room = self.buffer.len().max(wanted).max(if self.end == self.buffer.len() { self.end * 2 } else { 0 });
            self.buffer.resize(room, 0);
        }
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        match self.output.read(space) {
            Ok(0) => Err(self.lost("its stdout closed")),
            Ok(n) => {
                self.end += n;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(self.lost(&error.to_string())),
        }
    }

    /// Sends one request and gives the payload that carries its id.
    pub(crate) fn call(&mut self, kind: &str, data: &Map) -> Result<Bytes> {
        self.send(&Frame::message(kind, Some("call"), data).to_bytes())?;
        Ok(Bytes::copy_from_slice(self.receive()?))
    }

    /// [`Peer::call`], decoded; an error frame is an error.
    pub(crate) fn ask(&mut self, kind: &str, data: &Map) -> Result<Map> {
        let payload = self.call(kind, data)?;
        check(&payload, "call").with_context(|| format!("{}: {kind}", self.name))?;
        Ok(Envelope::peek(&payload)?.decode_data(&payload, &Limits::default())?)
    }

    /// Closes stdin and gives the time until the process had gone; nothing where it had to be killed.
    pub(crate) fn close(mut self) -> Result<Option<Duration>> {
        let begun = Instant::now();
        self.input = None;
        loop {
            if self.child.try_wait()?.is_some() {
                return Ok(Some(begun.elapsed()));
            }
            if begun.elapsed() > EXIT_LIMIT {
                return Ok(None);
            }
            // The end of stdout comes with the end of the process: no need to look before it.
            let mut output = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
            let open = poll(&mut output, PollTimeout::from(20u8))? == 0;
            if !open && self.output.read(&mut self.buffer)? == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    fn lost(&self, what: &str) -> anyhow::Error {
        let hung = if self.watch.has_fired() { " (it gave no answer in time and was killed)" } else { "" };
        anyhow!("{} was lost: {what}{hung}{}", self.name, self.tail.quote())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.watch.disarm();
        // Both fail only where the process has gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fails where the payload is an error frame or answers another request.
pub(crate) fn check(payload: &[u8], id: &str) -> Result<()> {
    let envelope = Envelope::peek(payload)?;
    ensure!(envelope.request_id == Some(id), "an answer to {:?} came where {id:?} was awaited", envelope.request_id);
    if envelope.kind == Some("error") {
        let payload = Bytes::copy_from_slice(payload);
        let data = envelope.decode_data(&payload, &Limits::default())?;
        bail!("{}", data.get("error").and_then(Value::as_str).unwrap_or("an error without a text"));
    }
    Ok(())
}

/// Reads stderr up to the READY line.
fn wait_ready(stderr: &mut ChildStderr, deadline: Instant, tail: &Tail) -> Result<()> {
    let mut chunk = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "no line {READY_LINE} within {} s", READY_LIMIT.as_secs());
        let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))? == 0 {
            continue;
        }
        let n = stderr.read(&mut chunk)?;
        ensure!(n > 0, "it ended before the line {READY_LINE}");
        if tail.push(chunk.get(..n).unwrap_or_default(), READY_LINE) {
            return Ok(());
        }
    }
}

//! The correct little worker behind every scenario: reads frames, answers what is quick, and gives each request a thread.
//! What a scenario does in its place is in [`scenarios`](super::scenarios).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use millwork_protocol::envelope::EnvelopeError;
use millwork_protocol::{Bytes, Envelope, Limits, Map, READY_LINE};
use nix::sys::signal::{SigSet, Signal};

use super::call::{Call, Stop};
use super::nodes;
use super::out::{Out, stderr};
use super::scenario::{Scenario, Twist};

/// How long requests may go on after the end of input, and again after they were cancelled.
const GRACE: Duration = Duration::from_millis(500);
/// The type of a message is near its beginning: within so many bytes.
const HEAD: usize = 64;

/// One worker in its one life.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) out: Out,
    scenario: &'static Scenario,
    /// The request at which the scenario happens, from 1.
    at: u64,
    requests: AtomicU64,
    limits: Limits,
    running: Mutex<HashMap<String, Arc<Stop>>>,
    ended: Condvar,
}

impl Worker {
    pub(super) fn new(scenario: &'static Scenario, at: u64, limits: Limits, stdout: File) -> Arc<Self> {
        Arc::new(Self {
            out: Out::new(stdout),
            scenario,
            at,
            requests: AtomicU64::new(0),
            limits,
            running: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    /// Lives its life. The caller exits when it is over.
    pub(super) fn live(self: Arc<Self>, stdin: File) -> io::Result<()> {
        self.mind_sigterm()?;
        match self.scenario.twist {
            Twist::Start(start) => start(&self),
            _ => self.say_ready(),
        }
        self.read(stdin);
        match self.scenario.twist {
            Twist::IgnoreEverything | Twist::IgnoreEnd | Twist::CloseInput => forever(),
            _ => self.finish(GRACE),
        }
        Ok(())
    }

    /// SIGTERM is taken by a thread of its own, which ends the worker in order; or by nobody.
    fn mind_sigterm(self: &Arc<Self>) -> io::Result<()> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        // Threads started from here on inherit it.
        signals.thread_block()?;
        if matches!(self.scenario.twist, Twist::IgnoreEverything) {
            return Ok(());
        }
        let worker = self.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while signals.wait() != Ok(Signal::SIGTERM) {}
            worker.finish(Duration::ZERO);
            process::exit(0);
        })?;
        Ok(())
    }

    pub(super) fn say_ready(&self) {
        stderr(format!("{READY_LINE}\n").as_bytes());
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads frames until the input ends, or the scenario ends it.
    fn read(self: &Arc<Self>, stdin: File) {
        let mut input = Some(stdin);
        while let Some(stdin) = &mut input {
            let mut header = [0; 4];
            if stdin.read_exact(&mut header).is_err() {
                return;
            }
            let len = u32::from_be_bytes(header) as usize;
            if len > self.limits.max_frame {
                let text = format!("Frame of {len} bytes is larger than the maximum of {}", self.limits.max_frame);
                return self.out.error(None, &text);
            }
            let mut payload = Vec::new();
            let mut take = |limit: usize, payload: &mut Vec<u8>| {
                let wanted = limit.min(len);
                let missing = wanted.saturating_sub(payload.len()) as u64;
                stdin.by_ref().take(missing).read_to_end(payload).is_ok() && payload.len() == wanted
            };
            if !take(HEAD, &mut payload) {
                return;
            }
            if let Twist::HalfRead(act) = self.scenario.twist
                && payload.windows(8).any(|window| window == b"\xa7execute")
                && self.is_due(self.requests.load(Ordering::Relaxed) + 1)
            {
                act(self);
            }
            if !take(len, &mut payload) {
                return;
            }
            self.take_in(payload.into(), &mut input);
        }
    }

    /// Takes in one payload. `input` is what it came from, for a scenario that closes it.
    fn take_in(self: &Arc<Self>, payload: Bytes, input: &mut Option<File>) {
        let envelope = match Envelope::peek(&payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                let id = match &error {
                    EnvelopeError::Malformed { request_id, .. } => request_id.as_deref(),
                    _ => None,
                };
                return self.out.error(id, &error.to_string());
            }
        };
        let id = envelope.request_id;
        let data = match envelope.decode_data(&payload, &self.limits) {
            Ok(data) => data,
            Err(error) => return self.out.error(id, &error.to_string()),
        };
        match (envelope.kind, id) {
            (Some("cancel"), Some(id)) => self.cancel(id),
            (Some("cancel"), None) => {}
            (Some("discover"), Some(id)) => match self.scenario.twist {
                Twist::Discover(answer) => answer(self, id),
                _ => self.out.send("discover", Some(id), &nodes::discover()),
            },
            (Some(kind @ ("execute" | "execute.stream")), Some(id)) => self.begin(kind, id, data, input),
            (kind, id) => match nodes::plain_answer(kind.unwrap_or_default(), &data, &self.limits) {
                Ok(answer) => self.out.send("result", id, &answer),
                Err(text) => self.out.error(id, &text),
            },
        }
    }

    fn is_due(&self, request: u64) -> bool {
        request == self.at
    }

    /// Gives a request its thread.
    fn begin(self: &Arc<Self>, kind: &str, id: &str, data: Map, input: &mut Option<File>) {
        let is_due = self.is_due(self.requests.fetch_add(1, Ordering::Relaxed) + 1);
        match self.scenario.twist {
            Twist::Read(act) if is_due => act(self),
            Twist::CloseInput if is_due => drop(input.take()),
            _ => {}
        }
        let stop = Arc::<Stop>::default();
        self.running().insert(id.to_owned(), stop.clone());
        let call = Call { worker: self.clone(), kind: kind.to_owned(), id: id.to_owned(), data, stop };
        let run = move || {
            match (is_due, &call.worker.scenario.twist) {
                (true, Twist::Request(act)) => act(&call),
                _ => call.answer(),
            }
            call.worker.running().remove(&call.id);
            call.worker.ended.notify_all();
        };
        if let Err(error) = thread::Builder::new().name("request".to_owned()).spawn(run) {
            self.running().remove(id);
            self.out.error(Some(id), &format!("no thread to run it: {error}"));
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<Stop>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel(&self, id: &str) {
        if let Some(stop) = self.running().get(id) {
            stop.set();
        }
    }

    /// Lets requests end, for so long by themselves and then cancelled.
    fn finish(&self, by_themselves: Duration) {
        self.wait_for_requests(by_themselves);
        self.running().values().for_each(|stop| stop.set());
        self.wait_for_requests(GRACE);
    }

    fn wait_for_requests(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let mut running = self.running();
        while let (false, Some(left)) = (running.is_empty(), end.checked_duration_since(Instant::now())) {
            running = self.ended.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Does nothing any more. Signals, and the limit on a worker's life, still end the process.
pub(super) fn forever() -> ! {
    loop {
        thread::park();
    }
}

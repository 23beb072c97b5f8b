//! Requests whose answers show whether they are the right ones: each holds something that no other has.

use std::collections::{BTreeMap, HashMap};

use millwork_conformance::random::Random;
use millwork_e2e::{Map, Request, Value, map};

use crate::host::{Host, Reply};

/// What a request has to be answered with.
#[derive(Debug)]
enum Due {
    Value(Value),
    Sum(f64),
    /// So many chunks, of which this one is the next.
    Chunks {
        count: i64,
        next: i64,
    },
    /// The bytes that this seed makes.
    Blob {
        seed: u64,
        len: usize,
    },
    /// It ends its worker: an error.
    Death,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) right: u64,
    /// Errors by their kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What must not be: answers to nothing, with another's data, without a cause.
    pub(crate) wrong: Vec<String>,
}

/// Requests under way.
pub(crate) struct Load {
    random: Random,
    sent: u64,
    due: HashMap<String, Due>,
    /// Bytes of the blobs under way.
    bytes: usize,
    most_bytes: usize,
    /// Neither streams nor blobs.
    small: bool,
    pub(crate) tally: Tally,
}

/// Errors that a fault may bring.
const UNDER_FAULT: [&str; 5] = ["worker_died", "timeout", "unavailable", "poison", "overloaded"];
/// Blobs under way at once.
const BYTES_UNDER_WAY: usize = 48 << 20;

impl Load {
    /// With blobs of up to so many bytes.
    pub(crate) fn new(seed: u64, most_bytes: usize) -> Self {
        let random = Random::new(seed);
        Self { random, sent: 0, due: HashMap::new(), bytes: 0, most_bytes, small: false, tally: Tally::default() }
    }

    /// Without streams and blobs.
    pub(crate) fn small(seed: u64) -> Self {
        Self { small: true, ..Self::new(seed, 0) }
    }

    /// How many requests were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    pub(crate) fn under_way(&self) -> usize {
        self.due.len()
    }

    /// Sends one more request.
    pub(crate) fn send(&mut self, host: &mut Host) {
        let (kind, request, due) = match self.random.below(if self.small { 75 } else { 100 }) {
            0..60 => {
                let len = self.random.below(if self.small { 100 } else { 2_000 });
                let text = format!("{:016x}{}", self.random.next(), "·".repeat(len / 2));
                let value = Value::Map(map! { "text" => text, "n" => i64::from(self.random.next() as u32) });
                ("execute", Request::node("test.Echo").field("value", value.clone()), Due::Value(value))
            }
            60..75 => {
                let (a, b) = (f64::from(self.random.next() as u32), f64::from(self.random.next() as u32));
                ("execute", Request::node("test.Add").field("a", a).field("b", b), Due::Sum(a + b))
            }
            75..90 => {
                let count = 1 + self.random.below(30) as i64;
                let nonce = self.random.next().to_string();
                let request = Request::node("test.Stream").field("n", count).field("bytes", 100).with("nonce", nonce);
                ("execute.stream", request, Due::Chunks { count, next: 0 })
            }
            _ => {
                let most = if self.random.below(40) == 0 { self.most_bytes } else { self.most_bytes.min(128 << 10) };
                let len = 1 + self.random.below(most);
                let len = if self.bytes + len > BYTES_UNDER_WAY { 1 } else { len };
                let seed = self.random.next();
                self.bytes += len;
                let blob = Random::new(seed).bytes(len);
                ("execute", Request::node("test.Echo").blob("value", blob), Due::Blob { seed, len })
            }
        };
        let data: Map = request.with("timeout_ms", 60_000).into();
        let id = host.send(kind, &data);
        self.sent += 1;
        self.due.insert(id, due);
    }

    /// Sends a request that ends its worker.
    pub(crate) fn send_fatal(&mut self, host: &mut Host, request: Request) {
        let data: Map = request.with("nonce", self.random.next().to_string()).into();
        let id = host.send("execute", &data);
        self.sent += 1;
        self.due.insert(id, Due::Death);
    }

    /// Takes a frame for what it is.
    pub(crate) fn take(&mut self, reply: &Reply) {
        let Some(due) = self.due.get_mut(&reply.id) else {
            self.tally.wrong.push(format!("a `{}` for {}, which is not under way", reply.kind, reply.id));
            return;
        };
        if !reply.is_terminal() {
            if let (Due::Chunks { next, .. }, "chunk") = (&mut *due, reply.kind.as_str()) {
                let number = reply.data().get("outputs").and_then(|outputs| outputs.get("output")?.as_i64());
                if number != Some(*next) {
                    self.tally.wrong.push(format!("{} has the chunk {number:?} where {next} was due", reply.id));
                }
                *next += 1;
            }
            return;
        }
        let Some(due) = self.due.remove(&reply.id) else { return };
        if let Due::Blob { len, .. } = due {
            self.bytes -= len;
        }
        if reply.kind == "error" {
            let kind = reply.text("kind");
            if !UNDER_FAULT.contains(&kind.as_str()) && !matches!(due, Due::Death) {
                self.tally.wrong.push(format!("{}: {kind:?} {}", reply.id, reply.text("error")));
            }
            *self.tally.errors.entry(kind).or_default() += 1;
        } else if due.is_met_by(&reply.data()) {
            self.tally.right += 1;
        } else {
            self.tally.wrong.push(format!("{} has another's answer: {due:?}", reply.id));
        }
    }
}

impl Due {
    fn is_met_by(&self, data: &Map) -> bool {
        let output = data.get("outputs").and_then(|outputs| outputs.get("output"));
        match self {
            Self::Value(value) => output == Some(value),
            Self::Sum(sum) => output.and_then(Value::as_f64) == Some(*sum),
            Self::Chunks { count, next } => count == next,
            Self::Blob { seed, len } => {
                let blob = data.get("blobs").and_then(|blobs| blobs.get("output"));
                matches!(blob, Some(Value::Bytes(bytes)) if *bytes == Random::new(*seed).bytes(*len))
            }
            // Memory that was given after all.
            Self::Death => true,
        }
    }
}

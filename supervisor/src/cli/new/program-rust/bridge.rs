//! The bridge protocol: frames in on stdin, frames out on stdout. What the nodes are is not known here.
//!
//! Stdout belongs to the frames; what is to be logged goes to stderr, with `eprintln!`.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, panic, thread};

use millwork_protocol::message::{
    DiscoverData, ErrorData, ErrorKind, ExecuteOutput, ExecuteRequest,
};
use millwork_protocol::message::{ProviderList, Request, StatusData};
use millwork_protocol::{
    Bytes, Envelope, EnvelopeError, Frame, FrameEvent, FrameReader, Limits, Map, NodeMetadata,
};
use millwork_protocol::{READY_LINE, Value, limits, map};

/// A worker.
struct Worker {
    nodes: Vec<NodeMetadata>,
    execute: fn(&ExecuteRequest, &Call) -> Result<Value, ErrorData>,
    limits: Limits,
    running: Mutex<HashMap<String, Arc<AtomicBool>>>,
}

/// A request that is under way.
pub struct Call {
    id: Option<String>,
    cancelled: Arc<AtomicBool>,
    worker: Arc<Worker>,
}

/// Serves until the host closes the pipe.
pub fn serve(
    mut nodes: Vec<NodeMetadata>,
    execute: fn(&ExecuteRequest, &Call) -> Result<Value, ErrorData>,
) -> io::Result<()> {
    if let Some(only) = option("--namespaces", "NODETOOL_WORKER_NAMESPACES") {
        nodes.retain(|node| {
            only.split(',')
                .any(|name| Some(name) == node.node_type.split('.').next())
        });
    }
    let limits = Limits::from_values(env::var(limits::MAX_FRAME_ENV).ok().as_deref(), None);
    let worker = Arc::new(Worker {
        nodes,
        execute,
        limits,
        running: Mutex::default(),
    });
    eprintln!("{READY_LINE}");
    let (mut reader, mut stdin) = (FrameReader::new(limits.max_frame), io::stdin().lock());
    loop {
        let space = reader.space();
        let start = space.len();
        // What is not read now need not be cleared now.
        let room = space.capacity().min(start + READ);
        space.resize(room, 0);
        let read = stdin.read(&mut space[start..])?;
        space.truncate(start + read);
        if read == 0 {
            return Ok(());
        }
        while let Some(event) = reader.next_event() {
            match event {
                FrameEvent::Frame(payload) => worker.receive(&payload),
                FrameEvent::Oversized { claimed, max, .. } => {
                    let text =
                        format!("Incoming frame exceeds the maximum size ({claimed} > {max})");
                    worker
                        .call(None)
                        .fail(ErrorData::new(ErrorKind::TooLarge, text));
                }
                other => worker
                    .call(None)
                    .fail(ErrorData::new(ErrorKind::TooLarge, format!("{other:?}"))),
            }
        }
    }
}

/// The value after a flag, or of a variable.
fn option(flag: &str, variable: &str) -> Option<String> {
    let given = env::args()
        .skip_while(|arg| arg != flag)
        .nth(1)
        .or_else(|| env::var(variable).ok());
    given.filter(|value| !value.is_empty())
}

/// Bytes that are read at once; a pipe holds no more.
const READ: usize = 64 * 1024;

/// What is wrong with a request.
pub fn invalid(text: impl Into<String>) -> ErrorData {
    ErrorData::new(ErrorKind::InvalidInput, text)
}

impl Worker {
    fn call(self: &Arc<Self>, id: Option<&str>) -> Call {
        Call {
            id: id.map(str::to_owned),
            cancelled: Arc::default(),
            worker: self.clone(),
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<AtomicBool>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one payload. A request gets a thread of its own, so that `cancel` is heard while it works.
    fn receive(self: &Arc<Self>, payload: &Bytes) {
        let envelope = match Envelope::peek(payload) {
            Ok(envelope) => envelope,
            Err(EnvelopeError::Malformed { cause, request_id }) => {
                return self
                    .call(request_id.as_deref())
                    .fail(invalid(format!("Invalid msgpack: {cause}")));
            }
            Err(error) => return self.call(None).fail(invalid(error.to_string())),
        };
        let call = self.call(envelope.request_id);
        let kind = envelope.kind.unwrap_or_default().to_owned();
        let mut running = self.running();
        let id = call.id.clone().unwrap_or_default();
        if kind == "cancel" {
            // One that has ended needs none.
            return running
                .get(&id)
                .into_iter()
                .for_each(|cancelled| cancelled.store(true, Ordering::Relaxed));
        }
        match envelope.decode_data(payload, &self.limits) {
            Ok(data) => {
                running.insert(id, call.cancelled.clone());
                thread::spawn(move || call.serve(&kind, data));
            }
            Err(error) => call.fail(invalid(error.to_string())),
        }
    }
}

impl Call {
    /// Says how far the request is, and fails once the host has cancelled it.
    pub fn progress(&self, done: i64, total: i64) -> Result<(), ErrorData> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(ErrorData::new(ErrorKind::Cancelled, "cancelled"));
        }
        self.send("progress", &map! { "progress" => done, "total" => total })
    }

    /// Whatever happens, the request ends in one terminal frame.
    fn serve(&self, kind: &str, data: Map) {
        let answer = panic::catch_unwind(panic::AssertUnwindSafe(|| self.answer(kind, data)))
            .unwrap_or_else(|_| {
                Err(ErrorData::new(
                    ErrorKind::Panic,
                    "the node panicked; the log says where",
                ))
            });
        self.worker
            .running()
            .retain(|_, cancelled| !Arc::ptr_eq(cancelled, &self.cancelled));
        let terminal = if kind == "discover" {
            "discover"
        } else {
            "result"
        };
        answer
            .and_then(|data| self.send(terminal, &data))
            .unwrap_or_else(|error| self.fail(error));
    }

    fn answer(&self, kind: &str, data: Map) -> Result<Map, ErrorData> {
        let Worker {
            nodes,
            execute,
            limits,
            ..
        } = &*self.worker;
        let outputs = |request: &ExecuteRequest| {
            let outputs = map! { "output" => execute(request, self)? };
            Ok(ExecuteOutput {
                outputs,
                ..ExecuteOutput::default()
            }
            .into_map())
        };
        match Request::from_map(kind, data).map_err(|error| invalid(error.to_string()))? {
            Request::Discover(_) => {
                let discover = DiscoverData::new(nodes.clone(), Vec::new());
                Ok(DiscoverData {
                    protocol_version: Some(1),
                    ..discover
                }
                .into_map())
            }
            Request::Status(_) => Ok(StatusData {
                protocol_version: 1,
                node_count: nodes.len() as u64,
                namespaces: nodes
                    .iter()
                    .filter_map(|node| node.node_type.split('.').next().map(str::to_owned))
                    .collect(),
                transport: "stdio".to_owned(),
                max_frame_size: limits.max_frame as u64,
                ..StatusData::default()
            }
            .into_map()),
            Request::ProviderList(_) => Ok(ProviderList::default().into_map()),
            Request::Execute(request) => outputs(&request),
            Request::ExecuteStream(request) => {
                self.send("chunk", &outputs(&request)?)?;
                Ok(ExecuteOutput::default().into_map())
            }
            Request::Unknown { kind, .. } if kind.starts_with("provider.") => Err(ErrorData::new(
                ErrorKind::UnknownMessage,
                format!("Unknown provider message type: {kind}"),
            )),
            known if kind.starts_with("provider.") => {
                let provider = known
                    .into_map()
                    .get("provider")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                Err(ErrorData::new(
                    ErrorKind::UnknownProvider,
                    format!("Unknown provider: {provider}"),
                ))
            }
            _ => Err(ErrorData::new(
                ErrorKind::UnknownMessage,
                format!("Unknown message type: {kind}"),
            )),
        }
    }

    /// Writes one frame. A host that has gone is noticed where it is read from.
    fn send(&self, kind: &str, data: &Map) -> Result<(), ErrorData> {
        let (frame, max) = (
            Frame::message(kind, self.id.as_deref(), data),
            self.worker.limits.max_frame,
        );
        if frame.payload_len() > max {
            return Err(ErrorData::new(
                ErrorKind::TooLarge,
                format!("the answer exceeds the maximum frame size ({max})"),
            ));
        }
        let mut stdout = io::stdout().lock();
        let _ = stdout
            .write_all(&frame.to_bytes())
            .and_then(|()| stdout.flush());
        Ok(())
    }

    fn fail(&self, error: ErrorData) {
        let _ = self.send("error", &error.into_map());
    }
}

//! The Rust API: a fleet inside the host's own process. The fleet runs on a thread of its own, so any async runtime, or
//! none, can hold the futures here.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use millwork::Fleet;
//!
//! #[derive(serde::Serialize)]
//! struct Concat {
//!     a: String,
//!     b: String,
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Text {
//!     output: String,
//! }
//!
//! let fleet = Fleet::builder().stock().start()?;
//! let words = Concat { a: "mill".into(), b: "work".into() };
//! let text: Text = fleet.client().execute("text.Concat").input(&words).call().await?;
//! println!("{}", text.output);
//! fleet.shutdown().await;
//! # Ok(()) }
//! ```

mod builder;
mod changes;
mod execute;
mod inbox;
mod look;
mod pending;
mod typed;

use std::sync::Arc;

use millwork_protocol::message::ErrorData;
use millwork_protocol::{Frame, Map, Value};
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use builder::Builder;
pub use changes::{Changes, WorkerChange};
pub use execute::Execute;
pub(crate) use inbox::{Inbox, Terminal};
pub use look::WorkerStatus;
pub use pending::{Event, Pending, RequestError};
pub use typed::Chunks;

use crate::core::{Fingerprint, Route, fingerprint};
use crate::{Config, Error};

/// What a client asks of the fleet's thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// A request, encoded, and where its answers go.
    Request {
        kind: String,
        id: Arc<str>,
        frame: Frame,
        route: Route,
        fingerprint: Fingerprint,
        secrets: Vec<String>,
        inbox: Arc<Inbox>,
    },
    /// The request's caller no longer wants it.
    Cancel { id: Arc<str> },
    /// An inbox that was full has room again.
    Resume,
    /// Stop everything, and say when it is done.
    Shutdown(Option<oneshot::Sender<()>>),
}

/// The secrets in a request's data, which nobody may tell.
fn secrets_of(data: &Map) -> Vec<String> {
    let secrets = data.get("secrets").and_then(Value::as_map);
    let named = secrets.into_iter().flat_map(|map| map.values());
    // That of a download.
    named.chain(data.get("token")).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// How far the fleet has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No worker is ready yet, and some may still become so.
    Starting,
    /// At least one worker is ready.
    Ready,
    /// The first attempt has ended for every worker, and none is ready. Says why.
    Failed(String),
    /// The fleet has stopped, or is stopping.
    Stopped,
}

/// A running fleet. Dropping it stops every worker.
#[derive(Debug)]
pub struct Fleet {
    client: Client,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Resolves once the sink for changes has seen the last.
    told: Option<oneshot::Receiver<()>>,
}

impl Fleet {
    /// A fleet to be put together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts exactly this. Where it lists no worker, that is this executable as its own stock worker, as the command
    /// `millwork` is; an application means [`Fleet::builder`].
    ///
    /// # Errors
    /// A configuration that cannot be used, or a system that gives no thread or pipe.
    pub fn start(config: Config) -> Result<Self, Error> {
        Self::launch(config, None)
    }

    fn launch(config: Config, sink: Option<changes::Sink>) -> Result<Self, Error> {
        let (commands, inlet) = mpsc::unbounded_channel();
        let (report, progress) = watch::channel(Progress::Starting);
        let sender = broadcast::Sender::new(changes::KEPT);
        // Clients do not keep it alive: it ends with the fleet.
        let changes = sender.downgrade();
        let listen = |sink| Changes::new(sender.subscribe()).listen(sink);
        let told = sink.map(listen).transpose().map_err(Error::io("start a thread for events"))?;
        let thread = crate::fleet::spawn_thread(config, inlet, report, sender)?;
        Ok(Self { client: Client { commands, progress, changes }, thread: Mutex::new(Some(thread)), told })
    }

    /// A handle for requests; cheap to clone, and free to go to other threads.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Stops the fleet: requests in flight get a short grace, then every worker ends. Returns when all are gone, and the
    /// sink for changes, where there is one, has been told.
    pub async fn shutdown(mut self) {
        let (done, stopped) = oneshot::channel();
        if self.client.commands.send(Command::Shutdown(Some(done))).is_ok() {
            // An error means that the thread has gone already.
            let _ = stopped.await;
        }
        if let Some(told) = self.told.take() {
            let _ = told.await;
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.client.commands.send(Command::Shutdown(None));
        // The workers must not outlive us: the thread ends once they are gone, which the grace periods bound.
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

/// Sends requests to a fleet.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
    progress: watch::Receiver<Progress>,
    changes: broadcast::WeakSender<WorkerChange>,
}

impl Client {
    /// Waits until a worker is ready. Requests may be sent before: they wait in the queue.
    ///
    /// # Errors
    /// Where no worker could be started at the first attempt, with the reasons; or the fleet has stopped.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut progress = self.progress.clone();
        let outcome = progress.wait_for(|now| *now != Progress::Starting).await.map(|now| now.clone());
        match outcome {
            Ok(Progress::Ready) => Ok(()),
            Ok(Progress::Failed(reasons)) => Err(Error::NoWorker { reasons }),
            Ok(Progress::Starting | Progress::Stopped) | Err(_) => Err(Error::Stopped),
        }
    }

    /// The inventory of all workers as it came: `{protocol_version, nodes, load_errors}`. [`Client::inventory`] reads it.
    ///
    /// # Errors
    /// Where the supervisor has been stopped.
    pub async fn discover(&self) -> Result<Map, RequestError> {
        self.request("discover", Map::new()).finish().await
    }

    /// The status of the fleet, as `worker.status` gives it; one row a worker in `extensions.supervisor.workers`.
    /// [`Client::workers`] reads those.
    ///
    /// # Errors
    /// Where the supervisor has been stopped.
    pub async fn status(&self) -> Result<Map, RequestError> {
        self.request("worker.status", Map::new()).finish().await
    }

    /// The workers' changes of state from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.changes.upgrade().map_or_else(Changes::ended, |changes| Changes::new(changes.subscribe()))
    }

    /// Any message of the protocol, such as `provider.generate` or `models.evict`, with its data.
    pub fn request(&self, kind: &str, data: Map) -> Pending {
        let id: Arc<str> = uuid::Uuid::new_v4().to_string().into();
        let inbox = Arc::new(Inbox::default());
        let frame = Frame::message(kind, Some(&id), &data);
        let command = Command::Request {
            fingerprint: fingerprint_of(kind, &id, &frame),
            frame,
            route: Route::of(&data),
            secrets: secrets_of(&data),
            kind: kind.to_owned(),
            id: id.clone(),
            inbox: inbox.clone(),
        };
        if self.commands.send(command).is_err() {
            inbox.end(Terminal::stopped());
        }
        Pending::new(id, inbox, self.commands.clone())
    }

    /// A request that ended before it was sent.
    fn refused(&self, error: ErrorData) -> Pending {
        let inbox = Arc::new(Inbox::default());
        inbox.end(Terminal::Error(error));
        Pending::new("".into(), inbox, self.commands.clone())
    }

    /// A call of one node; set its fields, then send it.
    pub fn execute(&self, node_type: impl Into<String>) -> Execute {
        Execute::new(self.clone(), node_type.into())
    }
}

/// The fingerprint of an encoded request, the id left out.
fn fingerprint_of(kind: &str, id: &str, frame: &Frame) -> Fingerprint {
    let pieces = frame.clone().into_pieces();
    let find = |piece: &[u8]| piece.windows(id.len()).position(|window| window == id.as_bytes());
    pieces.iter().enumerate().fold(0, |hash: u64, (index, piece)| {
        // The id stands in the first piece, and everything before it is the same for all requests of this type.
        let from = if index == 0 { find(piece).map_or(0, |at| at + id.len()) } else { 0 };
        hash.rotate_left(7) ^ fingerprint(kind, piece.get(from..).unwrap_or_default())
    })
}

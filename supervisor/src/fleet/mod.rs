//! The thin shell around the state machine: one thread, one future, that owns all pipes and does what the machine says.
//!
//! A frame is read, routed and written on within one poll, without a task or a channel in between.

mod blot;
mod clients;
mod host;
mod reload;
mod run;
mod usage;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use millwork_protocol::limits::{BLOB_CHUNK_ENV, MAX_FRAME_ENV};
use millwork_protocol::{Frame, Limits, Map};
use tokio::sync::{broadcast, mpsc, watch};

use crate::client::{Command, Progress, WorkerChange};
use crate::config::{Config, WorkerConfig};
use crate::core::{Answer, Core, GroupPolicy, Millis, Policy, Unloaded, WorkerId};
use crate::error::Error;
use crate::observe::{Events, Question, Spans};
use crate::process::{Log, Notice, Secrets, Spawner, declared_secrets};
use crate::spare::Spare;

pub(crate) use clients::Clients;
pub(crate) use host::Host;
pub(crate) use reload::{Read, Reload};
use workers::Slot;

/// Everything that the fleet's thread owns.
#[derive(Debug)]
pub(crate) struct Fleet {
    core: Core,
    slots: Vec<Slot>,
    /// By group; nothing where the group is no more.
    specs: Vec<Option<Arc<WorkerConfig>>>,
    /// What did not load before any process.
    unloaded: Vec<Unloaded>,
    /// Files and folders of packages that are to be looked at for changes.
    watched: Vec<PathBuf>,
    spawner: Spawner,
    secrets: Secrets,
    notices: mpsc::UnboundedReceiver<Notice>,
    host: Option<Host>,
    clients: Clients,
    /// Those who ask how it is.
    questions: Option<mpsc::UnboundedReceiver<Question>>,
    events: Events,
    spans: Spans,
    reload: Option<Reload>,
    limits: Limits,
    log: Log,
    epoch: Instant,
    spare: Spare,
    /// The worker whose frames are being handled.
    reading: Option<WorkerId>,
    is_stopped: bool,
    /// When the processes are weighed again.
    usage_due: Millis,
}

impl Fleet {
    /// A fleet that has not started yet. Needs a runtime with IO around it.
    pub(crate) fn new(config: &Config, log: Log, host: Option<Host>, clients: Clients) -> Result<Self, Error> {
        let roster = config.roster()?;
        let (unloaded, watched) = (roster.unloaded(), roster.watched());
        let specs: Vec<_> = roster.workers().map(|spec| Arc::new(completed(spec.clone(), log))).collect();
        let groups = specs.iter().map(|spec| GroupPolicy::new(spec, config));
        let limits = limits();
        // Hosts may use any ids: a random prefix keeps ours apart from theirs.
        let prefix = format!("millwork-{}-", uuid::Uuid::new_v4().simple());
        let core = Core::new(Policy::new(config, limits.max_frame), groups, prefix).without(unloaded.clone());
        let (report, notices) = mpsc::unbounded_channel();
        let secrets = Secrets::default();
        let declared = declared_secrets(specs.iter().map(|spec| &**spec));
        declared.iter().filter_map(|name| std::env::var(name).ok()).for_each(|secret| secrets.keep(&secret));
        let spawner = Spawner::start(report, log, secrets.clone(), declared)
            .map_err(Error::io("start a thread for processes"))?;
        let epoch = Instant::now();
        let spare = host.as_ref().map(|host| host.link.spare().clone()).unwrap_or_default();
        Ok(Self {
            core,
            slots: Vec::new(),
            specs: specs.into_iter().map(Some).collect(),
            unloaded,
            watched,
            spawner,
            secrets,
            notices,
            host,
            clients,
            questions: None,
            events: Events::default(),
            spans: Spans::default(),
            reload: None,
            limits,
            log,
            epoch,
            spare,
            reading: None,
            is_stopped: false,
            usage_due: Millis::MAX,
        })
    }
}

impl Fleet {
    /// Goes by other settings when there are any.
    pub(crate) fn with_reload(mut self, reload: Reload) -> Self {
        let reload = self.reload.insert(reload);
        reload.watch(self.watched.clone());
        self
    }

    fn completed(&self, spec: WorkerConfig) -> WorkerConfig {
        completed(spec, self.log)
    }

    /// Tells those who watch it: what the configuration names, and those who ask.
    pub(crate) fn watched(
        mut self,
        config: &Config,
        questions: mpsc::UnboundedReceiver<Question>,
    ) -> Result<Self, Error> {
        let collector =
            config.collector().map_err(|text| crate::config::ConfigError::invalid("otlp".to_owned(), text))?;
        self.events =
            Events::open(&config.events, self.secrets.clone()).map_err(Error::io("write to the file of `events`"))?;
        self.spans = Spans::to(collector).map_err(Error::io("start a thread for spans"))?;
        self.questions = Some(questions);
        Ok(self)
    }
}

/// A worker writes its logs so that they are understood here.
fn completed(mut spec: WorkerConfig, log: Log) -> WorkerConfig {
    spec.env.entry("MILLWORK_LOG_FORMAT".to_owned()).or_insert_with(|| log.format_of_workers().to_owned());
    spec
}

/// The bounds on frames, from the environment that workers read too.
pub(crate) fn limits() -> Limits {
    let read = |name: &str| std::env::var(name).ok();
    Limits::from_values(read(MAX_FRAME_ENV).as_deref(), read(BLOB_CHUNK_ENV).as_deref())
}

/// The runtime that a fleet's thread needs: nothing is spawned on it.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::io("start a runtime"))
}

/// Starts a fleet for clients in this process on a thread of its own.
pub(crate) fn spawn_thread(
    config: Config,
    commands: mpsc::UnboundedReceiver<Command>,
    progress: watch::Sender<Progress>,
    changes: broadcast::Sender<WorkerChange>,
) -> Result<JoinHandle<()>, Error> {
    config.validate().map_err(|(key, text)| crate::config::ConfigError::invalid(key, text))?;
    let runtime = runtime()?;
    let fleet = {
        let _guard = runtime.enter();
        let fleet = Fleet::new(&config, Log::Tracing, None, Clients::new(commands, progress, changes))?;
        if fleet.watched.is_empty() { fleet } else { fleet.with_reload(Reload::of_packages(config)?) }
    };
    let thread = std::thread::Builder::new().name("millwork".to_owned());
    thread.spawn(move || runtime.block_on(fleet.run())).map_err(Error::io("start the fleet's thread"))
}

/// An answer as a frame for a host behind a pipe.
fn encode(id: &str, answer: Answer, max_frame: usize) -> Frame {
    let id = Some(id).filter(|id| !id.is_empty());
    let frame = match answer {
        Answer::Forward(payload) => Frame::forward(payload),
        Answer::Message(kind, data) => Frame::message(kind, id, &data),
        Answer::Error(error) => Frame::message("error", id, &Map::from(error)),
    };
    if frame.payload_len() <= max_frame {
        return frame;
    }
    let text = format!("the answer has {} bytes; {max_frame} is the maximum ({MAX_FRAME_ENV})", frame.payload_len());
    let error = millwork_protocol::message::ErrorData::new(millwork_protocol::message::ErrorKind::TooLarge, text);
    Frame::message("error", id, &Map::from(error))
}

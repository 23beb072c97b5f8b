//! What a supervisor is told before it starts, and where each setting came from. Reading files and the environment is in
//! [`layers`]; nothing here starts anything.
//!
//! ```toml
//! max_in_flight = 64
//!
//! [stock]                       # the worker that is used where no [[worker]] is listed
//! namespaces = ["image", "text"]
//!
//! [[worker]]
//! name = "python"
//! command = ["python", "-m", "nodetool.worker", "--stdio"]
//! env = { HF_HOME = "/models" }
//! ```

mod contain;
mod keys;
mod layers;
mod pool;
mod stock;
mod suggest;
#[cfg(target_os = "linux")]
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::observe::Collector;

pub use contain::LimitsConfig;
pub use layers::{Loaded, Origin, Overrides, Setting};
pub(crate) use pool::MOST_IN_A_POOL;
pub use pool::{Auto, Instances, Labels, Range, RecycleConfig};
pub use stock::StockConfig;

/// Everything that can be set. [`Config::default`] is one stock worker: this executable, started again as a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many requests one worker is given at a time, 1 or more; the others wait in a queue.
    pub max_in_flight: usize,
    /// How many requests may wait before further ones are refused as `overloaded`.
    pub max_queued: usize,
    /// How many bytes of requests may wait before the host's pipe is no longer read.
    pub max_queued_bytes: usize,
    /// How long one request may take, where it does not say itself (`timeout_ms` in its data), in milliseconds.
    pub request_timeout_ms: u64,
    /// How long a cancelled request may take to end by itself before its worker is killed, in milliseconds.
    pub cancel_grace_ms: u64,
    /// How long a worker has between SIGTERM and SIGKILL, in milliseconds.
    pub kill_grace_ms: u64,
    /// How long a worker may take from its start to its READY line, in milliseconds.
    pub ready_timeout_ms: u64,
    /// How long `discover`, and how long `worker.status`, may take in a worker, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// How long requests in flight may go on once the host has closed the pipe, in milliseconds.
    pub shutdown_grace_ms: u64,
    /// How long a worker may say nothing before it is asked for its status, in milliseconds; 0 for ever.
    pub health_interval_ms: u64,
    /// How long it may then go on saying nothing before it is replaced, in milliseconds.
    pub health_timeout_ms: u64,
    /// Where `serve` writes what happens, a JSON object a line: a file, `-` for stderr; nowhere where it is empty.
    pub events: String,
    /// Where `serve` answers with its figures, for Prometheus: `127.0.0.1:9464`, or `unix:` and a path; nowhere where it is
    /// empty.
    pub metrics: String,
    /// The OpenTelemetry collector that `serve` sends spans to, such as `http://localhost:4318`; none where it is empty.
    pub otlp: String,
    /// When a worker that keeps crashing is started again, and when no longer.
    pub restart: RestartConfig,
    /// The worker that is used where `worker` lists none.
    pub stock: StockConfig,
    /// The fleet. Empty means the stock worker alone.
    #[serde(rename = "worker")]
    pub workers: Vec<WorkerConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
            max_queued: 4096,
            max_queued_bytes: 256 << 20,
            request_timeout_ms: 12 * 60 * 1000,
            cancel_grace_ms: 5000,
            kill_grace_ms: 200,
            ready_timeout_ms: 20_000,
            handshake_timeout_ms: 30_000,
            shutdown_grace_ms: 500,
            health_interval_ms: 10_000,
            health_timeout_ms: 20_000,
            events: String::new(),
            metrics: String::new(),
            otlp: String::new(),
            restart: RestartConfig::default(),
            stock: StockConfig::default(),
            workers: Vec::new(),
        }
    }
}

/// Where figures are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetricsAddress {
    Tcp(std::net::SocketAddr),
    Unix(PathBuf),
}

/// Backoff and circuit breaker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestartConfig {
    /// The wait after a first crash, in milliseconds; it doubles with each further one.
    pub backoff_ms: u64,
    /// The longest such wait, in milliseconds.
    pub max_backoff_ms: u64,
    /// So many crashes without stable uptime in between open the circuit: the worker counts as failed.
    pub max_crashes: u32,
    /// How long the circuit stays open before one start is tried, in milliseconds.
    pub open_ms: u64,
    /// A worker that has been up for so long counts as stable, which forgets its crashes, in milliseconds.
    pub stable_ms: u64,
}

impl Default for RestartConfig {
    fn default() -> Self {
        Self { backoff_ms: 100, max_backoff_ms: 30_000, max_crashes: 6, open_ms: 60_000, stable_ms: 30_000 }
    }
}

/// One program that speaks the protocol, and how many of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// What it is called in status, logs and errors.
    pub name: String,
    /// The program and its arguments. A bare name is looked up in `PATH`.
    pub command: Vec<String>,
    /// Variables added to the supervisor's own environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The folder it starts in; the supervisor's own where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// How many processes of it; the least busy one gets the next request.
    #[serde(default, skip_serializing_if = "pool::is_one")]
    pub instances: Instances,
    /// Overrides [`Config::max_in_flight`] for each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<usize>,
    /// How much it may take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: LimitsConfig,
    /// The supervisor's variables that it is given, `HF_*` for all that begin so; all of them where the list is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_allow: Vec<String>,
    /// Variables of the supervisor that hold secrets: only workers that name them are given them, and they are blotted
    /// out of logs and errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Whether each of its processes has a temporary folder of its own, which goes with it.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub temp: bool,
    /// Whether it reaches only its own files, and no system calls that no worker needs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sandbox: bool,
    /// Other folders and files that it may read in a sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sandbox_read: Vec<PathBuf>,
    /// Other folders and files that it may also change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sandbox_write: Vec<PathBuf>,
    /// How long a process beyond the least number may have nothing to do before it is stopped, in milliseconds; 0 for ever.
    #[serde(default = "pool::idle_stop", skip_serializing_if = "pool::is_idle_stop")]
    pub idle_stop_ms: u64,
    /// When a process is replaced although nothing is wrong with it.
    #[serde(default, skip_serializing_if = "pool::is_default")]
    pub recycle: RecycleConfig,
    /// Workers with the same word here are alternatives: what several of them have goes to whichever is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What its machine has, for requests that need it.
    #[serde(default, skip_serializing_if = "pool::is_default")]
    pub labels: Labels,
    /// Whether it must answer `worker.status` also while requests are on it, or else counts as dead. Where it is not given:
    /// if it is built with Millwork's runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_while_busy: Option<bool>,
    /// Whether a request that it dies of is sent once more, if its node is declared idempotent and it has emitted nothing.
    #[serde(default, skip_serializing_if = "pool::is_default")]
    pub retry_idempotent: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_yes(value: &bool) -> bool {
    *value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Why a configuration cannot be used. Each text names the setting and where it stands.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file that was named, or that is there, cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{origin} is not TOML: {text}")]
    Syntax {
        /// The layer.
        origin: Origin,
        /// What is wrong, with line and column.
        text: String,
    },
    /// There is no such setting.
    #[error("unknown setting `{key}` in {origin}{}", suggestion.as_ref().map(|s| format!(": did you mean `{s}`?")).unwrap_or_default())]
    UnknownKey {
        /// The setting as it was written.
        key: String,
        /// The layer.
        origin: Origin,
        /// A setting with a name like it.
        suggestion: Option<String>,
    },
    /// A value of a wrong type or out of range.
    #[error("`{key}` in {origin}: {text}")]
    BadValue {
        /// The setting.
        key: String,
        /// The layer.
        origin: Origin,
        /// What is wrong with it.
        text: String,
    },
    /// Flags of the stock worker where there is none.
    #[error("{flags} has no effect: none of the workers in {origin} is Millwork's own")]
    NoEffect {
        /// The flags.
        flags: String,
        /// What names the workers.
        origin: Origin,
    },
    /// The path of this executable, which the stock worker is started from, is not known.
    #[error("cannot start the stock worker: the path of this executable is not known ({0})")]
    NoExecutable(std::io::Error),
}

impl ConfigError {
    /// A value that was set by code.
    pub(crate) fn invalid(key: String, text: String) -> Self {
        Self::BadValue { key, origin: Origin::Default, text }
    }
}

impl WorkerConfig {
    /// A worker of one process with nothing else set.
    pub fn new(name: impl Into<String>, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            name: name.into(),
            command: command.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            cwd: None,
            instances: Instances::ONE,
            max_in_flight: None,
            limits: LimitsConfig::default(),
            env_allow: Vec::new(),
            secrets: Vec::new(),
            temp: true,
            sandbox: false,
            sandbox_read: Vec::new(),
            sandbox_write: Vec::new(),
            idle_stop_ms: pool::idle_stop(),
            recycle: RecycleConfig::default(),
            pool: None,
            labels: Labels::default(),
            health_while_busy: None,
            retry_idempotent: false,
        }
    }

    /// Whether it is Millwork's own worker, however it is called: `millwork worker`, or `millwork-worker`.
    fn is_stock(&self) -> bool {
        let program = self.command.first().and_then(|program| Path::new(program).file_name()?.to_str());
        match program {
            Some("millwork-worker") => true,
            Some("millwork") => self.command.get(1).is_some_and(|first| first == "worker"),
            _ => false,
        }
    }
}

impl Config {
    /// A fleet of these workers with every limit at its default.
    pub fn with_workers(workers: impl IntoIterator<Item = WorkerConfig>) -> Self {
        Self { workers: workers.into_iter().collect(), ..Self::default() }
    }

    /// Reads the layers: files, environment, flags, each over the one before.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting and the layer.
    pub fn load(overrides: &Overrides) -> Result<Loaded, ConfigError> {
        layers::load(overrides)
    }

    /// The workers to start: those listed, or else the stock one, which is this executable.
    ///
    /// # Errors
    /// Where the stock worker is needed and the path of this executable is not known.
    pub fn fleet(&self) -> Result<Vec<WorkerConfig>, ConfigError> {
        if !self.workers.is_empty() {
            return Ok(self.workers.clone());
        }
        let program = std::env::current_exe().map_err(ConfigError::NoExecutable)?;
        Ok(vec![self.stock.worker(&program.to_string_lossy())])
    }

    /// Where spans go; nothing where they go nowhere.
    pub(crate) fn collector(&self) -> Result<Option<Collector>, String> {
        (!self.otlp.is_empty()).then(|| Collector::parse(&self.otlp)).transpose()
    }

    /// Where figures are answered; nothing where they are not.
    pub(crate) fn metrics_address(&self) -> Result<Option<MetricsAddress>, String> {
        match (self.metrics.as_str(), self.metrics.strip_prefix("unix:")) {
            ("", _) => Ok(None),
            (_, Some("")) => Err("`unix:` needs a path behind it".to_owned()),
            (_, Some(path)) => Ok(Some(MetricsAddress::Unix(path.into()))),
            (text, None) => match text.parse() {
                Ok(address) => Ok(Some(MetricsAddress::Tcp(address))),
                Err(_) => Err(format!("{text:?} is no address: 127.0.0.1:9464, [::1]:9464, unix:/run/millwork.sock")),
            },
        }
    }

    /// Whether every value can be used.
    ///
    /// # Errors
    /// The first setting that cannot, with what is wrong.
    pub fn validate(&self) -> Result<(), (String, String)> {
        let positive = [
            ("max_in_flight", self.max_in_flight as u64),
            ("request_timeout_ms", self.request_timeout_ms),
            ("ready_timeout_ms", self.ready_timeout_ms),
            ("handshake_timeout_ms", self.handshake_timeout_ms),
            ("health_timeout_ms", self.health_timeout_ms),
            ("restart.backoff_ms", self.restart.backoff_ms),
            ("restart.max_crashes", self.restart.max_crashes.into()),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(((*key).to_owned(), "must be 1 or more".to_owned()));
        }
        if let Err(problem) = self.metrics_address() {
            return Err(("metrics".to_owned(), problem));
        }
        if let Err(problem) = self.collector() {
            return Err(("otlp".to_owned(), problem));
        }
        let in_pool = |name: &String| self.workers.iter().filter(|other| other.pool.as_ref() == Some(name)).count();
        for (index, worker) in self.workers.iter().enumerate() {
            let problem = if worker.name.is_empty() {
                "has no name".to_owned()
            } else if worker.command.first().is_none_or(String::is_empty) {
                format!("`{}` has an empty command", worker.name)
            } else if let Some(problem) = worker.problem() {
                format!("`{}`: {problem}", worker.name)
            } else if self.workers[..index].iter().any(|other| other.name == worker.name) {
                format!("two workers are called `{}`", worker.name)
            } else if let Some(problem) = worker.containment_problem() {
                format!("`{}`: {problem}", worker.name)
            } else if let Some(name) = worker.pool.as_ref().filter(|name| in_pool(name) > MOST_IN_A_POOL) {
                format!("more than {MOST_IN_A_POOL} workers are in the pool `{name}`; divide it")
            } else {
                continue;
            };
            return Err(("worker".to_owned(), problem));
        }
        match self.stock.worker("millwork").containment_problem() {
            Some(problem) => Err(("stock".to_owned(), problem)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let same = Config::with_workers([WorkerConfig::new("a", ["x"]), WorkerConfig::new("a", ["y"])]);
        assert_eq!(same.validate().unwrap_err().1, "two workers are called `a`");
        let empty = Config::with_workers([WorkerConfig::new("a", [""; 0])]);
        assert_eq!(empty.validate().unwrap_err().1, "`a` has an empty command");
        let with = |instances: Instances| {
            let worker = WorkerConfig { instances, ..WorkerConfig::new("a", ["x"]) };
            Config::with_workers([worker]).validate().map_err(|(_, text)| text)
        };
        assert!(with(0.into()).unwrap_err().starts_with("`a`: instances must be 1 or more"));
        let range = |min, max| with(Instances::Range(Range { min, max }));
        assert_eq!(range(3, 2).unwrap_err(), "`a`: instances: `min` is 3, which is more than `max`, 2");
        assert_eq!((range(0, 1), with(Instances::Auto(Auto::Auto))), (Ok(()), Ok(())));
        let zero = Config { max_in_flight: 0, ..Config::default() };
        assert_eq!(zero.validate().unwrap_err(), ("max_in_flight".to_owned(), "must be 1 or more".to_owned()));
    }
}

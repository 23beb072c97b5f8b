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
//!
//! [[package]]                   # nodes of somebody else, beside those above
//! path = "packages/digits"
//! ```

mod contain;
mod keys;
mod layers;
mod named;
mod package;
mod pool;
mod program;
mod revision;
mod roster;
mod stock;
#[cfg(target_os = "linux")]
pub(crate) mod watch;
#[cfg(target_os = "linux")]
pub(crate) mod watch_packages;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::observe::Collector;

pub use contain::LimitsConfig;
pub use layers::{Loaded, Origin, Overrides, Setting};
pub use named::user_packages;
pub use package::{PackageConfig, PackageSource};
pub(crate) use pool::MOST_IN_A_POOL;
pub use pool::{Auto, Instances, Labels, Range, RecycleConfig};
pub use roster::{Package, Roster};
pub use stock::StockConfig;
pub use worker::WorkerConfig;

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
    /// Whether changed files of packages are picked up while the fleet runs.
    pub watch: bool,
    /// Packages of nodes, each a worker beside the others. The first of a name is used.
    #[serde(rename = "package")]
    pub packages: Vec<PackageConfig>,
    /// The program that is the stock worker and runs folders of nodes; where it is not given, this executable.
    #[serde(skip)]
    pub program: Option<PathBuf>,
    /// Variables of every worker that does not set them itself.
    #[serde(skip)]
    pub worker_env: BTreeMap<String, String>,
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
            watch: false,
            packages: Vec::new(),
            program: None,
            worker_env: BTreeMap::new(),
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

    /// Looks for the packages, and says which workers there are to start: those listed, or else the stock one, which is this
    /// executable; and one for each package.
    ///
    /// # Errors
    /// Where the path of this executable is not known.
    pub fn roster(&self) -> Result<Roster, ConfigError> {
        Roster::find(self)
    }

    /// The workers of the configuration alone.
    fn listed(&self) -> Result<Vec<WorkerConfig>, ConfigError> {
        if !self.workers.is_empty() {
            return Ok(self.workers.clone());
        }
        Ok(vec![self.stock.worker(&self.program()?)])
    }

    /// The program of the stock worker.
    fn program(&self) -> Result<String, ConfigError> {
        let own = || std::env::current_exe().map_err(ConfigError::NoExecutable);
        let program = self.program.clone().map_or_else(own, Ok)?;
        Ok(program.to_string_lossy().into_owned())
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
        if let Some(problem) = self.packages.iter().find_map(PackageConfig::problem) {
            return Err(("package".to_owned(), problem));
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

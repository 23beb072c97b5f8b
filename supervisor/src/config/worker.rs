//! One entry of the fleet: a program that speaks the protocol, what it is given, and how many of it. What of it cannot work is in
//! [`pool`](super::pool) and [`contain`](super::contain).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::pool::{self, Instances, Labels, RecycleConfig};
use super::{LimitsConfig, PackageSource};

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
    #[serde(default, skip_serializing_if = "pool::is_default")]
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
    #[serde(default, skip_serializing_if = "pool::is_default")]
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
    /// The package that it is, where it is one.
    #[serde(skip)]
    pub package: Option<Arc<PackageSource>>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_yes(value: &bool) -> bool {
    *value
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
            package: None,
        }
    }

    /// Whether it is Millwork's own worker, however it is called: `millwork worker`, or `millwork-worker`.
    pub(crate) fn is_stock(&self) -> bool {
        let program = self.command.first().and_then(|program| Path::new(program).file_name()?.to_str());
        match program {
            Some("millwork-worker") => true,
            Some("millwork") => self.command.get(1).is_some_and(|first| first == "worker"),
            _ => false,
        }
    }
}

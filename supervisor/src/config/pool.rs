//! How many processes of a worker there are and when they are replaced. What it is and what it runs is in the module above.

use serde::{Deserialize, Serialize};

use super::WorkerConfig;

/// How many entries may share a `pool`.
pub(crate) const MOST_IN_A_POOL: usize = 64;

/// How many processes of a worker run: `3`, `"auto"`, or `{ min = 1, max = 4 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a whole number, \"auto\", or a table such as { min = 1, max = 4 }")]
#[non_exhaustive]
pub enum Instances {
    /// Always so many.
    Fixed(usize),
    /// From one to one a core, as requests wait.
    Auto(Auto),
    /// As requests wait.
    Range(Range),
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// From one to one a core.
    Auto,
}

/// The least and the largest number of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// So many are kept; with 0, all may be stopped, and the first request for them starts one.
    pub min: usize,
    /// No more than so many.
    pub max: usize,
}

impl Instances {
    /// Always one.
    pub(crate) const ONE: Self = Self::Fixed(1);

    /// The least and the largest number.
    #[must_use]
    pub fn range(self) -> (usize, usize) {
        match self {
            Self::Fixed(n) => (n, n),
            Self::Auto(Auto::Auto) => (1, std::thread::available_parallelism().map_or(1, Into::into)),
            Self::Range(Range { min, max }) => (min, max),
        }
    }
}

impl Default for Instances {
    fn default() -> Self {
        Self::ONE
    }
}

impl From<usize> for Instances {
    fn from(n: usize) -> Self {
        Self::Fixed(n)
    }
}

/// When a worker is replaced although nothing is wrong with it; where a limit is 0, never because of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecycleConfig {
    /// After so many requests.
    pub max_requests: u64,
    /// After so much time, in milliseconds.
    pub max_age_ms: u64,
    /// As soon as its process has more resident memory than this.
    pub max_rss_bytes: u64,
    /// End the old one before its successor is started, because two of them do not fit. Requests wait meanwhile.
    pub stop_first: bool,
}

/// What a worker's machine has. What is not given is not known, and counts as enough.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Labels {
    /// Whether there is a GPU for it; without one it has no video memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<bool>,
    /// How much video memory it may use, in GB, held against a request's `requires_vram_gb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_gb: Option<f64>,
}

impl Labels {
    /// The video memory, where it is known.
    pub(crate) fn vram(&self) -> Option<f64> {
        if self.gpu == Some(false) { Some(0.0) } else { self.vram_gb }
    }

    pub(super) fn are_possible(&self) -> bool {
        self.vram_gb.is_none_or(|gb| gb >= 0.0 && (gb == 0.0 || self.gpu != Some(false)))
    }
}

impl WorkerConfig {
    /// What is wrong with its numbers.
    pub(super) fn problem(&self) -> Option<String> {
        match self.instances.range() {
            (_, 0) => Some("instances must be 1 or more, and so must the `max` of a range".to_owned()),
            (min, max) if min > max => Some(format!("instances: `min` is {min}, which is more than `max`, {max}")),
            _ if self.max_in_flight == Some(0) => Some("max_in_flight must be 1 or more".to_owned()),
            _ if !self.labels.are_possible() => {
                Some("labels.vram_gb must be 0 or more, and 0 without a GPU".to_owned())
            }
            _ if self.pool.as_deref() == Some("") => Some("pool must not be empty; leave it out for none".to_owned()),
            _ => None,
        }
    }
}

/// How long a worker beyond the least number may have nothing to do before it is stopped.
pub(super) fn idle_stop() -> u64 {
    300_000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
pub(super) fn is_idle_stop(ms: &u64) -> bool {
    *ms == idle_stop()
}

pub(super) fn is_one(instances: &Instances) -> bool {
    *instances == Instances::ONE
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

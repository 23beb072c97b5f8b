//! The numbers that the state machine goes by, and when a crashed worker is started again.

use std::sync::Arc;

use crate::config::{Config, PackageSource, RecycleConfig, RestartConfig, WorkerConfig};

/// Milliseconds on a clock that only goes forward.
pub(crate) type Millis = u64;

/// The limits of a [`Config`], as the state machine uses them.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) max_queued: usize,
    pub(crate) max_queued_bytes: usize,
    pub(crate) request_timeout: Millis,
    pub(crate) cancel_grace: Millis,
    pub(crate) kill_grace: Millis,
    pub(crate) ready_timeout: Millis,
    pub(crate) handshake_timeout: Millis,
    pub(crate) shutdown_grace: Millis,
    /// How long a worker may be silent before it is asked for its status; 0 for ever.
    pub(crate) health_interval: Millis,
    pub(crate) health_timeout: Millis,
    pub(crate) restart: RestartConfig,
    pub(crate) max_frame: usize,
}

impl Policy {
    pub(crate) fn new(config: &Config, max_frame: usize) -> Self {
        Self {
            max_queued: config.max_queued,
            max_queued_bytes: config.max_queued_bytes,
            request_timeout: config.request_timeout_ms,
            cancel_grace: config.cancel_grace_ms,
            kill_grace: config.kill_grace_ms,
            ready_timeout: config.ready_timeout_ms,
            handshake_timeout: config.handshake_timeout_ms,
            shutdown_grace: config.shutdown_grace_ms,
            health_interval: config.health_interval_ms,
            health_timeout: config.health_timeout_ms,
            restart: config.restart.clone(),
            max_frame,
        }
    }
}

/// One entry of the configuration, as the state machine uses it.
#[derive(Debug, Clone)]
pub(crate) struct GroupPolicy {
    pub(crate) name: String,
    /// Groups of one pool are alternatives for what several of them have.
    pub(crate) pool: Option<String>,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) max_in_flight: usize,
    /// How long a worker beyond the least number has nothing to do before it is stopped; 0 for ever.
    pub(crate) idle_stop: Millis,
    pub(crate) recycle: RecycleConfig,
    /// Whether it must answer while requests are on it; where nothing is said, if it is built with Millwork's runtime.
    pub(crate) health_while_busy: Option<bool>,
    pub(crate) retry_idempotent: bool,
    /// The video memory that its labels give it.
    pub(crate) vram_gb: Option<f64>,
    /// The package that it is, where it is one.
    pub(crate) package: Option<Arc<PackageSource>>,
}

impl GroupPolicy {
    pub(crate) fn new(worker: &WorkerConfig, config: &Config) -> Self {
        let (min, max) = worker.instances.range();
        Self {
            name: worker.name.clone(),
            pool: worker.pool.clone(),
            min,
            max,
            max_in_flight: worker.max_in_flight.unwrap_or(config.max_in_flight),
            idle_stop: worker.idle_stop_ms,
            recycle: worker.recycle.clone(),
            health_while_busy: worker.health_while_busy,
            retry_idempotent: worker.retry_idempotent,
            vram_gb: worker.labels.vram(),
            package: worker.package.clone(),
        }
    }
}

impl GroupPolicy {
    /// Whether a node of this type may be its own: those of a package are in its namespaces.
    pub(super) fn may_have(&self, node_type: &str) -> bool {
        let first = node_type.split('.').next().unwrap_or_default();
        self.package.as_ref().is_none_or(|package| package.namespaces.iter().any(|namespace| namespace == first))
    }
}

/// What follows a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another start after this wait.
    BackOff(Millis),
    /// The circuit opens: no start before this wait is over, and then a single one on trial.
    Open(Millis),
}

/// The crashes of one worker. Only stable uptime forgets them: a start that succeeds does not.
#[derive(Debug, Clone, Default)]
pub(super) struct Crashes {
    count: u32,
}

impl Crashes {
    /// Takes note of a crash after `uptime` milliseconds of being ready.
    pub(super) fn add(&mut self, uptime: Millis, jitter: u64, policy: &RestartConfig) -> Next {
        if uptime >= policy.stable_ms {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        if self.count >= policy.max_crashes {
            return Next::Open(policy.open_ms);
        }
        let doubled = policy.backoff_ms.saturating_mul(1 << (self.count - 1).min(30));
        let wait = doubled.min(policy.max_backoff_ms);
        // Up to a quarter more, so that workers that died together do not all start together.
        Next::BackOff(wait + wait / 4 * (jitter % 16) / 15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_then_the_circuit_opens() {
        let policy =
            RestartConfig { backoff_ms: 100, max_backoff_ms: 350, max_crashes: 5, open_ms: 9000, stable_ms: 10_000 };
        let mut crashes = Crashes::default();
        let steps: Vec<Next> = (0..6).map(|_| crashes.add(0, 0, &policy)).collect();
        let waits = [100, 200, 350, 350].map(Next::BackOff);
        assert_eq!(steps, [&waits[..], &[Next::Open(9000), Next::Open(9000)]].concat());
        // The start on trial crashes before it is stable: open again at once.
        assert_eq!(crashes.add(9999, 0, &policy), Next::Open(9000));
        assert_eq!(crashes.add(10_000, 0, &policy), Next::BackOff(100));
    }

    #[test]
    fn jitter_adds_a_quarter_at_most() {
        for jitter in 0..40 {
            let Next::BackOff(wait) = Crashes::default().add(0, jitter, &RestartConfig::default()) else { panic!() };
            assert!((100..=125).contains(&wait), "{wait}");
        }
    }
}

//! Jobs: which nodes took part in which run, so that ending a run frees what only it used. Idle jobs end by themselves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexSet;
use parking_lot::{Condvar, Mutex};

use crate::models::ModelCache;

/// The environment variable for the time after which an idle job is ended, in seconds; 0 turns that off.
pub(crate) const TTL_ENV: &str = "NODETOOL_WORKER_JOB_TTL_SECONDS";
const DEFAULT_TTL: Duration = Duration::from_secs(1800);

/// The open jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    open: Mutex<HashMap<String, Job>>,
    changed: Condvar,
    ttl: Option<Duration>,
    models: ModelCache,
}

#[derive(Debug)]
struct Job {
    nodes: IndexSet<String>,
    last_used: Instant,
}

impl Jobs {
    /// No jobs; `ttl` is the value of [`TTL_ENV`].
    pub(crate) fn new(ttl: Option<&str>, models: ModelCache) -> Arc<Self> {
        let seconds = ttl.and_then(|text| text.trim().parse::<f64>().ok()).filter(|s| s.is_finite() && *s >= 0.0);
        let ttl = seconds.map_or(DEFAULT_TTL, |s| Duration::try_from_secs_f64(s).unwrap_or(DEFAULT_TTL));
        let ttl = (!ttl.is_zero()).then_some(ttl);
        Arc::new(Self { open: Mutex::default(), changed: Condvar::new(), ttl, models })
    }

    /// Opens a job, or finds it open.
    pub(crate) fn start(self: &Arc<Self>, job_id: &str) {
        let mut open = self.open.lock();
        let first = open.is_empty();
        open.entry(job_id.to_owned())
            .or_insert_with(|| Job { nodes: IndexSet::new(), last_used: Instant::now() })
            .last_used = Instant::now();
        self.changed.notify_all();
        if let (true, Some(ttl)) = (first, self.ttl) {
            let jobs = Arc::clone(self);
            let watch = std::thread::Builder::new().name("millwork-jobs".into()).spawn(move || jobs.end_idle(ttl));
            if let Err(error) = watch {
                tracing::warn!(%error, "idle jobs will not be ended");
            }
        }
    }

    /// Takes note that a node works for a job, which that opens.
    pub(crate) fn used(self: &Arc<Self>, job_id: &str, node_id: Option<&str>) {
        if job_id.is_empty() {
            return;
        }
        self.start(job_id);
        if let (Some(job), Some(node_id)) = (self.open.lock().get_mut(job_id), node_id) {
            job.nodes.insert(node_id.to_owned());
        }
    }

    /// Ends a job: the nodes that no other open job uses, their models let go. Nothing where it is not open.
    pub(crate) fn end(&self, job_id: &str) -> Option<Vec<String>> {
        let mut open = self.open.lock();
        let job = open.remove(job_id)?;
        let released: Vec<String> =
            job.nodes.into_iter().filter(|node| !open.values().any(|other| other.nodes.contains(node))).collect();
        drop(open);
        self.changed.notify_all();
        self.models.release_nodes(&released);
        Some(released)
    }

    pub(crate) fn len(&self) -> usize {
        self.open.lock().len()
    }

    /// Ends jobs that have been idle for `ttl`, until none is open.
    fn end_idle(&self, ttl: Duration) {
        let mut open = self.open.lock();
        while let Some((job_id, due)) =
            open.iter().map(|(id, job)| (id.clone(), job.last_used + ttl)).min_by_key(|j| j.1)
        {
            if due > Instant::now() {
                self.changed.wait_until(&mut open, due);
                continue;
            }
            parking_lot::MutexGuard::unlocked(&mut open, || {
                if self.end(&job_id).is_some() {
                    tracing::info!(job_id, "job ended as abandoned: it was idle for {} s", ttl.as_secs());
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(ttl: &str) -> Arc<Jobs> {
        Jobs::new(Some(ttl), ModelCache::new(1 << 20))
    }

    #[test]
    fn a_node_of_another_open_job_stays() {
        let jobs = jobs("0");
        jobs.start("a");
        jobs.start("b");
        jobs.start("a");
        jobs.used("a", Some("shared"));
        jobs.used("a", Some("mine"));
        jobs.used("b", Some("shared"));
        jobs.used("never started", Some("x"));
        assert_eq!(jobs.end("never started"), Some(vec!["x".to_owned()]));
        assert_eq!(jobs.end("a"), Some(vec!["mine".to_owned()]));
        assert_eq!(jobs.end("a"), None);
        assert_eq!(jobs.end("b"), Some(vec!["shared".to_owned()]));
        assert_eq!(jobs.len(), 0);
    }

    #[test]
    fn an_idle_job_is_ended() {
        let jobs = jobs("0.05");
        jobs.start("a");
        let mut open = jobs.open.lock();
        while !open.is_empty() {
            assert!(!jobs.changed.wait_for(&mut open, Duration::from_secs(30)).timed_out());
        }
    }
}

//! `job.*` and `models.evict`: what is kept in memory for whom. Models on disk are in `store`.

use millwork_protocol::Map;
use millwork_protocol::message::{EvictResult, JobEnd, JobEnded, JobStart, JobStarted, ModelEvict};

use super::{Dispatcher, wrong};
use crate::models::EvictScope;
use crate::{Error, Result};

const GIB: f64 = (1u64 << 30) as f64;

impl Dispatcher {
    pub(super) fn job_start(&self, data: Map) -> Result<Map> {
        let start = JobStart::from_map(data).map_err(wrong)?;
        if start.job_id.is_empty() {
            return Err(Error::invalid("`job_id` is empty: each job needs an id of its own"));
        }
        self.0.jobs.start(&start.job_id);
        Ok(JobStarted { job_id: start.job_id, started: true, ..JobStarted::default() }.into_map())
    }

    pub(super) fn job_end(&self, data: Map) -> Result<Map> {
        let end = JobEnd::from_map(data).map_err(wrong)?;
        let released = self.0.jobs.end(&end.job_id);
        let known = released.is_some();
        Ok(JobEnded { job_id: end.job_id, released_nodes: released.unwrap_or_default(), known, ..JobEnded::default() }
            .into_map())
    }

    pub(super) fn evict(&self, data: Map) -> Result<Map> {
        let evict = ModelEvict::from_map(data).map_err(wrong)?;
        let scope = EvictScope {
            node_ids: evict.node_ids,
            job_id: evict.job_id,
            target_bytes: evict.target_vram_gb.map(|gib| (gib.max(0.0) * GIB) as u64),
        };
        let evicted = self.0.services.models.evict(&scope);
        let freed_vram_gb = Some(evicted.freed_bytes as f64 / GIB);
        Ok(EvictResult { evicted: evicted.names, freed_vram_gb, ..EvictResult::default() }.into_map())
    }
}

//! `job.*` and `models.*`: what is kept in memory for whom, and models on disk.

use millwork_protocol::message::{
    EvictResult, JobEnd, JobEnded, JobStart, JobStarted, ModelDelete, ModelDownload, ModelEvict, ModelPrepare,
};
use millwork_protocol::{Map, Value, map};

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

    pub(super) fn cached_models(&self) -> Map {
        let models: Vec<Value> = self.0.registry.providers().flat_map(|p| p.cached_models()).map(Value::Map).collect();
        map! { "models" => Value::List(models) }
    }

    /// This worker keeps no store of downloaded models; what it cannot do it names.
    pub(super) fn model_store(&self, kind: &str, data: Map) -> Result<Map> {
        match kind {
            "models.delete" => {
                ModelDelete::from_map(data).map_err(wrong)?;
                Ok(map! { "deleted" => false })
            }
            "models.download" => {
                let download = ModelDownload::from_map(data).map_err(wrong)?;
                let text = format!("cannot download {}: this worker has no model store", download.repo_id);
                Err(Error::unavailable(text).permanent())
            }
            _ => {
                let prepare = ModelPrepare::from_map(data).map_err(wrong)?;
                Err(Error::unavailable(format!(
                    "Unknown model backend: {}; worker.status lists the ones there are under model_prepare_backends",
                    prepare.backend
                ))
                .permanent())
            }
        }
    }
}

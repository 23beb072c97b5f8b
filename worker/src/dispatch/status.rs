//! `worker.status`, and what only Millwork's workers tell under `extensions`.

use millwork_protocol::{Map, PROTOCOL_VERSION, Value, map};

use super::Dispatcher;

impl Dispatcher {
    pub(super) fn status(&self) -> Map {
        let shared = &self.0;
        let disabled = || map! { "enabled" => false };
        let models = shared.services.models.usage();
        map! {
            "protocol_version" => PROTOCOL_VERSION,
            "node_count" => shared.registry.node_count(),
            "provider_count" => shared.registry.provider_count(),
            "namespaces" => shared.registry.namespaces(),
            "load_errors" => Value::List(shared.registry.load_errors().iter().map(|e| Value::Map(e.clone().into_map())).collect()),
            "transport" => "stdio",
            "max_frame_size" => shared.limits.max_frame,
            "comfy" => disabled(),
            "blender" => disabled(),
            "model_prepare_backends" => shared.registry.store().map(crate::ModelStore::backends).unwrap_or_default(),
            "extensions" => map! {
                "millwork" => env!("CARGO_PKG_VERSION"),
                "pid" => std::process::id(),
                "threads" => shared.pool.threads(),
                "in_flight" => shared.in_flight.len(),
                "queued" => shared.pool.queued(),
                "jobs" => shared.jobs.len(),
                "error_kinds" => true,
                // Which of several workers is asked to download.
                "model_store" => shared.registry.store().is_some(),
                "idempotent_nodes" => shared.registry.idempotent_nodes().to_vec(),
                "blob_transfer" => vec!["chunked-v1"],
                "gpu" => shared.services.gpu_state(),
                "models" => models.to_map(),
            },
        }
    }
}

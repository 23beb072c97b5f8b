//! `worker.status`: what a worker is and can do, beyond its nodes.

use super::error::LoadError;
use super::macros::message;
use crate::Map;

message! {
    /// Whether another program can be reached through a worker. Further keys say more about it.
    #[derive(Default)]
    pub struct Capability {
        /// Whether it can.
        pub enabled: bool = default,
    }
}

message! {
    /// The data of the answer to `worker.status`.
    #[derive(Default)]
    pub struct StatusData {
        /// The version that the worker speaks.
        pub protocol_version: u32,
        /// How many nodes it has.
        pub node_count: u64 = default,
        /// How many providers it has.
        pub provider_count: u64 = default,
        /// The first segments of its node types.
        pub namespaces: Vec<String> = default,
        /// Everything that did not load, as `discover` has it.
        pub load_errors: Vec<LoadError> = default,
        /// `stdio` or `websocket`.
        pub transport: String = default,
        /// The largest payload that it takes and sends, in bytes.
        pub max_frame_size: u64 = default,
        /// Whether `comfy.*` works.
        pub comfy: Capability = default,
        /// Whether `blender.*` works.
        pub blender: Capability = default,
        /// The backends that `models.prepare` has.
        pub model_prepare_backends: Vec<String> = default,
        /// What a worker can do beyond its protocol version, by name. Millwork's own key: hosts that do not know it
        /// pass over it.
        pub extensions: Map = sparse,
    }
}

//! `discover`: which nodes there are, and what should be there and is not.

use super::error::LoadError;
use super::macros::message;
use crate::metadata::NodeMetadata;
use crate::{Map, PROTOCOL_VERSION};

message! {
    /// A request without data.
    #[derive(Default)]
    pub struct NoData {}
}

message! {
    /// The data of a `discover` frame.
    #[derive(Default)]
    pub struct DiscoverData {
        /// The version that the worker speaks; one that does not say speaks 1.
        pub protocol_version: Option<u32>,
        /// Every node that can be run.
        pub nodes: Vec<NodeMetadata> = default,
        /// Everything that did not load.
        pub load_errors: Vec<LoadError> = default,
    }
}

impl DiscoverData {
    /// An inventory in the version that this crate speaks.
    #[must_use]
    pub fn new(nodes: Vec<NodeMetadata>, load_errors: Vec<LoadError>) -> Self {
        Self { protocol_version: Some(PROTOCOL_VERSION), nodes, load_errors, extra: Map::new() }
    }
}

//! What travels while a request runs: `progress` and `update`. Neither ends it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::convert::{Field, TypeError};
use super::macros::{message, text_enum};
use crate::Map;

message! {
    /// How far a node is.
    #[derive(Default)]
    pub struct NodeProgress {
        /// How much is done.
        pub progress: f64,
        /// How much there is; 0 where that is not known.
        pub total: f64 = default,
        /// What is being done.
        pub message: Option<String>,
    }
}

text_enum! {
    /// How a transfer of model files stands.
    pub enum TransferStatus {
        /// It begins.
        Start = "start",
        /// It is under way.
        Progress = "progress",
        /// All files are there.
        Completed = "completed",
        /// It failed.
        Error = "error",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// There is nothing to do.
        Exists = "exists",
    }
}

message! {
    /// How far a transfer of model files is.
    pub struct TransferProgress {
        /// How it stands.
        pub status: TransferStatus,
        /// The repository.
        pub repo_id: String = default,
        /// The one file that was asked for.
        pub path: Option<String>,
        /// The type of model, as it was asked for.
        pub model_type: Option<String>,
        /// Bytes that have arrived.
        pub downloaded_bytes: u64 = default,
        /// Bytes in all; 0 where that is not known.
        pub total_bytes: u64 = default,
        /// Files that have arrived.
        pub downloaded_files: u64 = default,
        /// Files in all; 0 where that is not known.
        pub total_files: u64 = default,
        /// The files that are arriving now.
        pub current_files: Vec<String> = default,
        /// What went wrong.
        pub error: Option<String>,
    }
}

/// The data of a `progress` frame: one with a `status` is about a transfer.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Of a node or a provider.
    Node(NodeProgress),
    /// Of a transfer of model files.
    Transfer(TransferProgress),
}

impl Progress {
    /// Reads it from the entries of a map.
    ///
    /// # Errors
    /// Where a required key is missing or a value has another type.
    pub fn from_map(map: Map) -> Result<Self, TypeError> {
        if map.get("status").is_some_and(|status| !status.is_nil()) {
            TransferProgress::from_map(map).map(Self::Transfer)
        } else {
            NodeProgress::from_map(map).map(Self::Node)
        }
    }

    /// Writes it as the entries of a map.
    #[must_use]
    pub fn into_map(self) -> Map {
        match self {
            Self::Node(progress) => progress.into_map(),
            Self::Transfer(progress) => progress.into_map(),
        }
    }
}

impl JsonSchema for Progress {
    fn schema_name() -> Cow<'static, str> {
        "Progress".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [NodeProgress::schema(generator), TransferProgress::schema(generator)] })
    }
}

message! {
    /// The data of an `update` frame: a preview, a line of log, bytes. `type` says which, and what the other keys are.
    pub struct UpdateData {
        /// What sort of update it is.
        pub kind: String as "type",
    }
}

//! `execute`, `execute.stream` and `cancel`: running one node.

use bytes::Bytes;
use indexmap::IndexMap;

use super::convert::OneOrMany;
use super::macros::{message, text_enum};
use super::secrets::Secrets;
use crate::Map;

text_enum! {
    /// How the blobs of a result travel, where not in the result itself.
    pub enum BlobTransfer {
        /// In frames of bounded size before the result.
        ChunkedV1 = "chunked-v1",
    }
}

message! {
    /// The data of `execute` and `execute.stream`.
    #[derive(Default)]
    pub struct ExecuteRequest {
        /// The node to run.
        pub node_type: String,
        /// The values of its fields.
        pub fields: Map = default,
        /// The secrets that it may read.
        pub secrets: Secrets = default,
        /// The bytes of fields that take files, one file or a list of them.
        pub blobs: IndexMap<String, OneOrMany<Bytes>> = default,
        /// How the blobs of the result shall travel.
        pub blob_transfer: Option<BlobTransfer> = lenient,
        /// The node's id in the graph that is run.
        pub node_id: Option<String> = lenient,
        /// The run that this is part of.
        pub job_id: Option<String> = lenient,
        /// The graph that is run.
        pub workflow_id: Option<String> = lenient,
        /// On whose behalf.
        pub user_id: Option<String> = lenient,
        /// GPU memory that it is expected to need, in GiB.
        pub requires_vram_gb: Option<f64> = lenient,
    }
}

message! {
    /// The data of the result of `execute`, and of each chunk of `execute.stream`.
    #[derive(Default)]
    pub struct ExecuteOutput {
        /// The values by output slot.
        pub outputs: Map = default,
        /// The bytes of outputs that are files, by output slot.
        pub blobs: IndexMap<String, Bytes> = default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Value, map};

    #[test]
    fn run_identity_of_another_type_is_ignored() {
        let read = ExecuteRequest::from_map(map! {
            "node_type" => "test.Echo", "node_id" => 7, "job_id" => "j", "requires_vram_gb" => "lots",
            "workflow_id" => Value::Nil, "blob_transfer" => true,
        })
        .unwrap();
        assert_eq!((&read.node_id, read.job_id.as_deref(), read.requires_vram_gb), (&None, Some("j"), None));
        assert_eq!(read.blob_transfer, None);
    }

    #[test]
    fn blobs_are_slices_and_nil_is_not_given() {
        let big = Bytes::from(vec![1; 100_000]);
        let read = ExecuteRequest::from_map(map! {
            "node_type" => "test.Echo",
            "secrets" => map! { "KEY" => "hush", "GONE" => Value::Nil },
            "blobs" => map! { "one" => big.clone(), "many" => vec![big.clone()], "none" => Value::Nil },
            "fields" => map! { "value" => Value::Nil },
        })
        .unwrap();
        assert_eq!(read.blobs["one"].as_slice()[0].as_ptr(), big.as_ptr());
        assert_eq!(read.blobs.len(), 2);
        assert_eq!(read.fields, map! { "value" => Value::Nil });
        assert_eq!(format!("{:?}", read.secrets), r#"{"KEY"}"#);
    }

    #[test]
    fn a_wrong_blob_is_named() {
        let data = map! { "node_type" => "x", "blobs" => map! { "image" => vec![Value::from(1)] } };
        let error = ExecuteRequest::from_map(data).unwrap_err();
        assert_eq!(error.to_string(), "blobs.image[0]: expected bytes, got int");
        let error = ExecuteRequest::from_map(map! { "fields" => map! {} }).unwrap_err();
        assert_eq!(error.to_string(), "node_type: expected str, got nothing");
    }
}

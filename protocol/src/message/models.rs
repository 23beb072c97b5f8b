//! `models.*`: model files on the worker's disk, and models in its memory.

use super::macros::message;
use super::progress::TransferStatus;
use super::secrets::Token;

message! {
    /// A model whose files are there.
    #[derive(Default)]
    pub struct CachedModel {
        /// Its id.
        pub id: String,
        /// The repository that it came from.
        pub repo_id: Option<String>,
        /// The one file of the repository that it is.
        pub path: Option<String>,
        /// What it is for.
        pub kind: Option<String> as "type",
        /// Its name for people.
        pub name: String = default,
        /// Its size, in bytes.
        pub size_on_disk: Option<u64>,
        /// Always true: the files are there.
        pub downloaded: bool = default,
    }
}

message! {
    /// The data of the answer to `models.list_cached`.
    #[derive(Default)]
    pub struct CachedModels {
        /// Every model whose files are there.
        pub models: Vec<CachedModel> = default,
    }
}

message! {
    /// The data of `models.download`.
    #[derive(Default)]
    pub struct ModelDownload {
        /// The repository to fetch.
        pub repo_id: String,
        /// The one file to fetch of it.
        pub path: Option<String>,
        /// Fetch the files that match one of these.
        pub allow_patterns: Option<Vec<String>>,
        /// Do not fetch the files that match one of these.
        pub ignore_patterns: Option<Vec<String>>,
        /// What the model is for; given back with the progress.
        pub model_type: Option<String>,
        /// The token that the repository asks for; kept for this request alone.
        pub token: Option<Token>,
    }
}

message! {
    /// The data of the answer to `models.download` and `models.prepare`.
    pub struct TransferResult {
        /// The repository.
        pub repo_id: String,
        /// `completed` or `cancelled`.
        pub status: TransferStatus,
    }
}

message! {
    /// The data of `models.delete`.
    #[derive(Default)]
    pub struct ModelDelete {
        /// The repository whose files shall go.
        pub repo_id: String,
    }
}

message! {
    /// The data of the answer to `models.delete`.
    #[derive(Default)]
    pub struct DeleteResult {
        /// Whether there was something to delete.
        pub deleted: bool = default,
    }
}

message! {
    /// The data of `models.evict`: which models may leave memory. Without `node_ids` and `job_id` all may that are not
    /// in use; a scope of another type is an error, for ignoring it would evict more than was asked for.
    #[derive(Default)]
    pub struct ModelEvict {
        /// Those that these nodes loaded.
        pub node_ids: Option<Vec<String>>,
        /// Those that the nodes of this job loaded.
        pub job_id: Option<String>,
        /// Stop when so much GPU memory is free again, in GiB.
        pub target_vram_gb: Option<f64>,
    }
}

message! {
    /// The data of the answer to `models.evict`.
    #[derive(Default)]
    pub struct EvictResult {
        /// The models that left, coldest first.
        pub evicted: Vec<String> = default,
        /// The GPU memory that they had, in GiB.
        pub freed_vram_gb: Option<f64>,
    }
}

message! {
    /// The data of `models.prepare`.
    #[derive(Default)]
    pub struct ModelPrepare {
        /// One of the backends that `worker.status` names.
        pub backend: String,
        /// What the model is for.
        pub model_type: String,
        /// The repository.
        pub repo_id: Option<String>,
        /// The token that the repository asks for; kept for this request alone.
        pub token: Option<Token>,
    }
}

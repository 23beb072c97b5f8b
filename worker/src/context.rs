//! What a node is given beside its fields: who asks, what it may use, and how it speaks while it works.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use millwork_protocol::message::ErrorKind;
use millwork_protocol::{Map, Value, map};

use crate::cancel::CancelToken;
use crate::gpu::Gpu;
use crate::models::{CacheUser, ModelCache, default_budget};
use crate::onnx::{Model, Onnx, OnnxError, Source};
use crate::workspace::Workspace;
use crate::{Error, Result};

/// What all requests of a worker share.
#[derive(Debug)]
pub struct Services {
    /// Folders that requests may reach.
    pub workspace: Workspace,
    /// The GPU, which starts when a node first asks for it.
    pub gpu: Gpu,
    /// What is loaded: ONNX plans, GPU buffers.
    pub models: ModelCache,
    /// ONNX models, loaded into `models`.
    pub onnx: Onnx,
}

impl Services {
    /// Services over a workspace, with the GPU that `MILLWORK_GPU` names.
    #[must_use]
    pub fn new(workspace: Workspace) -> Self {
        let models = ModelCache::new(default_budget());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { workspace, gpu: Gpu::from_env(), onnx: Onnx::new(models.clone(), threads), models }
    }
}

/// Who asks, as far as the host said.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The node's id in the host's graph.
    pub node_id: Option<String>,
    /// The run that the request belongs to.
    pub job_id: Option<String>,
    /// The workflow.
    pub workflow_id: Option<String>,
    /// The user.
    pub user_id: Option<String>,
}

/// Frames that a request sends before its terminal one.
pub(crate) trait Interim: Send + Sync {
    fn progress(&self, data: &Map);
    fn update(&self, data: &Map);
}

/// The surroundings of one request.
pub struct Context {
    pub(crate) request_id: String,
    pub(crate) identity: Identity,
    pub(crate) secrets: IndexMap<String, String>,
    pub(crate) cancel: CancelToken,
    pub(crate) interim: Box<dyn Interim>,
    pub(crate) services: Arc<Services>,
}

impl std::fmt::Debug for Context {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("request_id", &self.request_id)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// The request's id.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Who asks.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Tells the host how far the work is. Only the newest is kept for a host that reads slowly.
    pub fn progress(&self, done: f64, total: f64) {
        self.interim.progress(&map! { "progress" => done, "total" => total });
    }

    /// [`Context::progress`] with words.
    pub fn progress_message(&self, done: f64, total: f64, message: &str) {
        self.interim.progress(&map! { "progress" => done, "total" => total, "message" => message });
    }

    /// Sends a preview or a log line: `kind` becomes `type`.
    pub fn update(&self, kind: &str, mut data: Map) {
        data.insert("type".to_owned(), Value::from(kind));
        self.interim.update(&data);
    }

    /// Whether the request has been cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// A checkpoint: call it between steps.
    ///
    /// # Errors
    /// `cancelled` once the request has been cancelled.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Sleeps, and wakes at once when the request is cancelled.
    ///
    /// # Errors
    /// `cancelled` in that case.
    pub fn sleep(&self, time: Duration) -> Result<()> {
        // A time that no clock can hold is for ever.
        match Instant::now().checked_add(time) {
            Some(deadline) => self.cancel.wait_until(deadline),
            None => self.cancel.wait(),
        }
        self.check()
    }

    /// A secret that the host gave with the request.
    ///
    /// # Errors
    /// `missing_setting`, naming it.
    pub fn secret(&self, name: &str) -> Result<&str> {
        self.secrets.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
            Error::new(
                ErrorKind::MissingSetting,
                format!("the setting {name} is missing: the host must send it in `secrets`"),
            )
        })
    }

    /// The GPU service.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.services.gpu
    }

    /// Where files that requests name may lie.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.services.workspace
    }

    /// The path that a field names, if the workspace allows it.
    ///
    /// # Errors
    /// `invalid_input` where it does not.
    pub fn path(&self, path: &str) -> Result<std::path::PathBuf> {
        self.services.workspace.resolve(Path::new(path))
    }

    /// The cache of everything that is worth keeping loaded. Give it [`Context::cache_user`].
    #[must_use]
    pub fn models(&self) -> &ModelCache {
        &self.services.models
    }

    /// Who uses what this request loads: its node and job.
    #[must_use]
    pub fn cache_user(&self) -> CacheUser {
        CacheUser { node_id: self.identity.node_id.clone(), job_id: self.identity.job_id.clone() }
    }

    /// The ONNX service.
    #[must_use]
    pub fn onnx(&self) -> &Onnx {
        &self.services.onnx
    }

    /// An ONNX model for this request, from the cache if it is there.
    ///
    /// # Errors
    /// As [`Onnx::load`], of kind `invalid_input`.
    pub fn onnx_model(&self, source: impl Into<Source>) -> Result<Model> {
        self.onnx().load(source, &self.cache_user()).map_err(OnnxError::into_error)
    }

    /// A private folder, removed when it is dropped.
    ///
    /// # Errors
    /// Where the system cannot make one.
    pub fn temp_dir(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new().prefix("millwork-").tempdir()?)
    }
}

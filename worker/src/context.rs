//! What a node is given beside its fields: who asks, what it may use, and how it speaks while it works.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use millwork_protocol::message::{ErrorKind, TransferProgress, TransferStatus};
use millwork_protocol::{Map, Value, map};
use parking_lot::Mutex;

use crate::cancel::CancelToken;
#[cfg(feature = "gpu")]
use crate::gpu::Gpu;
use crate::models::{CacheUser, ModelCache, default_budget};
#[cfg(feature = "onnx")]
use crate::onnx::{Model, Onnx, OnnxError, Source};
use crate::workspace::Workspace;
use crate::{Error, Result, panics};

/// What all requests of a worker share.
#[derive(Debug)]
pub struct Services {
    /// Folders that requests may reach.
    pub workspace: Workspace,
    /// The GPU, which starts when a node first asks for it.
    #[cfg(feature = "gpu")]
    pub gpu: Gpu,
    /// What is loaded: ONNX plans, GPU buffers.
    pub models: ModelCache,
    /// ONNX models, loaded into `models`.
    #[cfg(feature = "onnx")]
    pub onnx: Onnx,
}

impl Services {
    /// Services over a workspace, with the GPU that `MILLWORK_GPU` names.
    #[must_use]
    pub fn new(workspace: Workspace) -> Self {
        let models = ModelCache::new(default_budget());
        Self {
            workspace,
            #[cfg(feature = "gpu")]
            gpu: Gpu::from_env(),
            #[cfg(feature = "onnx")]
            onnx: Onnx::new(models.clone(), std::thread::available_parallelism().map_or(1, usize::from)),
            models,
        }
    }

    /// What `worker.status` tells of the GPU.
    pub(crate) fn gpu_state(&self) -> Map {
        #[cfg(feature = "gpu")]
        return self.gpu.peek().to_map();
        #[cfg(not(feature = "gpu"))]
        map! { "state" => "unavailable", "available" => false, "reason" => "this worker was built without the feature `gpu`" }
    }

    /// Whether the GPU holds a job that never ends, so that only a new process has a working one.
    pub(crate) fn is_wedged(&self) -> bool {
        #[cfg(feature = "gpu")]
        return self.gpu.wedged();
        #[cfg(not(feature = "gpu"))]
        false
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
    /// Progress that arrives even where the host reads slowly.
    fn milestone(&self, data: &Map);
    fn update(&self, data: &Map);
    /// The text without the secrets of the request.
    fn blot(&self, text: &str) -> String;
}

/// What is to be done once a request has ended.
pub(crate) type Finalizers = Mutex<Vec<Box<dyn FnOnce(Result<(), &Error>) + Send>>>;

/// The surroundings of one request.
pub struct Context {
    pub(crate) request_id: String,
    pub(crate) identity: Identity,
    pub(crate) secrets: IndexMap<String, String>,
    pub(crate) cancel: CancelToken,
    pub(crate) interim: Box<dyn Interim>,
    pub(crate) services: Arc<Services>,
    pub(crate) finalizers: Finalizers,
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

    /// Tells the host how far a transfer of files is. Its beginning and its end always arrive; of what is between, only the newest
    /// is kept for a host that reads slowly.
    pub fn transfer(&self, progress: TransferProgress) {
        let is_between = progress.status == TransferStatus::Progress;
        let data = progress.into_map();
        if is_between { self.interim.progress(&data) } else { self.interim.milestone(&data) }
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

    /// What tells that the request has been cancelled, for those who wait for something else as well.
    #[must_use]
    pub fn cancel_token(&self) -> &CancelToken {
        &self.cancel
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

    /// Has `work` done once the request has ended, however it does: with `Ok` after success, else with the error, whose kind
    /// tells a cancelled request and a panic from a failure. The last given comes first, before the answer leaves; what goes
    /// wrong in it is logged and changes nothing.
    ///
    /// What only has itself to clean up needs none: values are dropped on every path.
    pub fn finalize(&self, work: impl FnOnce(Result<(), &Error>) + Send + 'static) {
        self.finalizers.lock().push(Box::new(work));
    }

    /// Does the work of the request, and then what it left for its end. A panic of the work becomes an error. What fails in a
    /// request that has been cancelled mostly fails because of that, whatever words it was given on its way.
    pub(crate) fn settle<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut ended = panics::contain(work).unwrap_or_else(|panic| Err(panic.into_error()));
        if self.is_cancelled() && matches!(&ended, Err(error) if error.kind() == &ErrorKind::Failed) {
            ended = Err(Error::cancelled());
        }
        // One at a time: a finalizer may leave another.
        while let Some(finalize) = { self.finalizers.lock().pop() } {
            if let Err(panic) = panics::contain(|| finalize(ended.as_ref().map(|_| ()))) {
                tracing::error!(panic = self.interim.blot(&panic.message), "a finalizer panicked");
            }
        }
        ended
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
    #[cfg(feature = "gpu")]
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
    #[cfg(feature = "onnx")]
    #[must_use]
    pub fn onnx(&self) -> &Onnx {
        &self.services.onnx
    }

    /// An ONNX model for this request, from the cache if it is there. Its runs end when the request is cancelled.
    ///
    /// # Errors
    /// As [`Onnx::load`], of kind `invalid_input`.
    #[cfg(feature = "onnx")]
    pub fn onnx_model(&self, source: impl Into<Source>) -> Result<Model> {
        let model = self.onnx().load(source, &self.cache_user()).map_err(OnnxError::into_error)?;
        Ok(model.with_cancel(self.cancel.clone()))
    }

    /// A private folder, removed when it is dropped.
    ///
    /// # Errors
    /// Where the system cannot make one.
    pub fn temp_dir(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new().prefix("millwork-").tempdir()?)
    }
}

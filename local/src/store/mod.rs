//! The user's cache of the hub as a place that models are fetched into and removed from. What lies in it is looked at by `find`.
//!
//! - `web` speaks HTTP, `remote` knows the hub's API, `settings` says which hub and as whom;
//! - `layout` knows the cache on disk, `digest` whether a file is the right one, `names` what can be a name at all;
//! - `fetch` gets one file, `pull` a whole download, `verify` looks whether what is there is right.

mod digest;
mod error;
mod fetch;
mod layout;
mod names;
mod pattern;
mod pull;
mod remote;
mod settings;
mod verify;
mod web;

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use millwork_worker::protocol::message::{CachedModel, ModelDownload, ModelPrepare, TransferProgress, TransferStatus};
use millwork_worker::{CancelToken, Context, Error, ModelStore, Result};
use parking_lot::Mutex;

pub use error::StoreError;
pub(crate) use names::is_commit;
pub use pull::{Pull, Watch};
pub use settings::{Patience, Settings};
pub use verify::{Checked, Finding, verify};
pub(crate) use verify::{files, operators};

use crate::find::{Found, Hub, Repository, models_in};
use crate::{Kind, LocalModel, Problem, Roots};
use layout::Layout;
use pull::{Count, Job};
use web::Web;

/// The backend of `models.prepare`: this provider itself.
const BACKEND: &str = "millwork";

/// What a model that is to run here does not need: weights for other runtimes.
const OTHER_RUNTIMES: [&str; 12] = [
    "*.safetensors",
    "*.gguf",
    "*.ckpt",
    "*.pt",
    "*.pth",
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.mlmodel",
    "*.tflite",
    "*pytorch_model*.bin",
    "*openvino*",
];

/// The cache, and the hub that it is filled from.
#[derive(Debug, Clone)]
pub struct Store {
    hub: Hub,
    roots: Roots,
    settings: Settings,
}

impl Store {
    /// Over the cache that belongs to these places; nothing where they have none.
    #[must_use]
    pub fn new(roots: &Roots, settings: Settings) -> Option<Self> {
        Some(Self { hub: roots.hub()?.clone(), roots: roots.clone(), settings })
    }

    /// Downloads what is asked for, and gives the folder of its snapshot. `token` goes before that of the settings.
    ///
    /// # Errors
    /// [`StoreError`]. What has arrived by then is gone on from the next time; nothing shows in the snapshot until all is there.
    pub fn pull(&self, pull: &Pull, token: Option<&str>, watch: &dyn Watch) -> Result<PathBuf, StoreError> {
        pull::check(pull)?;
        let job = Job {
            layout: Layout::new(&self.hub, &pull.repo_id),
            web: Web::new(&self.settings, token)?,
            pull: pull.clone(),
            patience: self.settings.patience,
            offline: self.settings.offline,
            stop: CancelToken::default(),
            arrived: AtomicU64::new(0),
            count: Mutex::new(Count::default()),
        };
        job.run(watch)
    }

    /// Removes a repository from the cache, and says whether there was one.
    ///
    /// # Errors
    /// Where its name is none, it is being downloaded, or it lies in a folder of the user's.
    pub fn remove(&self, repo_id: &str) -> Result<bool, StoreError> {
        names::repository(repo_id)?;
        let removed = Layout::new(&self.hub, repo_id).remove()?;
        let own = || self.roots.scan().models.into_iter().find(|model| !model.is_in_hub && model.id == repo_id);
        match own().filter(|_| !removed) {
            None => Ok(removed),
            Some(model) => {
                let text =
                    format!("{repo_id} lies in a folder of yours, which is left alone: {}", model.path.display());
                Err(StoreError::Invalid(text))
            }
        }
    }

    /// The repositories of the cache that have a snapshot with something in it.
    #[must_use]
    pub fn repositories(&self) -> Vec<CachedModel> {
        let has_files = |folder: &PathBuf| folder.read_dir().is_ok_and(|mut files| files.next().is_some());
        let cached = |repository: Repository| {
            let folder = repository.snapshot().filter(has_files)?;
            let model = models_in(&folder, &repository.id).models.into_iter().next();
            Some(CachedModel {
                name: repository.id.rsplit('/').next().unwrap_or_default().to_owned(),
                kind: model.map(|model| model.kind.model_type().to_owned()),
                size_on_disk: Some(Layout::new(&self.hub, &repository.id).size()),
                repo_id: Some(repository.id.clone()),
                id: repository.id,
                downloaded: true,
                ..CachedModel::default()
            })
        };
        self.hub.repositories().into_iter().filter_map(cached).collect()
    }

    /// The model of an id or repository; nothing where a download may bring it, or what it lacks.
    fn there(&self, repo_id: &str, model_type: &str) -> Result<Option<LocalModel>> {
        let mut found = self.roots.scan();
        let repository = self.hub.repository(repo_id).folder;
        // The ids of voices have the file behind the repository.
        found.models.retain(|model| model.id == repo_id || (model.is_in_hub && model.path.starts_with(&repository)));
        if !found.models.is_empty() {
            return of_type(found.models, repo_id, model_type);
        }
        let stays = |problem: &Problem| problem.is_unsupported || !problem.file.starts_with(&repository);
        let problem = found.problems.into_iter().find(|problem| self.roots.is_its(problem, repo_id) && stays(problem));
        problem.map_or(Ok(None), |problem| Err(problem.into()))
    }

    /// Downloads a repository without the weights of other runtimes, and gives the model in it.
    fn fetched(&self, repo_id: &str, request: &ModelPrepare, cx: &Context) -> Result<LocalModel> {
        let pull = Pull {
            repo_id: repo_id.to_owned(),
            ignore: OTHER_RUNTIMES.map(str::to_owned).to_vec(),
            model_type: Some(request.model_type.clone()),
            ..Pull::default()
        };
        let token = request.token.as_ref().map(|token| token.0.as_str());
        let folder = self.pull(&pull, token, cx).map_err(|error| refer(error, repo_id))?;
        let Found { models, problems } = models_in(&folder, repo_id);
        of_type(models, repo_id, &request.model_type)?.ok_or_else(|| match problems.into_iter().next() {
            Some(problem) => Error::from(problem),
            None => {
                Error::unavailable(format!("{repo_id} is no model that runs here: see docs/providers.md")).permanent()
            }
        })
    }
}

/// The first of a repository's models that is of a type; one of any where the type is none of those that there are.
fn of_type(models: Vec<LocalModel>, repo_id: &str, model_type: &str) -> Result<Option<LocalModel>> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.model_type() == model_type);
    let first = models.first().map(|model| model.kind);
    let wanted = models.into_iter().find(|model| kind.is_none_or(|kind| kind == model.kind));
    match (wanted, first, kind) {
        (None, Some(first), Some(kind)) => {
            Err(Error::invalid(format!("{repo_id} is a {}, not a {}", first.noun(), kind.noun())))
        }
        (wanted, ..) => Ok(wanted),
    }
}

/// The request behind a context is who waits.
impl Watch for Context {
    fn tell(&self, progress: TransferProgress) {
        self.transfer(progress);
    }

    fn is_cancelled(&self) -> bool {
        Context::is_cancelled(self)
    }
}

impl ModelStore for Store {
    fn list(&self) -> Result<Vec<CachedModel>> {
        Ok(self.repositories())
    }

    fn download(&self, request: &ModelDownload, cx: &Context) -> Result<()> {
        let pull = Pull {
            repo_id: request.repo_id.clone(),
            revision: None,
            path: request.path.clone(),
            allow: request.allow_patterns.clone(),
            ignore: request.ignore_patterns.clone().unwrap_or_default(),
            model_type: request.model_type.clone(),
        };
        let token = request.token.as_ref().map(|token| token.0.as_str());
        self.pull(&pull, token, cx).map(drop).map_err(|error| refer(error, &request.repo_id))
    }

    fn delete(&self, repo_id: &str, _: &Context) -> Result<bool> {
        self.remove(repo_id).map_err(|error| refer(error, repo_id))
    }

    fn backends(&self) -> Vec<String> {
        vec![BACKEND.to_owned()]
    }

    /// Downloads the model if it is not there, and looks whether it is one that this worker can run: its weights are loaded by the
    /// first call.
    fn prepare(&self, request: &ModelPrepare, cx: &Context) -> Result<()> {
        let Some(repo_id) = request.repo_id.clone().filter(|id| !id.is_empty()) else {
            return Err(Error::invalid("`repo_id` is missing: which model is to be prepared?"));
        };
        let model = match self.there(&repo_id, &request.model_type)? {
            Some(model) => {
                cx.transfer(TransferProgress {
                    status: TransferStatus::Exists,
                    repo_id: repo_id.clone(),
                    path: None,
                    model_type: Some(request.model_type.clone()),
                    downloaded_bytes: 0,
                    total_bytes: 0,
                    downloaded_files: 0,
                    total_files: 0,
                    current_files: Vec::new(),
                    error: None,
                    extra: Default::default(),
                });
                model
            }
            None => self.fetched(&repo_id, request, cx)?,
        };
        for file in model.networks() {
            cx.check()?;
            let info = cx.onnx().inspect(file.as_path()).map_err(millwork_worker::onnx::OnnxError::into_error)?;
            if !info.unsupported.is_empty() {
                let names = verify::operators(&info.unsupported);
                return Err(Error::unavailable(format!("{}: operators that do not run here: {names}", file.display()))
                    .permanent());
            }
        }
        Ok(())
    }
}

/// An error that names the repository.
fn refer(error: StoreError, repo_id: &str) -> Error {
    let names_it = error.to_string().contains(repo_id) || error == StoreError::Cancelled;
    let error = Error::from(error);
    if names_it { error } else { error.context(repo_id) }
}

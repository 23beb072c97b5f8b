//! Model stores: who fetches and removes the files of models on disk. Which frames carry that is in `dispatch`, and what is in
//! memory is in `models`.

use std::fmt;

use millwork_protocol::message::{CachedModel, ModelDownload, ModelPrepare};

use crate::{Context, Result};

/// A place on disk that models are fetched into. A worker has one at most; its calls run on threads that compute nothing else.
///
/// What takes a while tells how far it is with [`Context::transfer`] and looks at [`Context::is_cancelled`]; the error
/// [`cancelled`](crate::Error::cancelled) becomes the answer `{repo_id, status: cancelled}`.
pub trait ModelStore: Send + Sync + 'static {
    /// The models whose files are there, for `models.list_cached`.
    ///
    /// # Errors
    /// Where they cannot be listed.
    fn list(&self) -> Result<Vec<CachedModel>>;

    /// Fetches what `models.download` asks for. Its token is kept out of the error that the host is told.
    ///
    /// # Errors
    /// Where something of it is not there in the end.
    fn download(&self, request: &ModelDownload, cx: &Context) -> Result<()>;

    /// Removes a repository, and says whether there was one.
    ///
    /// # Errors
    /// Where it is there and cannot be removed, or is not the store's to remove.
    fn delete(&self, repo_id: &str, cx: &Context) -> Result<bool>;

    /// The backends of `models.prepare`, as `worker.status` lists them.
    fn backends(&self) -> Vec<String> {
        Vec::new()
    }

    /// Makes a model ready for use, as `models.prepare` asks for it; the backend is one of [`ModelStore::backends`].
    ///
    /// # Errors
    /// Where the model cannot be used in the end.
    fn prepare(&self, request: &ModelPrepare, cx: &Context) -> Result<()>;
}

impl fmt::Debug for dyn ModelStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelStore")
    }
}

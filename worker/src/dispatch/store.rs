//! `models.list_cached`, `download`, `delete` and `prepare`: what is asked of the worker's model store, on threads that wait for
//! networks and disks, so that the compute threads need not.

use std::sync::Arc;

use indexmap::IndexMap;
use millwork_protocol::Map;
use millwork_protocol::message::{
    CachedModels, DeleteResult, ModelDelete, ModelDownload, ModelPrepare, Token, TransferResult, TransferStatus,
};
use tracing::info_span;

use super::{Dispatcher, Shared, wrong};
use crate::context::Identity;
use crate::responder::Responder;
use crate::{CancelToken, Context, Error, ErrorKind, ModelStore, Result};

/// Transfers that are under way at a time.
pub(crate) const TRANSFERS: usize = 4;
/// Other requests to the store, which wait for no network and for no transfer.
pub(crate) const THREADS: usize = 2;

impl Dispatcher {
    pub(super) fn store(&self, request_id: Option<&str>, kind: &'static str, data: Map) {
        let Some(request) = self.admit(request_id, data) else { return };
        let shared = Arc::clone(&self.0);
        let is_transfer = matches!(kind, "models.download" | "models.prepare");
        let pool = if is_transfer { &self.0.transfers } else { &self.0.store_pool };
        pool.spawn(Box::new(move || {
            let span = info_span!("models", request_id = request.responder.voice().id(), kind);
            let _entered = span.enter();
            let cancel = request.cancel;
            // A transfer that was cancelled while it waited says so in its result, as any other does.
            let before = if is_transfer { CancelToken::default() } else { cancel.clone() };
            shared.answer(request.responder, &before, |responder| {
                shared.ask_store(kind, request.data, &cancel, responder)
            });
        }));
    }
}

impl Shared {
    fn ask_store(&self, kind: &str, data: Map, cancel: &CancelToken, responder: &Responder) -> Result<Map> {
        let store = self.registry.store();
        let context = |token: Option<&Token>| {
            let secrets: IndexMap<String, String> =
                token.map(|token| ("token".to_owned(), token.0.clone())).into_iter().collect();
            self.context(responder, cancel.clone(), Identity::default(), secrets)
        };
        match kind {
            "models.list_cached" => {
                let models = store.map(ModelStore::list).transpose()?.unwrap_or_default();
                Ok(CachedModels { models, ..CachedModels::default() }.into_map())
            }
            "models.delete" => {
                let delete = ModelDelete::from_map(data).map_err(wrong)?;
                let context = context(None);
                let gone = store.map(|store| context.settle(|| store.delete(&delete.repo_id, &context)));
                let deleted = gone.transpose()?.unwrap_or_default();
                Ok(DeleteResult { deleted, ..DeleteResult::default() }.into_map())
            }
            "models.download" => {
                let download = ModelDownload::from_map(data).map_err(wrong)?;
                let store = store.ok_or_else(|| {
                    let text = format!("cannot download {}: this worker has no model store", download.repo_id);
                    Error::unavailable(text).permanent()
                })?;
                transfer(&context(download.token.as_ref()), &download.repo_id, |cx| store.download(&download, cx))
            }
            _ => {
                let prepare = ModelPrepare::from_map(data).map_err(wrong)?;
                let store = store.filter(|store| store.backends().contains(&prepare.backend)).ok_or_else(|| {
                    Error::unavailable(format!(
                        "Unknown model backend: {}; worker.status lists the ones there are under model_prepare_backends",
                        prepare.backend
                    ))
                    .permanent()
                })?;
                let repo_id = prepare.repo_id.clone().unwrap_or_default();
                transfer(&context(prepare.token.as_ref()), &repo_id, |cx| store.prepare(&prepare, cx))
            }
        }
    }
}

/// A transfer that was cancelled has a result that says so.
fn transfer(context: &Context, repo_id: &str, work: impl FnOnce(&Context) -> Result<()>) -> Result<Map> {
    let status = match context.settle(|| work(context)) {
        Ok(()) => TransferStatus::Completed,
        Err(error) if error.kind() == &ErrorKind::Cancelled => TransferStatus::Cancelled,
        Err(error) => return Err(error),
    };
    Ok(TransferResult { repo_id: repo_id.to_owned(), status, extra: Map::new() }.into_map())
}

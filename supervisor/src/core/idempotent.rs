//! Requests that may be sent again although they had begun: where the worker declares their node idempotent, the
//! configuration allows it, and no frame of theirs has reached the host.

use millwork_protocol::Value;

use super::state::Worker;
use super::{Core, Owner, Request, RequestKey};

/// So often one request is sent again after it had begun.
const RETRIES: u8 = 1;

impl Core {
    /// Whether a request that a worker is about to begin should be kept for another one. What is kept may take half of what
    /// may wait, so that it does not stop the host from being read.
    pub(super) fn is_kept(&self, request: &Request, worker: &Worker) -> bool {
        let is_wanted = self.groups.get(worker.group).is_some_and(|group| group.policy.retry_idempotent);
        is_wanted
            && matches!(request.owner, Owner::Host(_))
            && request.retries < RETRIES
            && self.requests.bytes() <= self.policy.max_queued_bytes / 2
            && request.route.node_type.as_deref().is_some_and(|node_type| declares(worker, node_type))
    }

    /// Whether a request whose worker has died can be sent to another: it had not begun, or has been kept.
    pub(super) fn can_go_again(&self, key: RequestKey, now: super::Millis) -> bool {
        self.requests.get(key).is_some_and(|request| {
            matches!(request.owner, Owner::Host(_))
                && request.frame.is_some()
                && request.cancel.is_none()
                && !(request.has_begun && self.poison.is_poison(request.fingerprint, now))
        })
    }
}

/// Whether a worker says that a node does the same however often it runs: `extensions.idempotent_nodes` in its status lists
/// node types and namespaces.
fn declares(worker: &Worker, node_type: &str) -> bool {
    let status = worker.known.as_ref().and_then(|known| known.status.as_ref());
    let names = status.and_then(|status| status.get("extensions")?.get("idempotent_nodes")?.as_list());
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|name| node_type.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

//! `execute` and `execute.stream`: fields and blobs to a node, its outputs to frames.

use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::message::{BlobChunk, BlobEnd, BlobStart, BlobTransfer, ExecuteRequest, OneOrMany};
use millwork_protocol::{Envelope, Map, Value};
use sha2::{Digest, Sha256};
use tracing::info_span;

use super::{Dispatcher, Shared, wrong};
use crate::context::Identity;
use crate::convert::Reading;
use crate::node::{Emitted, Entry, Fields};
use crate::responder::Responder;
use crate::{CancelToken, Error, ErrorKind, Result, blobs};

impl Dispatcher {
    pub(super) fn execute(&self, payload: &Bytes, envelope: &Envelope<'_>, stream: bool) {
        let data = match envelope.decode_data(payload, &self.0.limits) {
            Ok(data) => data,
            Err(error) => return self.refuse(envelope.request_id, &Error::invalid(error)),
        };
        let Some(request) = self.admit(envelope.request_id, data) else { return };
        let found = ExecuteRequest::from_map(request.data).map_err(wrong).and_then(|execute| {
            let entry = self.0.registry.node(&execute.node_type)?;
            Ok((Arc::clone(entry), execute))
        });
        let (entry, execute) = match found {
            Ok(found) => found,
            Err(error) => return request.responder.fail(&error),
        };
        let shared = Arc::clone(&self.0);
        let quick = entry.quick;
        let (cancel, responder) = (request.cancel, request.responder);
        let task = move || shared.execute(&entry, execute, stream, cancel, responder);
        if quick { task() } else { self.0.pool.spawn(Box::new(task)) }
    }
}

impl Shared {
    fn execute(&self, entry: &Entry, execute: ExecuteRequest, stream: bool, cancel: CancelToken, responder: Responder) {
        let span = info_span!(
            "execute",
            request_id = responder.voice().id(),
            node_type = entry.metadata.node_type,
            node_id = execute.node_id,
            job_id = execute.job_id
        );
        let _entered = span.enter();
        self.answer(responder, &cancel.clone(), |responder| self.run(entry, execute, stream, cancel, responder));
    }

    fn run(
        &self,
        entry: &Entry,
        mut execute: ExecuteRequest,
        stream: bool,
        cancel: CancelToken,
        responder: &Responder,
    ) -> Result<Map> {
        check_settings(entry, &execute)?;
        if let Some(job_id) = &execute.job_id {
            self.jobs.used(job_id, execute.node_id.as_deref());
        }
        let chunked = execute.blob_transfer == Some(BlobTransfer::ChunkedV1);
        let blobs = execute.blobs.drain(..).map(|(name, blob)| (name, blob_value(blob))).collect();
        blobs::place(&mut execute.fields, blobs, &entry.metadata)?;
        let identity = Identity {
            node_id: execute.node_id,
            job_id: execute.job_id,
            workflow_id: execute.workflow_id,
            user_id: execute.user_id,
        };
        let context = self.context(responder, cancel, identity, execute.secrets.0);
        let fields = Fields::new(execute.fields, Reading::new(&self.services.workspace));

        let streaming_node = entry.metadata.is_streaming_output;
        let mut last = Emitted::default();
        let mut emit = |emitted: Emitted| {
            if stream {
                responder.interim("chunk", &emitted.into_data())
            } else {
                // Asked for one answer, a stream answers with the last value of each slot.
                last.outputs.extend(emitted.outputs);
                last.blobs.extend(emitted.blobs);
                Ok(())
            }
        };
        let mut emitted = context.settle(|| (entry.invoke)(fields, &context, &mut emit))?;
        if stream && !streaming_node {
            emit(std::mem::take(&mut emitted))?;
        } else if streaming_node {
            emitted = last;
        }
        if chunked {
            self.send_chunked(std::mem::take(&mut emitted.blobs), responder)?;
        }
        Ok(emitted.into_data())
    }

    /// `chunked-v1`: each blob in frames of bounded size, then its digest.
    pub(super) fn send_chunked(&self, blobs: IndexMap<String, Bytes>, responder: &Responder) -> Result<()> {
        for (name, bytes) in blobs {
            let size = bytes.len() as u64;
            responder
                .interim("blob.start", &BlobStart { name: name.clone(), size, ..BlobStart::default() }.into_map())?;
            let mut offset = 0;
            while offset < bytes.len() {
                let end = bytes.len().min(offset + self.limits.blob_chunk);
                let chunk = BlobChunk {
                    name: name.clone(),
                    offset: offset as u64,
                    bytes: bytes.slice(offset..end),
                    ..BlobChunk::default()
                };
                responder.interim("blob.chunk", &chunk.into_map())?;
                offset = end;
            }
            let sha256 = hex(&Sha256::digest(&bytes));
            responder.interim("blob.end", &BlobEnd { name, size, sha256, ..BlobEnd::default() }.into_map())?;
        }
        Ok(())
    }
}

fn blob_value(blob: OneOrMany<Bytes>) -> Value {
    match blob {
        OneOrMany::One(bytes) => Value::Bytes(bytes),
        OneOrMany::Many(parts) => Value::from(parts),
    }
}

fn check_settings(entry: &Entry, execute: &ExecuteRequest) -> Result<()> {
    let given = |name: &&String| execute.secrets.0.get(*name).is_some_and(|value| !value.is_empty());
    let missing: Vec<&str> =
        entry.metadata.required_settings.iter().filter(|name| !given(name)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} needs the setting {}: the host must send it in `secrets`",
        entry.metadata.node_type,
        missing.join(", ")
    );
    Err(Error::new(ErrorKind::MissingSetting, text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

//! One `execute` or `execute.stream` under way, and its right answer. What the nodes are is in [`nodes`].

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::nodes;
use super::worker::Worker;
use crate::digest::sha256_hex;
use millwork_protocol::{Bytes, Frame, Map, Value, map};

/// Whether a request has been cancelled.
#[derive(Debug, Default)]
pub(super) struct Stop {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn set(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits so long, or until it is set; says whether it is.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        *self.changed.wait_timeout_while(is_set, limit, |is_set| !*is_set).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until it is set.
    pub(super) fn wait_for_it(&self) {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(is_set, |is_set| !*is_set));
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) worker: Arc<Worker>,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) data: Map,
    pub(super) stop: Arc<Stop>,
}

/// The error of a request that was cancelled.
pub(super) const CANCELLED: &str = "cancelled";

impl Call {
    /// A frame of this request.
    pub(super) fn frame(&self, kind: &str, data: &Map) -> Frame {
        Frame::message(kind, Some(&self.id), data)
    }

    /// Sends a frame of this request.
    pub(super) fn send(&self, kind: &str, data: &Map) {
        self.worker.out.send(kind, Some(&self.id), data);
    }

    pub(super) fn progress(&self, progress: u32, total: u32) {
        self.send("progress", &map! { "progress" => progress, "total" => total });
    }

    pub(super) fn error(&self, text: &str) {
        self.worker.out.error(Some(&self.id), text);
    }

    /// Sends a frame of this request whose `data` is any value.
    pub(super) fn odd(&self, kind: &str, data: impl Into<Value>) {
        self.worker.out.value(map! { "type" => kind, "request_id" => &*self.id, "data" => data.into() });
    }

    /// Answers as a correct worker does.
    pub(super) fn answer(&self) {
        match nodes::run(self) {
            Ok(output) if self.data.get("blob_transfer").and_then(Value::as_str) == Some("chunked-v1") => {
                self.send_chunked(output);
            }
            Ok(output) => self.send("result", &output),
            Err(text) => self.error(&text),
        }
    }

    /// The right terminal frame, to be sent in a wrong way.
    pub(super) fn terminal(&self) -> Frame {
        match nodes::run(self) {
            Ok(output) => self.frame("result", &output),
            Err(text) => self.frame("error", &map! { "error" => text }),
        }
    }

    /// Sends each blob in chunks, then the result without them.
    fn send_chunked(&self, mut output: Map) {
        let blobs = output.insert("blobs".to_owned(), Map::new().into()).and_then(Value::into_map).unwrap_or_default();
        for (name, blob) in blobs {
            let blob = blob.into_bytes().unwrap_or_default();
            self.blob_start(&name, blob.len());
            let size = self.worker.limits().blob_chunk;
            for (index, chunk) in blob.chunks(size).enumerate() {
                self.blob_chunk(&name, index * size, &blob.slice_ref(chunk));
            }
            self.blob_end(&name, blob.len(), &sha256_hex(&blob));
        }
        self.send("result", &output);
    }

    pub(super) fn blob_start(&self, name: &str, size: usize) {
        self.send("blob.start", &map! { "name" => name, "size" => size });
    }

    pub(super) fn blob_chunk(&self, name: &str, offset: usize, bytes: &Bytes) {
        self.send("blob.chunk", &map! { "name" => name, "offset" => offset, "bytes" => bytes.clone() });
    }

    pub(super) fn blob_end(&self, name: &str, size: usize, sha256: &str) {
        self.send("blob.end", &map! { "name" => name, "size" => size, "sha256" => sha256 });
    }
}

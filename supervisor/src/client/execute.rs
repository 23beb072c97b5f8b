//! One node's call, put together field by field.

use std::time::Duration;

use millwork_protocol::message::ErrorData;
use millwork_protocol::{Bytes, Map, Value};

use super::{Client, Pending};

/// An `execute` that has not been sent. Made by [`Client::execute`].
#[derive(Debug, Clone)]
#[must_use = "nothing happens before it is sent"]
pub struct Execute {
    client: Client,
    data: Map,
    pub(super) fields: Map,
    secrets: Map,
    pub(super) blobs: Map,
    /// Why it cannot be sent.
    pub(super) refused: Option<ErrorData>,
}

impl Execute {
    pub(super) fn new(client: Client, node_type: String) -> Self {
        let data = Map::from_iter([("node_type".to_owned(), Value::from(node_type))]);
        Self { client, data, fields: Map::new(), secrets: Map::new(), blobs: Map::new(), refused: None }
    }

    /// The node, for errors.
    pub(super) fn label(&self) -> String {
        self.data.get("node_type").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Sets one field.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Sets many fields.
    pub fn fields(mut self, fields: Map) -> Self {
        self.fields.extend(fields);
        self
    }

    /// Gives a field as bytes: an encoded image, a sound, a file. They are not copied.
    pub fn blob(mut self, name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        self.blobs.insert(name.into(), Value::Bytes(bytes.into()));
        self
    }

    /// Gives the node a secret under the name that it asks for.
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secrets.insert(name.into(), Value::Str(value.into()));
        self
    }

    /// The job that this call is part of, opened with `job.start`.
    pub fn job(self, job_id: impl Into<String>) -> Self {
        self.option("job_id", job_id.into())
    }

    /// How long it may take, queue and writing included, before it is cancelled and fails as `timeout`.
    pub fn deadline(self, limit: Duration) -> Self {
        self.option("timeout_ms", u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1))
    }

    /// Any other key of the request's data: `node_id`, `workflow_id`, `user_id`, `blob_transfer`, …
    pub fn option(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.data.insert(key.into(), value.into());
        self
    }

    /// Sends it. The result is `{outputs, blobs}`.
    pub fn send(self) -> Pending {
        self.send_as("execute")
    }

    /// Sends it to a streaming node, whose outputs come as [`Event::Chunk`](super::Event::Chunk).
    pub fn send_stream(self) -> Pending {
        self.send_as("execute.stream")
    }

    fn send_as(mut self, kind: &str) -> Pending {
        if let Some(error) = self.refused {
            return self.client.refused(error);
        }
        self.data.insert("fields".to_owned(), Value::Map(self.fields));
        self.data.insert("secrets".to_owned(), Value::Map(self.secrets));
        self.data.insert("blobs".to_owned(), Value::Map(self.blobs));
        self.client.request(kind, self.data)
    }
}

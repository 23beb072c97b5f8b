//! Calls a node in a unit test, without a worker around it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::{Map, Value};
use parking_lot::Mutex;

use crate::context::{Interim, Services};
use crate::convert::Reading;
use crate::node::{Emitted, Fields, Node};
use crate::{CancelToken, Context, Identity, Result, Workspace, blobs};

/// One call of one node.
#[derive(Debug)]
pub struct NodeTest {
    entry: crate::node::Entry,
    fields: Map,
    blobs: Map,
    secrets: IndexMap<String, String>,
    workspace: std::path::PathBuf,
    cancel: CancelToken,
}

/// What a call did.
#[derive(Debug)]
pub struct Outcome {
    /// Its answer, or for a streaming node what it emitted last.
    pub result: Result<Emitted>,
    /// Everything that a streaming node emitted.
    pub chunks: Vec<Emitted>,
    /// The data of its progress frames.
    pub progress: Vec<Map>,
    /// The data of its updates.
    pub updates: Vec<Map>,
}

impl NodeTest {
    /// A call of `N` with nothing given.
    #[must_use]
    pub fn new<N: Node>() -> Self {
        Self {
            entry: N::entry(),
            fields: Map::new(),
            blobs: Map::new(),
            secrets: IndexMap::new(),
            workspace: std::env::temp_dir(),
            cancel: CancelToken::default(),
        }
    }

    /// With a field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// With a blob for a field.
    #[must_use]
    pub fn blob(mut self, name: &str, bytes: impl Into<Bytes>) -> Self {
        self.blobs.insert(name.to_owned(), Value::Bytes(bytes.into()));
        self
    }

    /// With a secret.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With files in a folder.
    #[must_use]
    pub fn workspace(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.workspace);
        self
    }

    /// With a token that the test may cancel.
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Makes the call and gives all that it did.
    #[must_use]
    pub fn outcome(mut self) -> Outcome {
        let placed = blobs::place(&mut self.fields, self.blobs, &self.entry.metadata);
        let recorded = Recorded::default();
        let services = Arc::new(Services::new(Workspace::new(&self.workspace, &[])));
        let context = Context {
            request_id: "test".to_owned(),
            identity: Identity::default(),
            secrets: self.secrets,
            cancel: self.cancel,
            interim: Box::new(recorded.clone()),
            services: services.clone(),
        };
        let mut chunks = Vec::new();
        let fields = Fields::new(self.fields, Reading { workspace: &services.workspace });
        let mut emit = |chunk| {
            chunks.push(chunk);
            Ok(())
        };
        let result = placed.and_then(|()| (self.entry.invoke)(fields, &context, &mut emit));
        let result = result.map(|answer| {
            if self.entry.metadata.is_streaming_output { chunks.last().cloned().unwrap_or_default() } else { answer }
        });
        let (progress, updates) = std::mem::take(&mut *recorded.0.lock());
        Outcome { result, chunks, progress, updates }
    }

    /// Makes the call.
    ///
    /// # Errors
    /// What the node fails with.
    pub fn run(self) -> Result<Emitted> {
        self.outcome().result
    }
}

type Frames = (Vec<Map>, Vec<Map>);

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Frames>>);

impl Interim for Recorded {
    fn progress(&self, data: &Map) {
        self.0.lock().0.push(data.clone());
    }

    fn update(&self, data: &Map) {
        self.0.lock().1.push(data.clone());
    }
}

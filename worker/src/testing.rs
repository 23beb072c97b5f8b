//! Calls a node in a unit test, without a worker around it.
//!
//! ```
//! use millwork_worker::prelude::*;
//! use millwork_worker::testing::NodeTest;
//!
//! /// Makes a picture lighter.
//! #[derive(Node)]
//! #[node("acme.image.Lighten")]
//! struct Lighten {
//!     /// The picture.
//!     image: Image,
//!     /// How much.
//!     #[node(default = 10, min = 0, max = 255)]
//!     by: i32,
//! }
//!
//! impl Run for Lighten {
//!     type Output = Image;
//!
//!     fn run(self, _: &Context) -> Result<Image> {
//!         Ok(self.image.brighten(self.by).into())
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let dark = Image::from(millwork_worker::image::RgbImage::new(4, 2));
//! let answer = NodeTest::new::<Lighten>().field("image", dark).field("by", 5).run()?;
//! assert_eq!(answer.get::<Image>("output")?.width(), 4);
//! let error = NodeTest::new::<Lighten>().field("by", 300).run().unwrap_err();
//! # Ok(())
//! # }
//! ```

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::{Map, Value};
use parking_lot::Mutex;

mod provider;

pub use provider::{Called, ProviderTest};

use crate::context::{Finalizers, Interim, Services};
use crate::convert::{FromWire, IntoWire, Reading, Writing};
use crate::node::{Emitted, Fields, Node};
use crate::{CancelToken, Context, Error, Identity, Package, Result, Workspace, blobs};

/// One call of one node.
#[derive(Debug)]
pub struct NodeTest {
    entry: crate::node::Entry,
    fields: Map,
    blobs: Map,
    secrets: IndexMap<String, String>,
    workspace: std::path::PathBuf,
    cancel: CancelToken,
    /// A field that could not be written.
    unwritten: Result<()>,
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
        Self::of(N::entry())
    }

    /// A call of a node of a package, with nothing given; none where the package has no such node.
    #[must_use]
    pub fn of_package(package: Package, node_type: &str) -> Option<Self> {
        package.entries.into_iter().find(|entry| entry.metadata.node_type == node_type).map(Self::of)
    }

    /// A call of a node whose type is only known at run time.
    #[must_use]
    pub fn of(entry: crate::node::Entry) -> Self {
        Self {
            entry,
            fields: Map::new(),
            blobs: Map::new(),
            secrets: IndexMap::new(),
            workspace: std::env::temp_dir(),
            cancel: CancelToken::default(),
            unwritten: Ok(()),
        }
    }

    /// With a field: anything that could also be an output, an [`Image`](crate::convert::Image) as well as a number.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl IntoWire) -> Self {
        match value.into_wire(&mut Writing::inline(&mut IndexMap::new())) {
            Ok(value) => {
                self.fields.insert(name.to_owned(), value);
            }
            Err(error) => self.unwritten = Err(error.context(format!("the test's field `{name}`"))),
        }
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

    /// Makes the call and gives all that it did. A panic is an error of kind `panic`, as a worker answers it.
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
            finalizers: Finalizers::default(),
        };
        let mut chunks = Vec::new();
        let fields = Fields::new(self.fields, Reading::new(&services.workspace));
        let mut emit = |chunk| {
            chunks.push(chunk);
            Ok(())
        };
        let ready = self.unwritten.and(placed);
        let result = ready.and_then(|()| context.settle(|| (self.entry.invoke)(fields, &context, &mut emit)));
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

impl Emitted {
    /// Reads what one slot holds.
    ///
    /// # Errors
    /// Where the slot was not filled, or holds another type; both name the slot.
    pub fn get<T: FromWire>(&self, slot: &str) -> Result<T> {
        let Some(value) = self.outputs.get(slot) else {
            let filled: Vec<&str> = self.outputs.keys().map(String::as_str).collect();
            return Err(Error::failed(format!("output `{slot}` was not filled; there are: {}", filled.join(", "))));
        };
        let read = blobs::resolved(value.clone(), &self.blobs)
            .and_then(|value| T::from_wire(value, &Reading::new(&Workspace::new(Path::new("."), &[]))));
        read.map_err(|error| error.context(format!("output `{slot}`")))
    }
}

type Frames = (Vec<Map>, Vec<Map>);

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Frames>>);

impl Interim for Recorded {
    fn progress(&self, data: &Map) {
        self.0.lock().0.push(data.clone());
    }

    fn milestone(&self, data: &Map) {
        self.progress(data);
    }

    fn update(&self, data: &Map) {
        self.0.lock().1.push(data.clone());
    }

    fn blot(&self, text: &str) -> String {
        text.to_owned()
    }
}

//! Nodes whose type is only known at run time: those that a file describes, and those that others are made of. Nodes that are
//! Rust types are in `node`.

use millwork_protocol::message::LoadError;
use millwork_protocol::metadata::NodeMetadata;
use millwork_protocol::{Map, Value};

use crate::convert::{FromWire, Reading};
use crate::node::{Emitted, Entry, Fields};
use crate::{Context, Package, Result};

impl Entry {
    /// A node that answers once, from what `discover` reports of it and how it is called. It counts as idempotent.
    #[must_use]
    pub fn dynamic(
        metadata: NodeMetadata,
        call: impl Fn(Fields<'_>, &Context) -> Result<Emitted> + Send + Sync + 'static,
    ) -> Self {
        let invoke = move |fields: Fields<'_>, cx: &Context, _: &mut dyn FnMut(Emitted) -> Result<()>| call(fields, cx);
        Self { metadata, quick: false, idempotent: true, invoke: Box::new(invoke) }
    }

    /// Calls the node for another one, on the caller's thread. What a streaming node emits on the way is dropped.
    ///
    /// # Errors
    /// What the node fails with.
    pub fn call(&self, fields: Map, cx: &Context) -> Result<Emitted> {
        let fields = Fields::new(fields, Reading::new(cx.workspace()));
        (self.invoke)(fields, cx, &mut |_| Ok(()))
    }
}

impl Fields<'_> {
    /// Takes one field as it came; nil counts as not given.
    pub fn take_value(&mut self, name: &str) -> Option<Value> {
        self.values.shift_remove(name).filter(|value| !value.is_nil())
    }

    /// Reads a value that was taken.
    ///
    /// # Errors
    /// `invalid_input`, naming the field.
    pub fn read<T: FromWire>(&self, name: &str, value: Value) -> Result<T> {
        T::from_wire(value, &self.reading.field(name)).map_err(|error| error.context(format!("field `{name}`")))
    }
}

impl Package {
    /// What did not load so far.
    #[must_use]
    pub fn errors(&self) -> &[LoadError] {
        &self.load_errors
    }

    /// The nodes that are in it.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

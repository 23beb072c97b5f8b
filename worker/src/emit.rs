//! What a node gives: the slots of one answer or chunk, encoded, and the sink of a stream. Sending them is not done here.

use std::fmt;

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::metadata::OutputSlot;
use millwork_protocol::{Map, Value, map};

use crate::convert::{IntoWire, Writing};
use crate::node::Outputs;
use crate::{Context, Error, Result};

/// A slot of the type `T`.
#[must_use]
pub fn slot<T: IntoWire>(name: &str) -> OutputSlot {
    OutputSlot { name: name.to_owned(), ty: T::type_metadata(), ..OutputSlot::default() }
}

/// The outputs of one answer or one chunk, encoded.
#[derive(Debug, Default, Clone)]
pub struct Emitted {
    /// Slot to value.
    pub outputs: Map,
    /// Slot to the bytes that its value refers to.
    pub blobs: IndexMap<String, Bytes>,
}

impl Emitted {
    /// Fills one slot.
    ///
    /// # Errors
    /// Where the value cannot be encoded.
    pub fn slot<T: IntoWire>(&mut self, name: &str, value: T) -> Result<()> {
        let value = value
            .into_wire(&mut Writing::slot(name, &mut self.blobs))
            .map_err(|e| e.context(format!("output `{name}`")))?;
        self.outputs.insert(name.to_owned(), value);
        Ok(())
    }

    /// Fills a slot for each entry, its key the slot's name.
    ///
    /// # Errors
    /// Where a value cannot be encoded, or the slot has been filled.
    pub fn slots<T: IntoWire>(&mut self, values: IndexMap<String, T>) -> Result<()> {
        values.into_iter().try_for_each(|(name, value)| match self.outputs.contains_key(&name) {
            true => {
                Err(Error::failed(format!("output `{name}`: the node has a slot of this name; choose another key")))
            }
            false => self.slot(&name, value),
        })
    }

    /// `{outputs, blobs}` as it travels.
    #[must_use]
    pub fn into_data(self) -> Map {
        let blobs: Map = self.blobs.into_iter().map(|(slot, bytes)| (slot, Value::Bytes(bytes))).collect();
        map! { "outputs" => self.outputs, "blobs" => blobs }
    }
}

/// Where a streaming node puts its items.
pub struct Sink<'a, T> {
    cx: &'a Context,
    emit: &'a mut dyn FnMut(Emitted) -> Result<()>,
    items: std::marker::PhantomData<fn(T)>,
}

impl<'a, T> Sink<'a, T> {
    pub(crate) fn new(cx: &'a Context, emit: &'a mut dyn FnMut(Emitted) -> Result<()>) -> Self {
        Self { cx, emit, items: std::marker::PhantomData }
    }
}

impl<T> fmt::Debug for Sink<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

impl<T: Outputs> Sink<'_, T> {
    /// Sends one item; waits while the host reads slower than the node emits.
    ///
    /// # Errors
    /// `cancelled` once the request has been cancelled, and where the item cannot be encoded.
    pub fn send(&mut self, item: T) -> Result<()> {
        self.cx.check()?;
        let mut emitted = Emitted::default();
        item.write(&mut emitted)?;
        (self.emit)(emitted)
    }
}

//! What a node is: its description, how its fields are read, what it emits. Who calls it, and when, is in `dispatch`.

use std::fmt;

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::metadata::{NodeMetadata, OutputSlot, PropertyMetadata};
use millwork_protocol::{Map, Value, map};

use crate::convert::{FromWire, IntoWire, Reading, Writing};
use crate::{Context, Error, Result};

/// A typed unit of work; `#[derive(Node)]` writes it.
pub trait Node: Sized + Send + 'static {
    /// `namespace.path.Name`.
    const NODE_TYPE: &'static str;

    /// What `discover` reports of the inputs.
    fn description() -> Description;

    /// Reads the fields of one request.
    ///
    /// # Errors
    /// `invalid_input`, naming the field.
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self>;

    /// The node as a package holds it.
    fn entry() -> Entry;
}

/// A node that answers once.
pub trait Run: Node {
    /// Its outputs: one value for the slot `output`, or a struct with `#[derive(Outputs)]`.
    type Output: Outputs;

    /// Does the work, on the compute pool. A panic here is contained and reported.
    ///
    /// # Errors
    /// Whatever went wrong; the host gets its message and kind.
    fn run(self, cx: &Context) -> Result<Self::Output>;
}

/// A node that emits while it works; `#[node(…, stream)]`.
pub trait RunStream: Node {
    /// What one emission holds.
    type Item: Outputs;

    /// Does the work, giving each item to the sink.
    ///
    /// # Errors
    /// Whatever went wrong; what was emitted before stays emitted.
    fn run(self, cx: &Context, sink: &mut Sink<'_, Self::Item>) -> Result<()>;
}

/// The slots of a node and how its outputs fill them.
pub trait Outputs {
    /// The slots, in order.
    fn slots() -> Vec<OutputSlot>;

    /// Fills them.
    ///
    /// # Errors
    /// Where a value cannot be encoded.
    fn write(self, out: &mut Emitted) -> Result<()>;
}

impl<T: IntoWire> Outputs for T {
    fn slots() -> Vec<OutputSlot> {
        vec![slot::<T>("output")]
    }

    fn write(self, out: &mut Emitted) -> Result<()> {
        out.slot("output", self)
    }
}

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
    pub fn slot(&mut self, name: &str, value: impl IntoWire) -> Result<()> {
        let value = value
            .into_wire(&mut Writing::slot(name, &mut self.blobs))
            .map_err(|e| e.context(format!("output `{name}`")))?;
        self.outputs.insert(name.to_owned(), value);
        Ok(())
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

/// What a node's struct says of itself, but for its outputs.
#[derive(Debug)]
pub struct Description {
    /// `namespace.path.Name`.
    pub node_type: &'static str,
    /// The title.
    pub title: &'static str,
    /// The description: the struct's doc comment.
    pub description: &'static str,
    /// The fields.
    pub properties: Vec<PropertyMetadata>,
    /// Secrets that must be given.
    pub settings: &'static [&'static str],
    /// GPU memory needed, in GiB, where it is known.
    pub vram_gb: Option<f64>,
    /// Whether fields that are not declared are taken too.
    pub dynamic: bool,
    /// Whether it takes microseconds and never blocks.
    pub quick: bool,
    /// Whether a second run does no harm.
    pub idempotent: bool,
}

/// One field of a node.
#[derive(Debug)]
pub struct FieldSpec<T> {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its doc comment.
    pub description: &'static str,
    /// Makes its default; without one it is required, unless its type can be missing.
    pub default: Option<fn() -> T>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
}

impl<T: FromWire> FieldSpec<T> {
    /// The field as `discover` reports it.
    #[must_use]
    pub fn property(&self) -> PropertyMetadata {
        let mut extra = Map::new();
        for (key, bound) in [("min", self.min), ("max", self.max)] {
            if let Some(bound) = bound {
                extra.insert(key.to_owned(), Value::Float(bound));
            }
        }
        let default = self.default.map(|make| make().to_default()).or_else(|| T::missing().map(|_| Value::Nil));
        if default.is_none() {
            extra.insert("required".to_owned(), Value::Bool(true));
        }
        PropertyMetadata {
            name: self.name.to_owned(),
            ty: T::type_metadata(),
            default,
            description: (!self.description.is_empty()).then(|| self.description.to_owned()),
            extra,
        }
    }

    fn check_range(&self, value: &T) -> Result<()> {
        let Some(number) = value.as_number() else { return Ok(()) };
        let (low, high) = (self.min.unwrap_or(f64::NEG_INFINITY), self.max.unwrap_or(f64::INFINITY));
        if (low..=high).contains(&number) {
            return Ok(());
        }
        let range = match (self.min, self.max) {
            (Some(low), Some(high)) => format!("between {low} and {high}"),
            (Some(low), None) => format!("at least {low}"),
            (None, Some(high)) => format!("at most {high}"),
            (None, None) => "a number".to_owned(),
        };
        Err(Error::invalid(format!("must be {range}, got {number}")))
    }
}

/// The fields of one request, taken one by one.
#[derive(Debug)]
pub struct Fields<'a> {
    values: Map,
    reading: Reading<'a>,
}

impl<'a> Fields<'a> {
    /// Fields with their blobs already in place.
    #[must_use]
    pub fn new(values: Map, reading: Reading<'a>) -> Self {
        Self { values, reading }
    }

    /// Takes one field: nil counts as not given.
    ///
    /// # Errors
    /// `invalid_input`, naming the field, where it is missing, of another type, or out of range.
    pub fn take<T: FromWire>(&mut self, spec: &FieldSpec<T>) -> Result<T> {
        let named = |e: Error| e.context(format!("field `{}`", spec.name));
        // What is left keeps its order: a dynamic node may read it as a list.
        match self.values.shift_remove(spec.name).filter(|value| !value.is_nil()) {
            Some(value) => {
                let value = T::from_wire(value, &self.reading).map_err(named)?;
                spec.check_range(&value).map_err(named)?;
                Ok(value)
            }
            None => spec.default.map(|make| make()).or_else(T::missing).ok_or_else(|| {
                Error::invalid(format!(
                    "field `{}` is missing: it needs {}",
                    spec.name,
                    article(&T::type_metadata().kind)
                ))
            }),
        }
    }

    /// Every field that has not been taken.
    pub fn rest(&mut self) -> Map {
        std::mem::take(&mut self.values)
    }
}

/// How a node is called, its type no longer known.
type Invoke = dyn Fn(Fields<'_>, &Context, &mut dyn FnMut(Emitted) -> Result<()>) -> Result<Emitted> + Send + Sync;

/// A node as a package holds it: what it is, and how to call it.
pub struct Entry {
    /// What `discover` reports.
    pub metadata: NodeMetadata,
    /// Whether it may run on the protocol thread.
    pub(crate) quick: bool,
    /// Whether a supervisor may send a request for it again whose worker died.
    pub(crate) idempotent: bool,
    pub(crate) invoke: Box<Invoke>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("node_type", &self.metadata.node_type).finish_non_exhaustive()
    }
}

impl Entry {
    /// A node that answers once. Streamed, it emits that one answer.
    #[must_use]
    pub fn unary<N: Run>() -> Self {
        let invoke = |mut fields: Fields<'_>, cx: &Context, _: &mut dyn FnMut(Emitted) -> Result<()>| {
            let node = N::from_fields(&mut fields)?;
            fields.warn_of_rest(N::NODE_TYPE);
            let mut emitted = Emitted::default();
            node.run(cx)?.write(&mut emitted)?;
            Ok(emitted)
        };
        Self::new(N::description(), N::Output::slots(), false, Box::new(invoke))
    }

    /// A node that emits while it works. Its answer is what it emitted last in each slot.
    #[must_use]
    pub fn streaming<N: RunStream>() -> Self {
        let invoke = |mut fields: Fields<'_>, cx: &Context, emit: &mut dyn FnMut(Emitted) -> Result<()>| {
            let node = N::from_fields(&mut fields)?;
            fields.warn_of_rest(N::NODE_TYPE);
            node.run(cx, &mut Sink { cx, emit, items: std::marker::PhantomData })?;
            Ok(Emitted::default())
        };
        Self::new(N::description(), N::Item::slots(), true, Box::new(invoke))
    }

    fn new(description: Description, mut outputs: Vec<OutputSlot>, streaming: bool, invoke: Box<Invoke>) -> Self {
        outputs.iter_mut().for_each(|slot| slot.stream = streaming);
        let metadata = NodeMetadata {
            node_type: description.node_type.to_owned(),
            title: description.title.to_owned(),
            description: description.description.to_owned(),
            properties: description.properties,
            outputs,
            required_settings: description.settings.iter().map(|name| (*name).to_owned()).collect(),
            is_streaming_output: streaming,
            is_dynamic: description.dynamic,
            requires_vram_gb: description.vram_gb,
            ..NodeMetadata::default()
        };
        Self { metadata, quick: description.quick, idempotent: description.idempotent, invoke }
    }
}

/// `an int`, `a list`.
fn article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {type_name}")
}

impl Fields<'_> {
    /// Old graphs carry retired fields: that is no error, but somebody should know.
    fn warn_of_rest(&self, node_type: &str) {
        if !self.values.is_empty() {
            let names: Vec<&str> = self.values.keys().map(String::as_str).collect();
            tracing::warn!(node_type, fields = names.join(", "), "fields that this node does not know were ignored");
        }
    }
}

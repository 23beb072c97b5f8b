//! What a node is: its description, its work, and the hooks around it. Who calls it, and when, is in `dispatch`.

use std::fmt;

use millwork_protocol::Value;
use millwork_protocol::metadata::{NodeMetadata, OutputSlot, PropertyMetadata};

use crate::convert::{IntoWire, Number};
pub use crate::emit::{Emitted, Sink, slot};
pub use crate::field::{FieldSpec, Fields, Range, property, reported};
use crate::{Context, Result};

/// A typed unit of work; `#[derive(Node)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a node",
    label = "it needs #[derive(Node)]",
    note = "write #[derive(Node)] and #[node(\"namespace.path.{Self}\")] above `struct {Self}`"
)]
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

/// A node that answers once: `validate`, `preload`, `run`, and then what [`Context::finalize`] was given, however it ended.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no work: it does not implement `Run`",
    label = "needs `impl Run for {Self}`",
    note = "a node that emits while it works implements `RunStream` instead, and says so: #[node(\"…\", stream)]"
)]
pub trait Run: Node {
    /// Its outputs: one value for the slot `output`, or a struct with `#[derive(Outputs)]`.
    type Output: Outputs;

    /// Checks what no single field can: called first, before anything is loaded.
    ///
    /// # Errors
    /// [`Error::invalid`](crate::Error::invalid), saying which field is wrong and how it is right.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Loads the models that the work needs, into the cache that it then finds them in.
    ///
    /// # Errors
    /// As the work.
    fn preload(&self, cx: &Context) -> Result<()> {
        let _ = cx;
        Ok(())
    }

    /// Does the work, on the compute pool. A panic here is contained and reported.
    ///
    /// # Errors
    /// Whatever went wrong; the host gets its message and kind.
    fn run(self, cx: &Context) -> Result<Self::Output>;
}

/// A node that emits while it works; `#[node(…, stream)]`. Its hooks are those of [`Run`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no work: it is marked `stream` and does not implement `RunStream`",
    label = "needs `impl RunStream for {Self}`",
    note = "a node that answers once implements `Run`, and is not marked `stream`"
)]
pub trait RunStream: Node {
    /// What one emission holds.
    type Item: Outputs;

    /// Checks what no single field can: called first, before anything is loaded.
    ///
    /// # Errors
    /// [`Error::invalid`](crate::Error::invalid), saying which field is wrong and how it is right.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Loads the models that the work needs, into the cache that it then finds them in.
    ///
    /// # Errors
    /// As the work.
    fn preload(&self, cx: &Context) -> Result<()> {
        let _ = cx;
        Ok(())
    }

    /// Does the work, giving each item to the sink.
    ///
    /// # Errors
    /// Whatever went wrong; what was emitted before stays emitted.
    fn run(self, cx: &Context, sink: &mut Sink<'_, Self::Item>) -> Result<()>;
}

/// The slots of a node and how its outputs fill them. `()` has none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the output of a node",
    label = "no output slot can be filled from a `{Self}`",
    note = "one output is a number, String, Value, Image, Audio, Tensor, Vec, …; several are a struct with #[derive(Outputs)], a slot a field; an enum needs #[derive(Choice)] or #[derive(Union)]"
)]
pub trait Outputs {
    /// Whether it fills slots that are not among [`Outputs::slots`].
    const DYNAMIC: bool = false;

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

impl Outputs for () {
    fn slots() -> Vec<OutputSlot> {
        Vec::new()
    }

    fn write(self, _: &mut Emitted) -> Result<()> {
        Ok(())
    }
}

/// What a node's struct says of itself, but for its outputs.
#[derive(Debug)]
pub struct Description {
    /// `namespace.path.Name`.
    pub node_type: &'static str,
    /// The title, where it is not made from the name.
    pub title: Option<&'static str>,
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
    /// Whether a field is read bit by bit.
    pub streams_input: bool,
    /// Whether it takes microseconds and never blocks.
    pub quick: bool,
    /// Whether a second run does no harm.
    pub idempotent: bool,
}

/// The title that a node has without being given one: that of `acme.FindEdges` is `Find Edges`. Runs of capitals and digits stay
/// together.
#[must_use]
pub fn title_of(node_type: &str) -> String {
    let name = node_type.rsplit('.').next().unwrap_or_default().replace('_', " ");
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let after_lower = i > 0 && chars[i - 1].is_lowercase();
        let before_lower = chars.get(i + 1).is_some_and(|next| next.is_lowercase());
        if i > 0 && c.is_uppercase() && (after_lower || before_lower) {
            out.push(' ');
        }
        out.push(*c);
    }
    out
}

/// What a node says of itself, beside the keys of the protocol, where it fills slots that it does not list.
pub const DYNAMIC_OUTPUTS: &str = "supports_dynamic_outputs";

/// Compiles where a field has bounds and is a number.
#[doc(hidden)]
pub fn assert_number<T: Number>() {}

/// How a node is called, its type no longer known.
pub(crate) type Invoke =
    dyn Fn(Fields<'_>, &Context, &mut dyn FnMut(Emitted) -> Result<()>) -> Result<Emitted> + Send + Sync;

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
            node.validate()?;
            node.preload(cx)?;
            let mut emitted = Emitted::default();
            node.run(cx)?.write(&mut emitted)?;
            Ok(emitted)
        };
        Self::new::<N::Output>(N::description(), false, Box::new(invoke))
    }

    /// A node that emits while it works. Its answer is what it emitted last in each slot.
    #[must_use]
    pub fn streaming<N: RunStream>() -> Self {
        let invoke = |mut fields: Fields<'_>, cx: &Context, emit: &mut dyn FnMut(Emitted) -> Result<()>| {
            let node = N::from_fields(&mut fields)?;
            fields.warn_of_rest(N::NODE_TYPE);
            node.validate()?;
            node.preload(cx)?;
            node.run(cx, &mut Sink::new(cx, emit))?;
            Ok(Emitted::default())
        };
        Self::new::<N::Item>(N::description(), true, Box::new(invoke))
    }

    fn new<O: Outputs>(description: Description, streaming: bool, invoke: Box<Invoke>) -> Self {
        let mut outputs = O::slots();
        outputs.iter_mut().for_each(|slot| slot.stream = streaming);
        let mut metadata = NodeMetadata {
            node_type: description.node_type.to_owned(),
            title: description.title.map_or_else(|| title_of(description.node_type), str::to_owned),
            description: description.description.to_owned(),
            properties: description.properties,
            outputs,
            required_settings: description.settings.iter().map(|name| (*name).to_owned()).collect(),
            is_streaming_output: streaming,
            is_streaming_input: description.streams_input,
            is_dynamic: description.dynamic,
            requires_vram_gb: description.vram_gb,
            ..NodeMetadata::default()
        };
        if O::DYNAMIC {
            metadata.extra.insert(DYNAMIC_OUTPUTS.to_owned(), Value::Bool(true));
        }
        Self { metadata, quick: description.quick, idempotent: description.idempotent, invoke }
    }
}

//! Values that come one after the other and are read one by one. A list that is wanted whole is a `Vec`.

use std::fmt;
use std::marker::PhantomData;

use millwork_protocol::Value;
use millwork_protocol::metadata::TypeMetadata;

use super::{FromWire, Reading};
use crate::{Context, Result, ResultExt};

/// Streaming in: a list of values, or a single one, each read only when its turn comes. So a hundred pictures lie in memory
/// as the files that they came as, and one of them decoded. The node says of itself that it streams its inputs.
///
/// A single value that is itself a list, a `Tensor` or a `Vec`, has to stand in a list.
pub struct Inputs<T> {
    field: String,
    items: Vec<Value>,
    read_as: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Inputs<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs").field("len", &self.items.len()).finish_non_exhaustive()
    }
}

impl<T> Default for Inputs<T> {
    /// None.
    fn default() -> Self {
        Self { field: String::new(), items: Vec::new(), read_as: PhantomData }
    }
}

impl<T: FromWire> Inputs<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Reads them one after the other. Each is a checkpoint: it fails once the request is cancelled.
    pub fn read(self, cx: &Context) -> impl ExactSizeIterator<Item = Result<T>> {
        let field = self.field;
        self.items.into_iter().enumerate().map(move |(place, item)| {
            cx.check()?;
            let reading = Reading::new(cx.workspace());
            T::from_wire(item, &reading).context(format!("field `{field}`: element {place}"))
        })
    }
}

impl<T: FromWire> FromWire for Inputs<T> {
    const STREAMS: bool = true;

    fn type_metadata() -> TypeMetadata {
        TypeMetadata::list_of(T::type_metadata())
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        let items = match value {
            Value::List(items) => items,
            single => vec![single],
        };
        Ok(Self { field: reading.field.to_owned(), items, read_as: PhantomData })
    }
}

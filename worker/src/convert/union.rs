//! One value of several types, for `#[derive(Union)]`. Enums of plain names are in `choice`.

use millwork_protocol::Value;

use super::{FromWire, Reading, mismatch};
use crate::Result;

/// Tries one type after the other; the first that takes the value has it. A value that says which of them it is, as a ref
/// does by its `type`, is tried as that one alone.
#[derive(Debug)]
pub struct Alternatives<'a, U> {
    value: Value,
    reading: &'a Reading<'a>,
    kinds: Vec<String>,
    /// The only one to try, where the value says so.
    only: Option<String>,
    found: Option<Result<U>>,
}

impl<'a, U: FromWire> Alternatives<'a, U> {
    /// Nothing tried yet.
    #[must_use]
    pub fn new(value: Value, reading: &'a Reading<'a>) -> Self {
        let kinds: Vec<String> = U::type_metadata().type_args.into_iter().map(|ty| ty.kind).collect();
        let said = value.get("type").and_then(Value::as_str);
        let only = kinds.iter().find(|kind| said == Some(kind.as_str())).cloned();
        Self { value, reading, kinds, only, found: None }
    }

    /// Tries one more.
    #[must_use]
    pub fn or<T: FromWire>(mut self, make: impl FnOnce(T) -> U) -> Self {
        if self.found.is_none() && self.only.as_ref().is_none_or(|only| *only == T::type_metadata().kind) {
            let read = T::from_wire(self.value.clone(), self.reading);
            if read.is_ok() || self.only.is_some() {
                self.found = Some(read.map(make));
            }
        }
        self
    }

    /// What was found.
    ///
    /// # Errors
    /// `invalid_input`, naming the types, where none of them took it.
    pub fn finish(self) -> Result<U> {
        let Self { value, kinds, found, .. } = self;
        found.unwrap_or_else(|| Err(mismatch(&format!("one of the types {}", kinds.join(", ")), &value)))
    }
}

//! Calls in a host's own types: a struct of fields in, a struct of outputs out, whole or as a stream.

use std::marker::PhantomData;

use millwork_protocol::message::{ErrorData, ErrorKind};
use millwork_protocol::{Map, Value, typed};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Event, Execute, Pending, RequestError};

impl Execute {
    /// Sets a field for each of a struct's. Bytes ([`Bytes`](crate::Bytes)), and lists of them, go as blobs; `None` leaves
    /// the field out. What cannot be sent is the error of the call.
    pub fn input<T: Serialize + ?Sized>(mut self, input: &T) -> Self {
        let fields = match typed::to_value(input) {
            Ok(Value::Map(fields)) => fields,
            Ok(other) => return self.refuse(&format!("the input is a {}, and no struct or map", other.type_name())),
            Err(error) => return self.refuse(&format!("the input cannot be sent: {error}")),
        };
        for (name, value) in fields {
            let is_bytes = |value: &Value| matches!(value, Value::Bytes(_));
            match value {
                Value::Nil => {}
                Value::List(items) if !items.is_empty() && items.iter().all(is_bytes) => {
                    self.blobs.insert(name, Value::List(items));
                }
                Value::Bytes(_) => drop(self.blobs.insert(name, value)),
                value => drop(self.fields.insert(name, value)),
            }
        }
        self
    }

    fn refuse(mut self, text: &str) -> Self {
        let text = format!("{}: {text}", self.label());
        self.refused.get_or_insert(ErrorData::new(ErrorKind::InvalidInput, text));
        self
    }

    /// Sends it and reads the outputs as a struct with a field for each slot; pictures, sounds and files are
    /// [`Bytes`](crate::Bytes) there. Dropping the future cancels the call.
    ///
    /// # Errors
    /// As [`Pending::finish`], and where the outputs are not what the struct says.
    pub async fn call<T: DeserializeOwned>(self) -> Result<T, RequestError> {
        let label = self.label();
        outputs(&label, self.send().finish().await?)
    }

    /// Sends it to a streaming node, and reads each of its chunks as such a struct.
    pub fn stream<T: DeserializeOwned>(self) -> Chunks<T> {
        Chunks { label: self.label(), pending: Some(self.send_stream()), chunk: PhantomData }
    }
}

/// The chunks of a stream. Dropping it cancels the call.
#[derive(Debug)]
#[must_use = "dropping it cancels the request"]
pub struct Chunks<T> {
    label: String,
    pending: Option<Pending>,
    chunk: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Chunks<T> {
    /// The next chunk; the error that ended the stream; or nothing once it has ended well. Chunks wait for their reader as
    /// [`Pending::next`] says. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<T, RequestError>> {
        let pending = self.pending.as_mut()?;
        while let Some(event) = pending.next().await {
            if let Event::Chunk(data) = event {
                return Some(outputs(&self.label, data));
            }
        }
        // It has ended: its outcome is there at once.
        self.pending.take()?.finish().await.err().map(Err)
    }
}

/// Reads `{outputs, blobs}`; a slot's blob takes the place of the reference to it.
fn outputs<T: DeserializeOwned>(label: &str, mut data: Map) -> Result<T, RequestError> {
    let mut part = |key: &str| data.swap_remove(key).and_then(Value::into_map).unwrap_or_default();
    let mut outputs = part("outputs");
    outputs.extend(part("blobs"));
    typed::from_value(Value::Map(outputs)).map_err(|error| {
        ErrorData::new(ErrorKind::Failed, format!("{label}: its outputs are not what was expected: {error}")).into()
    })
}

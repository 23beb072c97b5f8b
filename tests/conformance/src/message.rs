//! One frame from a worker, read, with the questions that checks ask of it.

use std::time::Instant;

use millwork_protocol::{Bytes, Map, Value};

use crate::check::{Outcome, fail};

/// One frame from the worker.
#[derive(Debug, Clone)]
pub struct Message {
    /// `type`.
    pub kind: String,
    /// `request_id`, where it is text.
    pub id: Option<String>,
    /// `data`.
    pub data: Map,
    /// The bytes that it came in.
    pub payload: Bytes,
    /// When it was complete.
    pub at: Instant,
}

impl Message {
    /// Whether this ends its request.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self.kind.as_str(), "result" | "error" | "discover")
    }

    /// This, if it is of that type.
    ///
    /// # Errors
    /// Where it is another; an error says its text.
    pub fn expect_kind(&self, kind: &str) -> Outcome<&Self> {
        if self.kind == kind {
            return Ok(self);
        }
        let text = match self.error() {
            Some(text) => format!(" {text:?}"),
            None => String::new(),
        };
        Err(fail(format!("a frame of type `{kind}` was due, and `{}`{text} came", self.kind)))
    }

    /// The text of an error; nothing where this is none.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.data.get("error").and_then(Value::as_str).filter(|_| self.kind == "error")
    }

    /// The text of the error that this has to be.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn expect_error(&self) -> Outcome<&str> {
        self.expect_kind("error")?;
        self.error().ok_or_else(|| fail(format!("an `error` frame without a text: {}", text(&self.data))))
    }

    /// A key of `data` that has to be there.
    ///
    /// # Errors
    /// Where it is not.
    pub fn get(&self, key: &str) -> Outcome<&Value> {
        self.data.get(key).ok_or_else(|| fail(format!("`{}` has no key `{key}`: {}", self.kind, text(&self.data))))
    }

    /// An output of a result or chunk, which this has to be.
    ///
    /// # Errors
    /// Where it is something else, or has no such output.
    pub fn output(&self, slot: &str) -> Outcome<&Value> {
        if self.kind != "chunk" {
            self.expect_kind("result")?;
        }
        let found = self.data.get("outputs").and_then(|outputs| outputs.get(slot));
        found.ok_or_else(|| fail(format!("no output `{slot}`: {}", text(&self.data))))
    }

    /// A blob of a result or chunk, which this has to be.
    ///
    /// # Errors
    /// Where it is something else, or has no such blob, or that is not bytes.
    pub fn blob(&self, slot: &str) -> Outcome<&[u8]> {
        if self.kind != "chunk" {
            self.expect_kind("result")?;
        }
        match self.data.get("blobs").and_then(|blobs| blobs.get(slot)) {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            Some(other) => Err(fail(format!("the blob `{slot}` is no bytes but {}", other.type_name()))),
            None => Err(fail(format!("no blob `{slot}`: {}", text(&self.data)))),
        }
    }
}

/// Data as one short line of JSON, bytes as their length.
#[must_use]
pub fn text(data: &Map) -> String {
    shorten(&Value::Map(data.clone()).to_json().to_string(), 300)
}

/// At most `limit` characters, the rest counted.
#[must_use]
pub fn shorten(text: &str, limit: usize) -> String {
    let count = text.chars().count();
    if count <= limit {
        return text.to_owned();
    }
    let head: String = text.chars().take(limit).collect();
    format!("{head}… ({} more characters)", count - limit)
}

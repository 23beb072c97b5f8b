//! The outer map of a payload, `{type, request_id, data}`, read without decoding `data`.
//!
//! A supervisor that only forwards needs no more than this; a worker decodes `data` after it.

use std::ops::Range;

use bytes::Bytes;
use thiserror::Error;

use crate::codec::{Cursor, DecodeError, Token, decode_prefix};
use crate::{Limits, Map, Value};

/// The answer to a message whose type is missing or not text.
pub const NO_TYPE: &str = "Unknown message type: the frame has none, or it is not text";

/// The envelope of one payload, borrowed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The message type; absent where it was not text.
    pub kind: Option<&'a str>,
    /// The request id; absent where it was nil, empty or not text.
    pub request_id: Option<&'a str>,
    /// Where `data` stands in the payload; absent where it was not given.
    pub data: Option<Range<usize>>,
    payload: &'a [u8],
}

/// A text or a number, borrowed from the payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// Text.
    Text(&'a str),
    /// A number, whole or not.
    Number(f64),
}

impl<'a> Scalar<'a> {
    /// The text, if this is text.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    /// The number, if this is one.
    #[must_use]
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(_) => None,
        }
    }
}

/// Why a payload has no envelope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Not MessagePack.
    #[error("Invalid msgpack: {cause}")]
    Malformed {
        /// What is wrong with it.
        cause: DecodeError,
        /// The request id, where it could still be read.
        request_id: Option<String>,
    },
    /// MessagePack, but no map.
    #[error("Expected a msgpack map, got {found}")]
    NotAMap {
        /// The type that it is.
        found: &'static str,
    },
}

/// Why `data` could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DataError {
    /// Over a limit, or not MessagePack.
    #[error("Invalid data: {0}")]
    Malformed(#[from] DecodeError),
    /// Not a map and not nil.
    #[error("Invalid data: expected a map, got {found}")]
    NotAMap {
        /// The type that it is.
        found: &'static str,
    },
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of `payload`. Unknown keys are passed over; of a key that stands twice the last one counts.
    ///
    /// # Errors
    /// Where the payload is not MessagePack, with the request id salvaged if possible, or is no map.
    pub fn peek(payload: &'a [u8]) -> Result<Self, EnvelopeError> {
        let mut envelope = Self { kind: None, request_id: None, data: None, payload };
        match envelope.read() {
            Ok(None) => Ok(envelope),
            Ok(Some(found)) => Err(EnvelopeError::NotAMap { found }),
            Err(cause) => {
                let request_id = envelope.request_id.or_else(|| salvage_request_id(payload)).map(str::to_owned);
                Err(EnvelopeError::Malformed { cause, request_id })
            }
        }
    }

    /// Fills in what is there; `Some` names the type of a payload that is no map.
    fn read(&mut self) -> Result<Option<&'static str>, DecodeError> {
        let mut cursor = Cursor::new(self.payload);
        let entries = match cursor.token()? {
            Token::Map(entries) => entries,
            other => {
                let mut whole = Cursor::new(self.payload);
                whole.skip()?;
                return trailing(&whole).map(|()| Some(other.type_name()));
            }
        };
        for _ in 0..entries {
            let key_start = cursor.position();
            match cursor.token()? {
                Token::Str(b"type") | Token::Bin(b"type") => self.kind = text(&mut cursor)?,
                Token::Str(b"request_id") | Token::Bin(b"request_id") => {
                    self.request_id = text(&mut cursor)?.filter(|id| !id.is_empty())
                }
                Token::Str(b"data") | Token::Bin(b"data") => {
                    let start = cursor.position();
                    cursor.skip()?;
                    self.data = Some(start..cursor.position());
                }
                Token::List(_) | Token::Map(_) => {
                    cursor = Cursor::at(self.payload, key_start);
                    cursor.skip()?;
                    cursor.skip()?;
                }
                _ => cursor.skip()?,
            }
        }
        trailing(&cursor).map(|()| None)
    }

    /// The request id in a payload of which only the beginning is there, if it stands in that.
    #[must_use]
    pub fn salvage_request_id(beginning: &'a [u8]) -> Option<&'a str> {
        salvage_request_id(beginning)
    }

    /// The type of `data` by its first byte, as error texts name it; that of nil where it was not given.
    #[must_use]
    pub fn data_type(&self) -> &'static str {
        let first = self.data.as_ref().and_then(|range| Cursor::at(self.payload, range.start).token().ok());
        first.map_or("nil", |token| token.type_name())
    }

    /// The text values of some keys of `data`, for routing; absent where a key is missing or not text.
    #[must_use]
    pub fn data_texts<const N: usize>(&self, keys: [&str; N]) -> [Option<&'a str>; N] {
        self.data_scalars(keys).map(|found| found?.text())
    }

    /// The texts and numbers under some keys of `data`; absent where a key is missing or something else.
    #[must_use]
    pub fn data_scalars<const N: usize>(&self, keys: [&str; N]) -> [Option<Scalar<'a>>; N] {
        let mut found = [None; N];
        // Data that is no map, or breaks off, has no keys to find: the worker that decodes it says so.
        let _ = self.find_scalars(keys, &mut found);
        found
    }

    fn find_scalars<const N: usize>(
        &self,
        keys: [&str; N],
        found: &mut [Option<Scalar<'a>>; N],
    ) -> Result<(), DecodeError> {
        let Some(range) = &self.data else { return Ok(()) };
        let mut cursor = Cursor::at(self.payload, range.start);
        let Token::Map(entries) = cursor.token()? else { return Ok(()) };
        for _ in 0..entries {
            let wanted = match cursor.token()? {
                Token::Str(key) | Token::Bin(key) => keys.iter().position(|k| k.as_bytes() == key),
                // No key: what follows cannot be told apart from it without decoding.
                Token::List(_) | Token::Map(_) => return Ok(()),
                _ => None,
            };
            match wanted {
                Some(index) => found[index] = scalar(&mut cursor)?,
                None => cursor.skip()?,
            }
        }
        Ok(())
    }

    /// This envelope with what stands under a key of `data` in the place of `data`; nothing where it is not there.
    #[must_use]
    pub fn under(&self, key: &str) -> Option<Self> {
        let mut cursor = Cursor::at(self.payload, self.data.as_ref()?.start);
        let Token::Map(entries) = cursor.token().ok()? else { return None };
        for _ in 0..entries {
            let is_wanted = match cursor.token().ok()? {
                Token::Str(found) | Token::Bin(found) => found == key.as_bytes(),
                Token::List(_) | Token::Map(_) => return None,
                _ => false,
            };
            let start = cursor.position();
            cursor.skip().ok()?;
            if is_wanted {
                return Some(Self { data: Some(start..cursor.position()), ..self.clone() });
            }
        }
        None
    }

    /// The texts in the map under a key of `data`, whatever their names; none where there is no such map.
    #[must_use]
    pub fn data_texts_under(&self, key: &str) -> Vec<&'a str> {
        let mut found = Vec::new();
        // What breaks off is the decoder's to refuse; what came before it counts.
        let _ = self.find_texts_under(key, &mut found);
        found
    }

    fn find_texts_under(&self, wanted: &str, found: &mut Vec<&'a str>) -> Result<(), DecodeError> {
        let Some(range) = &self.data else { return Ok(()) };
        let mut cursor = Cursor::at(self.payload, range.start);
        let Token::Map(entries) = cursor.token()? else { return Ok(()) };
        for _ in 0..entries {
            match cursor.token()? {
                Token::Str(key) | Token::Bin(key) if key == wanted.as_bytes() => {}
                Token::List(_) | Token::Map(_) => return Ok(()),
                _ => {
                    cursor.skip()?;
                    continue;
                }
            }
            let mut inner = cursor.clone();
            if let Token::Map(entries) = inner.token()? {
                for _ in 0..entries {
                    inner.skip()?;
                    if let Some(Scalar::Text(text)) = scalar(&mut inner)? {
                        found.push(text);
                    }
                }
            }
            cursor.skip()?;
        }
        Ok(())
    }

    /// `data`, decoded; large byte strings are slices of `payload`, which must be the one that was peeked at.
    ///
    /// # Errors
    /// Where it is over a limit or neither a map nor nil.
    pub fn decode_data(&self, payload: &Bytes, limits: &Limits) -> Result<Map, DataError> {
        let Some(range) = &self.data else { return Ok(Map::new()) };
        match decode_prefix(payload, range.start, limits)?.0 {
            Value::Map(map) => Ok(map),
            Value::Nil => Ok(Map::new()),
            other => Err(DataError::NotAMap { found: other.type_name() }),
        }
    }
}

fn trailing(cursor: &Cursor<'_>) -> Result<(), DecodeError> {
    match cursor.remaining() {
        0 => Ok(()),
        extra => Err(DecodeError::Trailing { extra }),
    }
}

/// The text here, or nothing where the value is something else; the position moves past it either way.
fn text<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a str>, DecodeError> {
    Ok(scalar(cursor)?.and_then(Scalar::text))
}

/// The text or number here; the position moves past the value whatever it is.
fn scalar<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Scalar<'a>>, DecodeError> {
    let mut ahead = cursor.clone();
    let found = match ahead.token()? {
        Token::Str(s) => std::str::from_utf8(s).ok().map(Scalar::Text),
        Token::Int(i) => Some(Scalar::Number(i as f64)),
        Token::Float(f) => Some(Scalar::Number(f)),
        _ => None,
    };
    cursor.skip()?;
    Ok(found)
}

/// Looks for the key `request_id` with a text after it anywhere in bytes that are otherwise broken.
fn salvage_request_id(payload: &[u8]) -> Option<&str> {
    const KEY: &[u8] = b"\xaarequest_id";
    let at = payload.windows(KEY.len()).position(|window| window == KEY)?;
    text(&mut Cursor::at(payload, at + KEY.len())).ok()?.filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, map};

    fn payload(kind: &str, id: Option<&str>, data: &Map) -> Bytes {
        Frame::message(kind, id, data).to_payload()
    }

    #[test]
    fn reads_the_outside_and_routes_by_the_inside() {
        let data = map! { "fields" => map! { "node_type" => "not.this" }, "node_type" => "test.Echo", "provider" => 3 };
        let bytes = payload("execute", Some("r1"), &data);
        let envelope = Envelope::peek(&bytes).unwrap();
        assert_eq!((envelope.kind, envelope.request_id), (Some("execute"), Some("r1")));
        assert_eq!(envelope.data_texts(["node_type", "provider"]), [Some("test.Echo"), None]);
        assert_eq!(envelope.data_scalars(["provider", "x"]), [Some(Scalar::Number(3.0)), None]);
        assert_eq!(envelope.data_type(), "map");
        assert_eq!(envelope.under("fields").unwrap().data_texts(["node_type"]), [Some("not.this")]);
        assert_eq!(envelope.under("provider").unwrap().data_texts(["node_type"]), [None]);
        assert_eq!(envelope.under("nothing"), None);
        assert_eq!(envelope.decode_data(&bytes, &Limits::default()).unwrap(), data);
    }

    #[test]
    fn finds_the_texts_of_one_map_and_no_others() {
        let data = map! {
            "fields" => map! { "secrets" => map! { "a" => "not this" } },
            "secrets" => map! { "K" => "one", "number" => 5, "deep" => map! { "K" => "nor this" }, "L" => "two" },
        };
        let bytes = payload("execute", None, &data);
        assert_eq!(Envelope::peek(&bytes).unwrap().data_texts_under("secrets"), ["one", "two"]);
        let odd = payload("execute", None, &map! { "secrets" => "text" });
        assert!(Envelope::peek(&odd).unwrap().data_texts_under("secrets").is_empty());
    }

    #[test]
    fn salvages_the_id_of_a_broken_payload() {
        let bytes = payload("execute", Some("r1"), &map! { "fields" => "x".repeat(300) });
        let cut = &bytes[..bytes.len() - 10];
        assert!(matches!(
            Envelope::peek(cut),
            Err(EnvelopeError::Malformed { request_id: Some(id), .. }) if id == "r1"
        ));
        let broken = [b"\xc1\xc1".as_slice(), b"\xaarequest_id\xa2ab\xff"].concat();
        assert!(matches!(
            Envelope::peek(&broken),
            Err(EnvelopeError::Malformed { request_id: Some(id), .. }) if id == "ab"
        ));
    }

    #[test]
    fn names_what_is_no_map() {
        assert_eq!(Envelope::peek(&[0x93, 1, 2, 3]), Err(EnvelopeError::NotAMap { found: "list" }));
        assert_eq!(Envelope::peek(&[0x07]), Err(EnvelopeError::NotAMap { found: "int" }));
        assert_eq!(Envelope::peek(&[0xa1, 0xf9]), Err(EnvelopeError::NotAMap { found: "bytes" }));
    }

    #[test]
    fn an_id_or_type_of_another_kind_counts_as_absent() {
        let mut encoder = crate::codec::Encoder::default();
        encoder.entries(&map! { "type" => 7, "request_id" => 7, "data" => Value::Nil });
        let bytes = encoder.into_bytes();
        let envelope = Envelope::peek(&bytes).unwrap();
        assert_eq!((envelope.kind, envelope.request_id), (None, None));
        assert_eq!(envelope.decode_data(&bytes, &Limits::default()).unwrap(), Map::new());
    }
}

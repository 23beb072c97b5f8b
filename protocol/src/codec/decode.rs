//! MessagePack bytes to a [`Value`]; hostile bytes cost an error, never the process.

use bytes::Bytes;
use thiserror::Error;

use super::{Cursor, Token};
use crate::{Limits, Map, Value};

/// Below this many bytes a copy is cheaper than keeping the whole frame alive for a slice.
const SLICE_FROM: usize = 4096;

/// Most room made for what a list or map header announces. Nested headers may each announce all bytes that follow,
/// so beyond this room is made as values come.
const RESERVE: usize = 64;

/// Why bytes are not a payload that we take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("the MessagePack ends inside a value, at byte {offset}")]
    Truncated {
        /// Where the missing part should begin.
        offset: usize,
    },
    /// `0xc1`, which the format never uses.
    #[error("byte 0xc1 at {offset} is not MessagePack")]
    Reserved {
        /// Where it stands.
        offset: usize,
    },
    /// Maps and lists inside each other, too deep.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Too many values.
    #[error("more than {limit} values in one frame")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A map key that is itself a map or list.
    #[error("a map key at byte {offset} is a {found}; keys are strings")]
    BadKey {
        /// Where the key stands.
        offset: usize,
        /// What it is.
        found: &'static str,
    },
    /// Something after the one value.
    #[error("{extra} bytes follow the payload")]
    Trailing {
        /// How many.
        extra: usize,
    },
}

/// The one value that `bytes` is; large byte strings are slices of it.
///
/// # Errors
/// Anything that is not exactly one MessagePack value within `limits`.
pub fn decode(bytes: &Bytes, limits: &Limits) -> Result<Value, DecodeError> {
    let (value, end) = decode_prefix(bytes, 0, limits)?;
    match bytes.len() - end {
        0 => Ok(value),
        extra => Err(DecodeError::Trailing { extra }),
    }
}

/// The value that begins at `start`, and where it ends.
///
/// # Errors
/// As [`decode`], except that bytes may follow.
pub fn decode_prefix(bytes: &Bytes, start: usize, limits: &Limits) -> Result<(Value, usize), DecodeError> {
    let mut decoder = Decoder { bytes, cursor: Cursor::at(bytes, start), limits, elements: limits.max_elements };
    let value = decoder.value(limits.max_depth)?;
    Ok((value, decoder.cursor.position()))
}

struct Decoder<'a> {
    bytes: &'a Bytes,
    cursor: Cursor<'a>,
    limits: &'a Limits,
    /// How many more values the budget allows.
    elements: usize,
}

impl Decoder<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        Ok(match self.cursor.token()? {
            Token::Nil | Token::Ext => Value::Nil,
            Token::Bool(b) => Value::Bool(b),
            Token::Int(i) => Value::Int(i),
            Token::Float(f) => Value::Float(f),
            Token::Str(s) => match std::str::from_utf8(s) {
                Ok(text) => Value::Str(text.to_owned()),
                Err(_) => Value::Bytes(self.slice(s)),
            },
            Token::Bin(b) => Value::Bytes(self.slice(b)),
            Token::List(len) => {
                let depth = self.enter(depth, len, 1)?;
                let mut items = Vec::with_capacity(len.min(RESERVE));
                for _ in 0..len {
                    items.push(self.value(depth)?);
                }
                Value::List(items)
            }
            Token::Map(len) => {
                let depth = self.enter(depth, len, Limits::MAP_ENTRY_COST)?;
                let mut map = Map::with_capacity(len.min(RESERVE));
                for _ in 0..len {
                    let key = self.key()?;
                    let value = self.value(depth)?;
                    map.insert(key, value);
                }
                Value::Map(map)
            }
        })
    }

    /// Takes `len` values of `cost` each from the budget and gives the depth left inside them.
    fn enter(&mut self, depth: usize, len: usize, cost: usize) -> Result<usize, DecodeError> {
        let depth = depth.checked_sub(1).ok_or(DecodeError::TooDeep { limit: self.limits.max_depth })?;
        // A header may claim what is not there: that is a truncated value, not a large one.
        if len > self.cursor.remaining() {
            return Err(DecodeError::Truncated { offset: self.cursor.position() + self.cursor.remaining() });
        }
        let too_many = DecodeError::TooMany { limit: self.limits.max_elements };
        self.elements = self.elements.checked_sub(len.saturating_mul(cost)).ok_or(too_many)?;
        Ok(depth)
    }

    /// A map key as a string: numbers and booleans, which some encoders use as keys, in their decimal form.
    fn key(&mut self) -> Result<String, DecodeError> {
        let offset = self.cursor.position();
        match self.cursor.token()? {
            Token::Str(s) | Token::Bin(s) => Ok(String::from_utf8_lossy(s).into_owned()),
            Token::Int(i) => Ok(i.to_string()),
            Token::Float(f) => Ok(f.to_string()),
            Token::Bool(b) => Ok(b.to_string()),
            Token::Nil | Token::Ext => Ok("null".to_owned()),
            other @ (Token::List(_) | Token::Map(_)) => Err(DecodeError::BadKey { offset, found: other.type_name() }),
        }
    }

    fn slice(&self, part: &[u8]) -> Bytes {
        if part.len() < SLICE_FROM { Bytes::copy_from_slice(part) } else { self.bytes.slice_ref(part) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &'static [u8]) -> Result<Value, DecodeError> {
        decode(&Bytes::from_static(bytes), &Limits::default())
    }

    #[test]
    fn what_javascript_encoders_send() {
        // ext 0 with 00 is `undefined`; a timestamp and an unknown ext are nil too.
        assert_eq!(read(&[0xd4, 0x00, 0x00]), Ok(Value::Nil));
        assert_eq!(read(&[0xd6, 0xff, 0, 0, 0, 1]), Ok(Value::Nil));
        assert_eq!(read(&[0xc7, 3, 0x2a, 1, 2, 3]), Ok(Value::Nil));
        // map32 for a small map; a float that is an integer; uint64.
        assert_eq!(read(&[0xdf, 0, 0, 0, 1, 0xa1, b'a', 0x01]), Ok(Value::Map(crate::map! { "a" => 1 })));
        assert_eq!(read(&[0xcb, 0x40, 0x08, 0, 0, 0, 0, 0, 0]).unwrap().as_i64(), Some(3));
        assert_eq!(read(&[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]), Ok(Value::Int(1 << 32)));
        assert_eq!(read(&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(Value::Float(u64::MAX as f64)));
        // A str that is not UTF-8 is bytes.
        assert_eq!(read(&[0xa2, 0xff, 0xfe]), Ok(Value::Bytes(Bytes::from_static(&[0xff, 0xfe]))));
    }

    #[test]
    fn bombs_cost_an_error() {
        assert_eq!(read(&[0xdd, 0xff, 0xff, 0xff, 0xff]), Err(DecodeError::Truncated { offset: 5 }));
        let deep = Bytes::from(vec![0x91; 100_000]);
        assert_eq!(decode(&deep, &Limits::default()), Err(DecodeError::TooDeep { limit: 128 }));
        let mut wide = vec![0xdd, 0x00, 0x50, 0, 0];
        wide.resize(5 + 0x50_0000, 0xc0);
        assert_eq!(decode(&Bytes::from(wide), &Limits::default()), Err(DecodeError::TooMany { limit: 4 << 20 }));
        assert_eq!(read(&[0xc1]), Err(DecodeError::Reserved { offset: 0 }));
        assert_eq!(read(&[0xc0, 0xc0]), Err(DecodeError::Trailing { extra: 1 }));
        assert!(matches!(read(&[0x81, 0x90, 0xc0]), Err(DecodeError::BadKey { offset: 1, found: "list" })));
    }
}

//! Values to MessagePack: smallest forms, named maps, bytes always `bin`, nothing beyond ±2^53 as an integer.

use bytes::Bytes;

use crate::limits::MAX_SAFE_INTEGER;
use crate::{Map, Value};

/// From this size on, bytes travel as their own piece of a vectored write instead of being copied.
const SPLICE_FROM: usize = 8192;

/// Encodes values one behind the other into pieces to be written back to back.
#[derive(Debug, Default)]
pub struct Encoder {
    done: Vec<Bytes>,
    done_len: usize,
    open: Vec<u8>,
    /// The first piece, kept open so that a length can still be written into it.
    first: Option<Vec<u8>>,
}

impl Encoder {
    /// An encoder that begins with `prefix` bytes of zero, to be filled in by [`Encoder::finish`].
    #[must_use]
    pub(crate) fn with_prefix(prefix: usize) -> Self {
        let mut open = Vec::with_capacity(128);
        open.resize(prefix, 0);
        Self { open, ..Self::default() }
    }

    /// How many bytes have been encoded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.done_len + self.open.len() + self.first.as_ref().map_or(0, Vec::len)
    }

    /// Whether nothing has been encoded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces, with `prefix` written over the first bytes.
    pub(crate) fn finish(self, prefix: &[u8]) -> Vec<Bytes> {
        let (mut first, open) = match self.first {
            Some(first) => (first, Some(self.open)),
            None => (self.open, None),
        };
        if let Some(head) = first.get_mut(..prefix.len()) {
            head.copy_from_slice(prefix);
        }
        let mut pieces = Vec::with_capacity(self.done.len() + 2);
        pieces.push(Bytes::from(first));
        pieces.extend(self.done);
        pieces.extend(open.filter(|piece| !piece.is_empty()).map(Bytes::from));
        pieces
    }

    /// All that was encoded, in one piece.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        let mut pieces = self.finish(&[]);
        if pieces.len() == 1 { pieces.swap_remove(0) } else { Bytes::from(pieces.concat()) }
    }

    /// `nil`.
    pub fn nil(&mut self) {
        self.open.push(0xc0);
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.open.push(if value { 0xc3 } else { 0xc2 });
    }

    /// A whole number in its smallest form; as a double where a host with doubles alone could not read it exactly.
    pub fn int(&mut self, value: i64) {
        if !(-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&value) {
            return self.float(value as f64);
        }
        match value {
            0..=0x7f => self.open.push(value as u8),
            -32..=-1 => self.open.push(value as i8 as u8),
            0x80..=0xff => self.open.extend_from_slice(&[0xcc, value as u8]),
            0x100..=0xffff => self.tagged(0xcd, &(value as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.tagged(0xce, &(value as u32).to_be_bytes()),
            0x1_0000_0000.. => self.tagged(0xcf, &(value as u64).to_be_bytes()),
            -0x80..=-33 => self.tagged(0xd0, &(value as i8).to_be_bytes()),
            -0x8000..=-0x81 => self.tagged(0xd1, &(value as i16).to_be_bytes()),
            -0x8000_0000..=-0x8001 => self.tagged(0xd2, &(value as i32).to_be_bytes()),
            _ => self.tagged(0xd3, &value.to_be_bytes()),
        }
    }

    /// A double.
    pub fn float(&mut self, value: f64) {
        self.tagged(0xcb, &value.to_be_bytes());
    }

    /// Text.
    pub fn str(&mut self, text: &str) {
        match text.len() {
            len @ 0..=31 => self.open.push(0xa0 | len as u8),
            len @ 32..=0xff => self.open.extend_from_slice(&[0xd9, len as u8]),
            len @ 0x100..=0xffff => self.tagged(0xda, &(len as u16).to_be_bytes()),
            len => self.tagged(0xdb, &(len as u32).to_be_bytes()),
        }
        self.open.extend_from_slice(text.as_bytes());
    }

    /// Bytes, as `bin`; large ones are not copied.
    pub fn bytes(&mut self, bytes: &Bytes) {
        match bytes.len() {
            len @ 0..=0xff => self.open.extend_from_slice(&[0xc4, len as u8]),
            len @ 0x100..=0xffff => self.tagged(0xc5, &(len as u16).to_be_bytes()),
            len => self.tagged(0xc6, &(len as u32).to_be_bytes()),
        }
        if bytes.len() < SPLICE_FROM {
            self.open.extend_from_slice(bytes);
        } else {
            self.splice(bytes.clone());
        }
    }

    /// The header of a list; its `len` values follow.
    pub fn list(&mut self, len: usize) {
        match len {
            0..=15 => self.open.push(0x90 | len as u8),
            16..=0xffff => self.tagged(0xdc, &(len as u16).to_be_bytes()),
            _ => self.tagged(0xdd, &(len as u32).to_be_bytes()),
        }
    }

    /// The header of a map; its `len` keys and values follow.
    pub fn map(&mut self, len: usize) {
        match len {
            0..=15 => self.open.push(0x80 | len as u8),
            16..=0xffff => self.tagged(0xde, &(len as u16).to_be_bytes()),
            _ => self.tagged(0xdf, &(len as u32).to_be_bytes()),
        }
    }

    /// A whole map.
    pub fn entries(&mut self, map: &Map) {
        self.map(map.len());
        for (key, value) in map {
            self.str(key);
            self.value(value);
        }
    }

    /// Any value.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Nil => self.nil(),
            Value::Bool(b) => self.bool(*b),
            Value::Int(i) => self.int(*i),
            Value::Float(f) => self.float(*f),
            Value::Str(s) => self.str(s),
            Value::Bytes(b) => self.bytes(b),
            Value::List(items) => {
                self.list(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Map(map) => self.entries(map),
        }
    }

    /// MessagePack that is already encoded.
    pub fn raw(&mut self, encoded: &Bytes) {
        if encoded.len() < SPLICE_FROM { self.open.extend_from_slice(encoded) } else { self.splice(encoded.clone()) }
    }

    fn tagged(&mut self, marker: u8, rest: &[u8]) {
        self.open.push(marker);
        self.open.extend_from_slice(rest);
    }

    fn splice(&mut self, piece: Bytes) {
        let open = std::mem::take(&mut self.open);
        match self.first {
            None => self.first = Some(open),
            Some(_) if open.is_empty() => {}
            Some(_) => {
                self.done_len += open.len();
                self.done.push(Bytes::from(open));
            }
        }
        self.done_len += piece.len();
        self.done.push(piece);
    }
}

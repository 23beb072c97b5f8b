//! One MessagePack token at a time, borrowed from the bytes. Nesting and budgets are the caller's.

use super::DecodeError;

/// What stands at a position: a scalar, or the header of something that follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'a [u8]),
    Bin(&'a [u8]),
    /// A list of so many values.
    List(usize),
    /// A map of so many entries.
    Map(usize),
    /// An extension type; its bytes have been passed over.
    Ext,
}

impl Token<'_> {
    /// The name of the token's type, as the peers' error texts have it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Token::Nil | Token::Ext => "nil",
            Token::Bool(_) => "bool",
            Token::Int(_) => "int",
            Token::Float(_) => "float",
            Token::Str(text) if std::str::from_utf8(text).is_ok() => "str",
            Token::Str(_) | Token::Bin(_) => "bytes",
            Token::List(_) => "list",
            Token::Map(_) => "map",
        }
    }
}

/// A position in MessagePack bytes.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    pub(crate) fn at(bytes: &'a [u8], pos: usize) -> Self {
        Self { bytes, pos }
    }

    pub(crate) fn position(&self) -> usize {
        self.pos
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.pos
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let missing = DecodeError::Truncated { offset: self.pos };
        let slice = self.bytes.get(self.pos..).and_then(|rest| rest.get(..n)).ok_or(missing)?;
        self.pos += n;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u8(&mut self) -> Result<usize, DecodeError> {
        Ok(self.array::<1>()?[0].into())
    }

    fn u16(&mut self) -> Result<usize, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?).into())
    }

    fn u32(&mut self) -> Result<usize, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?) as usize)
    }

    fn ext(&mut self, len: usize) -> Result<Token<'a>, DecodeError> {
        self.take(len.saturating_add(1))?;
        Ok(Token::Ext)
    }

    /// The token here; the position moves past it, but not past the values that a list or map header announces.
    pub(crate) fn token(&mut self) -> Result<Token<'a>, DecodeError> {
        let offset = self.pos;
        let marker = self.array::<1>()?[0];
        Ok(match marker {
            0x00..=0x7f => Token::Int(marker.into()),
            0x80..=0x8f => Token::Map((marker & 0x0f).into()),
            0x90..=0x9f => Token::List((marker & 0x0f).into()),
            0xa0..=0xbf => Token::Str(self.take((marker & 0x1f).into())?),
            0xc0 => Token::Nil,
            0xc1 => return Err(DecodeError::Reserved { offset }),
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4 => self.u8().and_then(|n| self.take(n)).map(Token::Bin)?,
            0xc5 => self.u16().and_then(|n| self.take(n)).map(Token::Bin)?,
            0xc6 => self.u32().and_then(|n| self.take(n)).map(Token::Bin)?,
            0xc7 => self.u8().and_then(|n| self.ext(n))?,
            0xc8 => self.u16().and_then(|n| self.ext(n))?,
            0xc9 => self.u32().and_then(|n| self.ext(n))?,
            0xca => Token::Float(f32::from_be_bytes(self.array()?).into()),
            0xcb => Token::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Token::Int(u8::from_be_bytes(self.array()?).into()),
            0xcd => Token::Int(u16::from_be_bytes(self.array()?).into()),
            0xce => Token::Int(u32::from_be_bytes(self.array()?).into()),
            0xcf => {
                let n = u64::from_be_bytes(self.array()?);
                i64::try_from(n).map_or(Token::Float(n as f64), Token::Int)
            }
            0xd0 => Token::Int(i8::from_be_bytes(self.array()?).into()),
            0xd1 => Token::Int(i16::from_be_bytes(self.array()?).into()),
            0xd2 => Token::Int(i32::from_be_bytes(self.array()?).into()),
            0xd3 => Token::Int(i64::from_be_bytes(self.array()?)),
            0xd4 => self.ext(1)?,
            0xd5 => self.ext(2)?,
            0xd6 => self.ext(4)?,
            0xd7 => self.ext(8)?,
            0xd8 => self.ext(16)?,
            0xd9 => self.u8().and_then(|n| self.take(n)).map(Token::Str)?,
            0xda => self.u16().and_then(|n| self.take(n)).map(Token::Str)?,
            0xdb => self.u32().and_then(|n| self.take(n)).map(Token::Str)?,
            0xdc => Token::List(self.u16()?),
            0xdd => Token::List(self.u32()?),
            0xde => Token::Map(self.u16()?),
            0xdf => Token::Map(self.u32()?),
            0xe0..=0xff => Token::Int((marker as i8).into()),
        })
    }

    /// Passes over one whole value, however deep, in constant memory.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut pending: u64 = 1;
        while pending > 0 {
            pending -= 1;
            pending += match self.token()? {
                Token::List(n) => n as u64,
                Token::Map(n) => 2 * n as u64,
                _ => 0,
            };
        }
        Ok(())
    }
}

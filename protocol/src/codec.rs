//! MessagePack bytes to [`Value`](crate::Value) and back, within a budget. Which values a message is made of is not known here.
//!
//! Source: the MessagePack specification. Reading never allocates by what a header claims, only by what bytes are there.

mod decode;
mod encode;
mod token;

pub use decode::{DecodeError, decode, decode_prefix};
pub use encode::Encoder;
pub(crate) use token::{Cursor, Token};

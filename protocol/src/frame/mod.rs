//! Frames: a 4-byte big-endian length, then that many bytes of MessagePack. Moving them through a pipe is the caller's.
//!
//! ```text
//! +----------+----------+----------+----------+---------------------------+
//! |   length of the payload, big-endian u32   |  payload: one MessagePack |
//! +----------+----------+----------+----------+---------------------------+
//! ```

mod queue;
mod reader;

use bytes::Bytes;

pub use queue::FrameQueue;
pub use reader::{FrameEvent, FrameReader};

use crate::Map;
use crate::codec::Encoder;

/// The bytes before each payload.
pub const HEADER_LEN: usize = 4;

/// One encoded frame, header included, in pieces to be written back to back.
#[derive(Debug, Clone)]
pub struct Frame {
    pieces: Vec<Bytes>,
    payload_len: usize,
}

impl Frame {
    /// Encodes `{type, request_id, data}`; large bytes in `data` are shared, not copied.
    #[must_use]
    pub fn message(kind: &str, request_id: Option<&str>, data: &Map) -> Self {
        Self::encode(kind, request_id, |encoder| encoder.entries(data))
    }

    /// The same with `data` encoded already.
    #[must_use]
    pub fn encoded(kind: &str, request_id: Option<&str>, data: &Bytes) -> Self {
        Self::encode(kind, request_id, |encoder| encoder.raw(data))
    }

    fn encode(kind: &str, request_id: Option<&str>, data: impl FnOnce(&mut Encoder)) -> Self {
        let mut encoder = Encoder::with_prefix(HEADER_LEN);
        encoder.map(3);
        encoder.str("type");
        encoder.str(kind);
        encoder.str("request_id");
        match request_id {
            Some(id) => encoder.str(id),
            None => encoder.nil(),
        }
        encoder.str("data");
        data(&mut encoder);
        let payload_len = encoder.len() - HEADER_LEN;
        // A payload beyond 32 bits cannot be told to the other side; whoever sends checks `payload_len` before.
        let pieces = encoder.finish(&u32::try_from(payload_len).unwrap_or(u32::MAX).to_be_bytes());
        Self { pieces, payload_len }
    }

    /// Frames a payload as it is, without a copy.
    #[must_use]
    pub fn forward(payload: Bytes) -> Self {
        let payload_len = payload.len();
        let header = u32::try_from(payload_len).unwrap_or(u32::MAX).to_be_bytes();
        // Small frames are one piece: one copy costs less than a second slice in the write.
        let pieces = if payload_len <= 4096 {
            vec![Bytes::from([&header[..], &payload].concat())]
        } else {
            vec![Bytes::copy_from_slice(&header), payload]
        };
        Self { pieces, payload_len }
    }

    /// Bytes of payload, the header not counted.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payload_len + HEADER_LEN
    }

    /// Never: a frame has a header at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The pieces in order.
    #[must_use]
    pub fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }

    /// The whole frame in one piece, header included.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self.pieces.as_slice() {
            [one] => one.clone(),
            pieces => Bytes::from(pieces.concat()),
        }
    }

    /// The payload in one piece.
    #[must_use]
    pub fn to_payload(&self) -> Bytes {
        self.to_bytes().slice(HEADER_LEN..)
    }
}

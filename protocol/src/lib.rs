//! What travels between a host and its workers: frames, envelopes, messages, values, metadata, limits.
//!
//! This crate does no IO, starts no process and needs no runtime. A reader is fed bytes and gives back frames;
//! a queue is given frames and says which bytes to write next. The contract itself is described in `docs/protocol.md`.

pub mod asset;
pub mod codec;
pub mod dataframe;
pub mod envelope;
pub mod frame;
pub mod limits;
pub mod message;
pub mod metadata;
pub mod schema;
pub mod tensor;
pub mod typed;
pub mod value;
pub mod version;

pub use asset::{AssetKind, AssetRef};
pub use bytes::Bytes;
pub use dataframe::{ColumnDef, DataFrame};
pub use envelope::{Envelope, EnvelopeError, Scalar};
pub use frame::{Frame, FrameEvent, FrameQueue, FrameReader, HEADER_LEN};
pub use limits::Limits;
pub use message::{ErrorData, ErrorKind, LoadError, Request, TypeError};
pub use metadata::{NodeMetadata, OutputSlot, PropertyMetadata, TypeMetadata};
pub use tensor::{DType, Tensor, TensorError};
pub use value::{Map, Value};

/// The newest version of the protocol that this crate speaks; it understands every one from [`MIN_PROTOCOL_VERSION`].
pub const PROTOCOL_VERSION: u32 = 6;
/// The oldest version that hosts and workers may speak.
pub const MIN_PROTOCOL_VERSION: u32 = 1;
/// The line on stderr that means: packages are loaded, frames are accepted.
pub const READY_LINE: &str = "NODETOOL_STDIO_READY";

//! What stands in `data`: every message of the protocol as a type, read from a [`Map`](crate::Map) and written to one.
//!
//! Who handles a message, and how, is not known here. Unknown keys are kept, keys without a value are left out, and
//! nil means "not given". [`Request`] has them all by the `type` that they travel under.

mod blobs;
pub mod convert;
mod discover;
pub mod error;
mod execute;
mod jobs;
pub(crate) mod macros;
mod models;
mod progress;
mod provider;
mod request;
mod secrets;
mod status;

pub use blobs::{BlobChunk, BlobEnd, BlobStart};
pub use convert::{Field, OneOrMany, TypeError};
pub use discover::{DiscoverData, NoData};
pub use error::{ErrorData, ErrorKind, LoadError};
pub use execute::{BlobTransfer, ExecuteOutput, ExecuteRequest};
pub use jobs::{EndReason, JobEnd, JobEnded, JobStart, JobStarted};
pub use models::{
    CachedModel, CachedModels, DeleteResult, EvictResult, ModelDelete, ModelDownload, ModelEvict, ModelPrepare,
    TransferResult,
};
pub use progress::{NodeProgress, Progress, TransferProgress, TransferStatus, UpdateData};
pub use provider::{
    AudioParams, ChatMessage, Content, ContentPart, EmbeddingRequest, EmbeddingResult, EncodedSpeechParams,
    GenerateRequest, GenerateResult, ImageParams, ImageToImage, ImageToVideo, MediaResult, ModelInfo, ModelList,
    ModelRef, ModelType, PartKind, ProviderInfo, ProviderList, ProviderModels, ReferenceToVideo, SpeechChunk,
    StreamChunk, StreamEnd, TextChunk, TextToAudio, TextToImage, TextToSpeech, TextToSpeechEncoded, TextToVideo, Tool,
    ToolCall, TranscribeRequest, Transcript, TranscriptChunk, VideoParams,
};
pub use request::{DataKind, FRAMES, FrameKind, REQUESTS, Request, RequestKind};
pub use secrets::{Secrets, Token};
pub use status::{Capability, StatusData};

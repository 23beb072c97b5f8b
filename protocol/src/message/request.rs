//! Every request of the protocol, by the `type` that it travels under.

use schemars::{Schema, SchemaGenerator};

use super::*;
use crate::Map;

/// What the data of a message is, without naming its type in Rust.
#[derive(Debug, Clone, Copy)]
pub struct DataKind {
    /// Its schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads it and writes it again, in the form that this crate writes.
    pub normalise: fn(Map) -> Result<Map, TypeError>,
}

/// One kind of request.
#[derive(Debug, Clone, Copy)]
pub struct RequestKind {
    /// The `type` that it travels under.
    pub kind: &'static str,
    /// What it asks.
    pub doc: &'static str,
    /// The first protocol version that has it.
    pub since: u32,
    /// Its data.
    pub data: DataKind,
    /// The data of the frame that ends it well; nothing where it has no answer of its own.
    pub answer: Option<DataKind>,
    /// The data of its chunks, where it is a stream.
    pub chunk: Option<DataKind>,
}

/// One kind of frame from a worker.
#[derive(Debug, Clone, Copy)]
pub struct FrameKind {
    /// The `type` that it travels under.
    pub kind: &'static str,
    /// What it says.
    pub doc: &'static str,
    /// Its data; nothing where that depends on the request.
    pub data: Option<DataKind>,
}

macro_rules! data_kind {
    () => {
        None
    };
    ($data:ty) => {
        Some(data_kind!(@ $data))
    };
    (@ $data:ty) => {
        DataKind {
            schema: |generator| generator.subschema_for::<$data>(),
            normalise: |map| <$data>::from_map(map).map(<$data>::into_map),
        }
    };
}

/// Every kind of frame that a worker sends.
pub const FRAMES: &[FrameKind] = &[
    FrameKind { kind: "discover", doc: "Ends `discover`.", data: data_kind!(DiscoverData) },
    FrameKind { kind: "result", doc: "Ends any other request that went well.", data: None },
    FrameKind { kind: "error", doc: "Ends a request that did not.", data: data_kind!(ErrorData) },
    FrameKind { kind: "chunk", doc: "One piece of a stream.", data: None },
    FrameKind { kind: "progress", doc: "How far a request is.", data: data_kind!(Progress) },
    FrameKind { kind: "update", doc: "A preview, a line of log, bytes.", data: data_kind!(UpdateData) },
    FrameKind { kind: "blob.start", doc: "A blob of a result begins.", data: data_kind!(BlobStart) },
    FrameKind { kind: "blob.chunk", doc: "A piece of a blob.", data: data_kind!(BlobChunk) },
    FrameKind { kind: "blob.end", doc: "A blob of a result ends.", data: data_kind!(BlobEnd) },
];

macro_rules! requests {
    ($($(#[doc = $doc:literal])* $kind:literal v $since:literal: $variant:ident($data:ty)
        $(-> $answer:ty)? $(, each $chunk:ty)?;)*) => {
        /// A request, read.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Request {
            $($(#[doc = $doc])* $variant(Box<$data>),)*
            /// A request that this version does not know.
            Unknown {
                /// Its `type`.
                kind: String,
                /// Its data.
                data: Map,
            },
        }

        /// Every kind of request that this version knows.
        pub const REQUESTS: &[RequestKind] = &[$(RequestKind {
            kind: $kind,
            since: $since,
            doc: concat!($($doc, "\n"),*),
            data: data_kind!(@ $data),
            answer: data_kind!($($answer)?),
            chunk: data_kind!($($chunk)?),
        }),*];

        impl Request {
            /// Reads the data of a request of type `kind`.
            ///
            /// # Errors
            /// Where a required key is missing or a value has another type. An unknown `kind` is no error here.
            pub fn from_map(kind: &str, data: Map) -> Result<Self, TypeError> {
                match kind {
                    $($kind => <$data>::from_map(data).map(|data| Self::$variant(Box::new(data))),)*
                    other => Ok(Self::Unknown { kind: other.to_owned(), data }),
                }
            }

            /// The `type` that it travels under.
            #[must_use]
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                    Self::Unknown { kind, .. } => kind,
                }
            }

            /// Writes its data.
            #[must_use]
            pub fn into_map(self) -> Map {
                match self {
                    $(Self::$variant(data) => data.into_map(),)*
                    Self::Unknown { data, .. } => data,
                }
            }
        }
    };
}

requests! {
    /// Which nodes are there?
    "discover" v 1: Discover(NoData) -> DiscoverData;
    /// What is this worker?
    "worker.status" v 1: Status(NoData) -> StatusData;
    /// Run a node.
    "execute" v 1: Execute(ExecuteRequest) -> ExecuteOutput;
    /// Run a node whose outputs come bit by bit.
    "execute.stream" v 1: ExecuteStream(ExecuteRequest) -> ExecuteOutput, each ExecuteOutput;
    /// End the request that has the same id. It has no answer of its own.
    "cancel" v 1: Cancel(NoData);
    /// Which providers are there?
    "provider.list" v 1: ProviderList(NoData) -> ProviderList;
    /// Which models does a provider have?
    "provider.models" v 1: ProviderModels(ProviderModels) -> ModelList;
    /// Continue a conversation.
    "provider.generate" v 1: Generate(GenerateRequest) -> GenerateResult;
    /// Continue a conversation, bit by bit.
    "provider.stream" v 1: GenerateStream(GenerateRequest) -> StreamEnd, each StreamChunk;
    /// Make a picture.
    "provider.text_to_image" v 1: TextToImage(TextToImage) -> MediaResult;
    /// Make a picture from another.
    "provider.image_to_image" v 1: ImageToImage(ImageToImage) -> MediaResult;
    /// Make a film.
    "provider.text_to_video" v 1: TextToVideo(TextToVideo) -> MediaResult;
    /// Make a film from a picture.
    "provider.image_to_video" v 5: ImageToVideo(ImageToVideo) -> MediaResult;
    /// Make a film of what other pictures and films show.
    "provider.reference_to_video" v 6: ReferenceToVideo(ReferenceToVideo) -> MediaResult;
    /// Make music or sound.
    "provider.text_to_audio" v 1: TextToAudio(TextToAudio) -> MediaResult;
    /// Say a text, bit by bit.
    "provider.tts" v 1: TextToSpeech(TextToSpeech) -> StreamEnd, each SpeechChunk;
    /// Say a text, as a file.
    "provider.tts_encoded" v 5: TextToSpeechEncoded(TextToSpeechEncoded) -> MediaResult;
    /// Write down what is said.
    "provider.asr" v 1: Transcribe(TranscribeRequest) -> Transcript;
    /// Turn texts into vectors.
    "provider.embedding" v 1: Embedding(EmbeddingRequest) -> EmbeddingResult;
    /// Which model files are there?
    "models.list_cached" v 2: ModelsListCached(NoData) -> CachedModels;
    /// Fetch model files.
    "models.download" v 2: ModelsDownload(ModelDownload) -> TransferResult;
    /// Delete model files.
    "models.delete" v 2: ModelsDelete(ModelDelete) -> DeleteResult;
    /// Let models leave memory.
    "models.evict" v 4: ModelsEvict(ModelEvict) -> EvictResult;
    /// Fetch and set up a model.
    "models.prepare" v 5: ModelsPrepare(ModelPrepare) -> TransferResult;
    /// A run begins.
    "job.start" v 4: JobStart(JobStart) -> JobStarted;
    /// A run has ended.
    "job.end" v 4: JobEnd(JobEnd) -> JobEnded;
}

//! `provider.*`: named sources of model calls. How a provider is implemented is not known here.

mod chat;
mod media;
mod speech;

pub use chat::{
    ChatMessage, Content, ContentPart, GenerateRequest, GenerateResult, PartKind, StreamChunk, TextChunk, Tool,
    ToolCall,
};
pub use media::{
    AudioParams, ImageParams, ImageToImage, ImageToVideo, MediaResult, ModelRef, ReferenceToVideo, TextToAudio,
    TextToImage, TextToVideo, VideoParams,
};
pub use speech::{
    EncodedSpeechParams, SpeechChunk, TextToSpeech, TextToSpeechEncoded, TranscribeRequest, Transcript, TranscriptChunk,
};

use super::convert::OneOrMany;
use super::macros::{message, text_enum};
use super::secrets::Secrets;

message! {
    /// A provider as `provider.list` reports it.
    #[derive(Default)]
    pub struct ProviderInfo {
        /// The name that requests call it by.
        pub id: String,
        /// What it can do: `generate_message`, `text_to_image`, …
        pub capabilities: Vec<String> = default,
        /// The secrets that it cannot work without.
        pub required_secrets: Vec<String> = default,
        /// `in_process`: it runs inside the worker.
        pub access: String = default,
        /// Its name for people.
        pub display_name: String = default,
    }
}

message! {
    /// The data of the answer to `provider.list`.
    #[derive(Default)]
    pub struct ProviderList {
        /// Every provider that is there.
        pub providers: Vec<ProviderInfo> = default,
    }
}

text_enum! {
    /// What a model is for.
    pub enum ModelType {
        /// Text from text.
        Language = "language",
        /// Pictures.
        Image = "image",
        /// Speech from text.
        Tts = "tts",
        /// Music.
        Music = "music",
        /// Text from speech.
        Asr = "asr",
        /// Films.
        Video = "video",
        /// Vectors that stand for texts.
        Embedding = "embedding",
        /// 3D models.
        ThreeD = "3d",
    }
}

message! {
    /// The data of `provider.models`.
    #[derive(Default)]
    pub struct ProviderModels {
        /// The provider to ask.
        pub provider: String,
        /// Which models; absent means language models.
        pub model_type: Option<ModelType>,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
    }
}

message! {
    /// A model that a provider has.
    #[derive(Default)]
    pub struct ModelInfo {
        /// The name that requests call it by.
        pub id: String,
        /// Its name for people.
        pub name: String = default,
        /// The provider that has it.
        pub provider: Option<String>,
        /// What it is for.
        pub kind: Option<String> as "type",
    }
}

message! {
    /// The data of the answer to `provider.models`.
    #[derive(Default)]
    pub struct ModelList {
        /// The models; none for a type that the provider does not know.
        pub models: Vec<ModelInfo> = default,
    }
}

message! {
    /// The data of `provider.embedding`.
    #[derive(Default)]
    pub struct EmbeddingRequest {
        /// The provider to ask.
        pub provider: String,
        /// The text or the texts.
        pub text: OneOrMany<String>,
        /// The model to use.
        pub model: String,
        /// The length that the vectors shall have.
        pub dimensions: Option<u64>,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
    }
}

message! {
    /// The data of the answer to `provider.embedding`.
    #[derive(Default)]
    pub struct EmbeddingResult {
        /// A vector for each text, in order.
        pub embeddings: Vec<Vec<f64>> = default,
    }
}

message! {
    /// The data of the result that ends a stream of chunks.
    #[derive(Default)]
    pub struct StreamEnd {
        /// Always true.
        pub done: bool = default,
    }
}

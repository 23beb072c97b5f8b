//! `provider.tts`, `provider.tts_encoded` and `provider.asr`: between speech and text.

use bytes::Bytes;
use indexmap::IndexMap;

use super::media::{ModelRef, nest_params};
use crate::message::execute::BlobTransfer;
use crate::message::macros::message;
use crate::message::secrets::Secrets;

message! {
    /// The data of `provider.tts`.
    #[derive(Default)]
    pub struct TextToSpeech {
        /// The provider to ask.
        pub provider: String,
        /// What to say.
        pub text: String,
        /// The model to use.
        pub model: String,
        /// The voice to say it in, as the provider names it.
        pub voice: Option<String>,
        /// How fast to say it; 1 is as usual.
        pub speed: Option<f64>,
        /// The language that it is in.
        pub language: Option<String>,
        /// How to say it, in words.
        pub instructions: Option<String>,
        /// A recording of the voice to imitate, as a file.
        pub reference_audio: Option<Bytes>,
        /// What is said in that recording.
        pub reference_text: Option<String>,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
    }
}

message! {
    /// The data of a chunk of `provider.tts`.
    #[derive(Default)]
    pub struct SpeechChunk {
        /// Under `audio`: little-endian 16-bit samples, one channel, 24,000 a second.
        pub blobs: IndexMap<String, Bytes> = default,
    }
}

message! {
    /// What to say, and how.
    #[derive(Default)]
    pub struct EncodedSpeechParams {
        /// The model to use.
        pub model: Option<ModelRef>,
        /// What to say.
        pub text: Option<String>,
        /// The voice to say it in, as the provider names it.
        pub voice: Option<String>,
        /// How fast to say it; 1 is as usual.
        pub speed: Option<f64>,
        /// The language that it is in.
        pub language: Option<String>,
        /// How to say it, in words.
        pub instructions: Option<String>,
        /// A recording of the voice to imitate, as a file.
        pub reference_audio: Option<Bytes> as "referenceAudio" | "reference_audio",
        /// What is said in that recording.
        pub reference_text: Option<String> as "referenceText" | "reference_text",
    }
}

message! {
    /// The data of `provider.tts_encoded`.
    #[derive(Default)]
    pub struct TextToSpeechEncoded after nest_params {
        /// The provider to ask.
        pub provider: String,
        /// What to say, and how.
        pub params: EncodedSpeechParams,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
        /// How the blob of the result shall travel.
        pub blob_transfer: Option<BlobTransfer> = lenient,
    }
}

message! {
    /// The data of `provider.asr`.
    #[derive(Default)]
    pub struct TranscribeRequest {
        /// The provider to ask.
        pub provider: String,
        /// The recording, as a file.
        pub audio: Bytes,
        /// The model to use.
        pub model: String,
        /// The language that is spoken.
        pub language: Option<String>,
        /// Words that are likely to occur.
        pub prompt: Option<String>,
        /// How freely to choose among words, from 0.
        pub temperature: Option<f64>,
        /// Whether to say when each word was spoken.
        pub word_timestamps: Option<bool>,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
    }
}

message! {
    /// A stretch of a transcript.
    #[derive(Default)]
    pub struct TranscriptChunk {
        /// When it begins and ends, in seconds; the end may be missing at the end of the recording.
        pub timestamp: Vec<Option<f64>>,
        /// What is said.
        pub text: String = default,
    }
}

message! {
    /// The data of the answer to `provider.asr`.
    #[derive(Default)]
    pub struct Transcript {
        /// All that is said.
        pub text: String = default,
        /// The same in stretches.
        pub chunks: Vec<TranscriptChunk> = sparse,
    }
}

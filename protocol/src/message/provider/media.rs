//! `provider.text_to_image` and its like: what to make travels in `params`, the file comes back in `blobs`.
//!
//! Keys of `params` are camelCase. Older hosts sent the same keys beside `provider`, and in snake_case: both are read.

use bytes::Bytes;
use indexmap::IndexMap;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::message::convert::{Field, TypeError};
use crate::message::execute::BlobTransfer;
use crate::message::macros::message;
use crate::message::secrets::Secrets;
use crate::{Map, Value};

/// The keys of a media request that stand beside `params`.
const OUTSIDE: [&str; 7] =
    ["provider", "params", "secrets", "blob_transfer", "image", "reference_images", "reference_videos"];

/// Puts the parameters of older hosts, which stand at the top, under `params`.
pub(super) fn nest_params(map: &mut Map) {
    if matches!(map.get("params"), Some(params) if !params.is_nil()) {
        return;
    }
    let (outside, params) =
        std::mem::take(map).into_iter().partition::<Map, _>(|(key, _)| OUTSIDE.contains(&key.as_str()));
    *map = outside;
    map.insert("params".to_owned(), Value::Map(params));
}

/// A model by its id, or, from older hosts, a map that has one.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelRef {
    /// The id.
    Id(String),
    /// `{id, …}`
    Full(Map),
}

impl ModelRef {
    /// The model's id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Full(map) => map.get("id").and_then(Value::as_str).unwrap_or_default(),
        }
    }
}

impl Default for ModelRef {
    fn default() -> Self {
        Self::Id(String::new())
    }
}

impl From<&str> for ModelRef {
    fn from(id: &str) -> Self {
        Self::Id(id.to_owned())
    }
}

impl Field for ModelRef {
    const EXPECTED: &'static str = "str";

    fn from_value(value: Value) -> Result<Self, TypeError> {
        match value {
            Value::Str(id) => Ok(Self::Id(id)),
            Value::Map(map) => match map.get("id") {
                Some(Value::Str(_)) => Ok(Self::Full(map)),
                Some(other) => Err(TypeError::new(Self::EXPECTED, other).under("id")),
                None => Err(TypeError::missing("id", Self::EXPECTED)),
            },
            other => Err(TypeError::new(Self::EXPECTED, &other)),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Id(id) => Value::Str(id),
            Self::Full(map) => Value::Map(map),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] },
        ] })
    }
}

message! {
    /// What picture to make.
    #[derive(Default)]
    pub struct ImageParams {
        /// The model to use.
        pub model: ModelRef,
        /// What it shall show.
        pub prompt: String,
        /// What it shall not show.
        pub negative_prompt: Option<String> as "negativePrompt" | "negative_prompt",
        /// Its width, in pixels.
        pub width: Option<u32>,
        /// Its height, in pixels.
        pub height: Option<u32>,
        /// The width of a picture made from another, in pixels.
        pub target_width: Option<u32> as "targetWidth" | "target_width",
        /// The height of a picture made from another, in pixels.
        pub target_height: Option<u32> as "targetHeight" | "target_height",
        /// How much of another picture to change, from 0 (nothing) to 1 (all).
        pub strength: Option<f64>,
        /// How closely to follow the prompt.
        pub guidance_scale: Option<f64> as "guidanceScale" | "guidance_scale",
        /// How many steps to take.
        pub num_inference_steps: Option<u32> as "numInferenceSteps" | "num_inference_steps",
        /// What to start the random numbers from.
        pub seed: Option<i64>,
        /// The scheduler to use, as the provider names it.
        pub scheduler: Option<String>,
    }
}

message! {
    /// What film to make.
    #[derive(Default)]
    pub struct VideoParams {
        /// The model to use.
        pub model: ModelRef,
        /// What it shall show; may be left out where it is made from pictures.
        pub prompt: Option<String>,
        /// What it shall not show.
        pub negative_prompt: Option<String> as "negativePrompt" | "negative_prompt",
        /// How many pictures it shall have.
        pub num_frames: Option<u32> as "numFrames" | "num_frames",
        /// How many of them a second.
        pub fps: Option<f64>,
        /// Its width, in pixels.
        pub width: Option<u32>,
        /// Its height, in pixels.
        pub height: Option<u32>,
        /// Its proportions: `16:9`.
        pub aspect_ratio: Option<String> as "aspectRatio" | "aspect_ratio",
        /// Its resolution, as the provider names it: `720p`.
        pub resolution: Option<String>,
        /// How closely to follow the prompt.
        pub guidance_scale: Option<f64> as "guidanceScale" | "guidance_scale",
        /// How many steps to take.
        pub num_inference_steps: Option<u32> as "numInferenceSteps" | "num_inference_steps",
        /// What to start the random numbers from.
        pub seed: Option<i64>,
    }
}

message! {
    /// What music or sound to make.
    #[derive(Default)]
    pub struct AudioParams {
        /// The model to use.
        pub model: ModelRef,
        /// What it shall sound like.
        pub prompt: String,
        /// What shall be sung.
        pub lyrics: Option<String>,
        /// How long it shall be, in seconds.
        pub duration_seconds: Option<f64> as "durationSeconds" | "duration_seconds" | "audioDuration" | "audio_duration",
        /// How closely to follow the prompt.
        pub guidance_scale: Option<f64> as "guidanceScale" | "guidance_scale",
        /// How many steps to take.
        pub num_inference_steps: Option<u32> as "numInferenceSteps" | "num_inference_steps",
        /// What to start the random numbers from.
        pub seed: Option<i64>,
    }
}

message! {
    /// The data of `provider.text_to_image`.
    #[derive(Default)]
    pub struct TextToImage after nest_params {
        /// The provider to ask.
        pub provider: String,
        /// What to make.
        pub params: ImageParams,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
        /// How the blob of the result shall travel.
        pub blob_transfer: Option<BlobTransfer> = lenient,
    }
}

message! {
    /// The data of `provider.image_to_image`.
    #[derive(Default)]
    pub struct ImageToImage after nest_params {
        /// The provider to ask.
        pub provider: String,
        /// The picture to begin with, as a file.
        pub image: Bytes,
        /// What to make of it.
        pub params: ImageParams,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
        /// How the blob of the result shall travel.
        pub blob_transfer: Option<BlobTransfer> = lenient,
    }
}

message! {
    /// The data of `provider.text_to_video`.
    #[derive(Default)]
    pub struct TextToVideo after nest_params {
        /// The provider to ask.
        pub provider: String,
        /// What to make.
        pub params: VideoParams,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
        /// How the blob of the result shall travel.
        pub blob_transfer: Option<BlobTransfer> = lenient,
    }
}

message! {
    /// The data of `provider.image_to_video`.
    #[derive(Default)]
    pub struct ImageToVideo after nest_params {
        /// The provider to ask.
        pub provider: String,
        /// The picture to begin with, as a file.
        pub image: Bytes,
        /// What to make of it.
        pub params: VideoParams,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
        /// How the blob of the result shall travel.
        pub blob_transfer: Option<BlobTransfer> = lenient,
    }
}

message! {
    /// The data of `provider.reference_to_video`.
    #[derive(Default)]
    pub struct ReferenceToVideo after nest_params {
        /// The provider to ask.
        pub provider: String,
        /// Pictures of what it shall show, as files.
        pub reference_images: Vec<Bytes> = default,
        /// Films of what it shall show, as files.
        pub reference_videos: Vec<Bytes> = default,
        /// What to make.
        pub params: VideoParams,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
        /// How the blob of the result shall travel.
        pub blob_transfer: Option<BlobTransfer> = lenient,
    }
}

message! {
    /// The data of `provider.text_to_audio`.
    #[derive(Default)]
    pub struct TextToAudio after nest_params {
        /// The provider to ask.
        pub provider: String,
        /// What to make.
        pub params: AudioParams,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
        /// How the blob of the result shall travel.
        pub blob_transfer: Option<BlobTransfer> = lenient,
    }
}

message! {
    /// The data of the answer to a request for a picture, a film or a sound.
    #[derive(Default)]
    pub struct MediaResult {
        /// The file, under `image`, `video` or `audio`.
        pub blobs: IndexMap<String, Bytes> = default,
    }
}

impl MediaResult {
    /// The file under that key.
    #[must_use]
    pub fn new(key: &str, file: Bytes) -> Self {
        Self { blobs: IndexMap::from([(key.to_owned(), file)]), extra: Map::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map;

    #[test]
    fn older_forms_are_read_and_the_newer_is_written() {
        let nested = map! {
            "provider" => "acme",
            "image" => Bytes::from_static(b"PNG"),
            "params" => map! {
                "model" => "m", "prompt" => "a cat", "negativePrompt" => "a dog", "targetWidth" => 64, "strength" => 0.5,
                "safetyCheck" => true,
            },
            "secrets" => map! { "KEY" => "hush" },
        };
        let top = map! {
            "provider" => "acme", "image" => Bytes::from_static(b"PNG"), "secrets" => map! { "KEY" => "hush" },
            "model" => "m", "prompt" => "a cat", "negative_prompt" => "a dog", "target_width" => 64.0, "strength" => 0.5,
            "safetyCheck" => true, "seed" => Value::Nil,
        };
        let read = ImageToImage::from_map(nested.clone()).unwrap();
        assert_eq!(ImageToImage::from_map(top).unwrap(), read);
        assert_eq!(read.into_map(), nested);
    }

    #[test]
    fn a_model_may_be_a_map() {
        let read = TextToVideo::from_map(map! {
            "provider" => "p", "params" => map! { "model" => map! { "id" => "m", "provider" => "p" } },
        });
        assert_eq!(read.unwrap().params.model.id(), "m");
        let error = TextToVideo::from_map(map! { "provider" => "p", "model" => map! {} }).unwrap_err();
        assert_eq!(error.to_string(), "params.model.id: expected str, got nothing");
        let error = TextToImage::from_map(map! { "provider" => "p", "params" => "all" }).unwrap_err();
        assert_eq!(error.to_string(), "params: expected map, got str");
    }

    #[test]
    fn a_duration_has_had_many_names() {
        for key in ["durationSeconds", "audio_duration"] {
            let read = TextToAudio::from_map(map! { "provider" => "p", "model" => "m", "prompt" => "x", key => 3 });
            assert_eq!(read.unwrap().params.duration_seconds, Some(3.0), "{key}");
        }
    }
}

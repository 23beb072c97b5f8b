//! One input of a model, and how a value becomes it.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::choices::{Channels, Filter, Fit, Layout, MelLayout, MelLog, MelNorm, MelScale, Part};
use super::loose::Numbers;

/// One input of a model, and how it comes to be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The model's name for it.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// The value.
    #[schemars(with = "String")]
    pub from: Spanned<String>,
    /// Of a picture: width and height.
    #[schemars(with = "Option<[u32; 2]>")]
    pub size: Option<Spanned<[u32; 2]>>,
    /// How it fits in.
    pub fit: Option<Fit>,
    /// The border's value, 0 to 255.
    pub pad: Option<f32>,
    /// How it is resized.
    pub filter: Option<Filter>,
    /// Which channels, in which order.
    #[schemars(with = "Option<Channels>")]
    pub channels: Option<Spanned<Channels>>,
    /// Factor for pixels from 0 to 255.
    pub scale: Option<f32>,
    /// Subtracted after that.
    #[schemars(with = "Option<Numbers>")]
    pub mean: Option<Spanned<Numbers>>,
    /// Divides after that.
    #[schemars(with = "Option<Numbers>")]
    pub std: Option<Spanned<Numbers>>,
    /// Bright becomes dark first.
    #[serde(default)]
    pub invert: bool,
    /// The order of the axes.
    #[schemars(with = "Option<Layout>")]
    pub layout: Option<Spanned<Layout>>,
    /// Of a sound: its samples.
    #[schemars(with = "Option<Samples>")]
    pub samples: Option<Spanned<Samples>>,
    /// Of a sound: its mel spectrogram.
    #[schemars(with = "Option<Mel>")]
    pub mel: Option<Spanned<Mel>>,
    /// Of a text: the tokenizer's file.
    #[schemars(with = "Option<String>")]
    pub tokenizer: Option<Spanned<String>>,
    /// What of its tokens.
    pub part: Option<Part>,
    /// Tokens at most.
    pub max_length: Option<usize>,
    /// Exactly so many tokens.
    #[schemars(with = "Option<usize>")]
    pub length: Option<Spanned<usize>>,
}

/// A sound's samples as an input.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// A second.
    pub rate: u32,
    /// Cut or filled to so many.
    pub length: Option<usize>,
}

/// A mel spectrogram as an input.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mel {
    /// Samples a second.
    pub rate: u32,
    /// Samples in a frame.
    #[serde(default = "n_fft")]
    pub n_fft: usize,
    /// Samples from one frame to the next.
    #[serde(default = "hop")]
    pub hop: usize,
    /// Bands.
    #[serde(default = "n_mels")]
    pub n_mels: usize,
    /// Hertz.
    #[serde(default)]
    pub f_min: f64,
    /// Hertz; half the rate where it is not given.
    pub f_max: Option<f64>,
    /// The scale of the bands.
    #[serde(default = "slaney")]
    pub scale: MelScale,
    /// Their weights.
    #[serde(default = "area")]
    pub norm: MelNorm,
    /// What becomes of the power.
    #[serde(default = "db")]
    pub log: MelLog,
    /// The least power that is told from silence.
    #[serde(default = "floor")]
    pub floor: f64,
    /// Cut or filled to so many.
    pub frames: Option<usize>,
    /// The order of its axes.
    #[serde(default = "mels_frames")]
    pub layout: MelLayout,
}

fn n_fft() -> usize {
    400
}

fn hop() -> usize {
    160
}

fn n_mels() -> usize {
    80
}

fn slaney() -> MelScale {
    MelScale::Slaney
}

fn area() -> MelNorm {
    MelNorm::Area
}

fn db() -> MelLog {
    MelLog::Db
}

fn floor() -> f64 {
    1e-10
}

fn mels_frames() -> MelLayout {
    MelLayout::MelsFrames
}

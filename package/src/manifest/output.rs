//! One output of a node, or of a step, and what a value becomes for it.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::choices::{Activation, As, BoxFormat, Channels, Layout, Pooling};
use super::loose::{Lines, Param, Size};

/// What a node gives, or a value that a step makes of its model's outputs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// What hosts call it.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// The value; without it the one of the same name.
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<String>>,
    /// What it becomes.
    #[serde(rename = "as")]
    #[schemars(with = "Option<As>")]
    pub kind: Option<Spanned<As>>,
    /// A name for each class.
    #[schemars(with = "Option<Lines>")]
    pub labels: Option<Spanned<Lines>>,
    /// How scores become probabilities.
    #[schemars(with = "Option<Activation>")]
    pub activation: Option<Spanned<Activation>>,
    /// How many labels.
    #[schemars(with = "Option<Param>")]
    pub top: Option<Spanned<Param>>,
    /// The values that are black and white.
    #[schemars(with = "Option<[f32; 2]>")]
    pub range: Option<Spanned<[f32; 2]>>,
    /// The order of channels.
    #[schemars(with = "Option<Channels>")]
    pub channels: Option<Spanned<Channels>>,
    /// The order of axes.
    #[schemars(with = "Option<Layout>")]
    pub layout: Option<Spanned<Layout>>,
    /// As large as this picture, or so large.
    #[schemars(with = "Option<Size>")]
    pub size: Option<Spanned<Size>>,
    /// From which value on something is there.
    #[schemars(with = "Option<Param>")]
    pub threshold: Option<Spanned<Param>>,
    /// The class that is white.
    #[schemars(with = "Option<Param>")]
    pub class: Option<Spanned<Param>>,
    /// What the detector gives.
    #[schemars(with = "Option<BoxFormat>")]
    pub format: Option<Spanned<BoxFormat>>,
    /// The value with the boxes' scores.
    #[schemars(with = "Option<String>")]
    pub scores: Option<Spanned<String>>,
    /// The value with the boxes' classes.
    #[schemars(with = "Option<String>")]
    pub classes: Option<Spanned<String>>,
    /// Boxes below are dropped.
    #[schemars(with = "Option<Param>")]
    pub score: Option<Spanned<Param>>,
    /// Boxes that overlap a better one by more are dropped.
    #[schemars(with = "Option<Param>")]
    pub iou: Option<Spanned<Param>>,
    /// How many boxes.
    #[schemars(with = "Option<Param>")]
    pub max: Option<Spanned<Param>>,
    /// The step's input that was the picture.
    #[schemars(with = "Option<String>")]
    pub input: Option<Spanned<String>>,
    /// How tokens' vectors become one.
    #[schemars(with = "Option<Pooling>")]
    pub pooling: Option<Spanned<Pooling>>,
    /// The attention mask's value.
    #[schemars(with = "Option<String>")]
    pub mask: Option<Spanned<String>>,
    /// Whether a vector gets the length 1.
    #[schemars(with = "Option<bool>")]
    pub normalise: Option<Spanned<bool>>,
    /// The symbols of a CTC model.
    #[schemars(with = "Option<Lines>")]
    pub vocabulary: Option<Spanned<Lines>>,
    /// The number of the symbol that stands for nothing.
    #[schemars(with = "Option<usize>")]
    pub blank: Option<Spanned<usize>>,
    /// Samples a second.
    #[schemars(with = "Option<Param>")]
    pub rate: Option<Spanned<Param>>,
}

//! `image.Classify`: what is in a picture, by any network that scores classes. Unlike `onnx.Classify` it goes by the files that
//! lie beside the network.

use indexmap::IndexMap;
use millwork_nodes::pixels::{Fit, Format, Wish};
use millwork_worker::prelude::*;

use super::weights::{IMAGENET, Weights};

/// The side of a network's pictures where neither it nor the files beside it say.
const SIDE: usize = 224;

/// Says what is in a picture: the best labels of a network for images, with their probabilities.
#[derive(Node)]
#[node("image.Classify", idempotent)]
pub(super) struct Classify {
    /// The picture.
    image: Image,
    /// A classifier as ONNX.
    #[node(model = "hf.image_classification")]
    model: ModelRef,
    /// A name for each class; without them those of the model's files, else numbers.
    #[node(default)]
    labels: Vec<String>,
    /// How many labels to answer.
    #[node(default = 5, min = 1, max = 1000)]
    top_k: usize,
}

#[derive(Outputs)]
pub(super) struct Classes {
    /// The best label.
    label: String,
    /// Its probability, from 0 to 1.
    score: f64,
    /// The best labels, each {label, score}, the best first.
    scores: Vec<Map>,
}

impl Run for Classify {
    type Output = Classes;

    fn run(self, cx: &Context) -> Result<Classes> {
        let weights = Weights::load(&self.model, cx)?;
        let input = super::only_input(weights.info())?;
        let wish = Wish { size: super::open_size(input, &weights), ..Wish::default() };
        let format = Format::of(input, &wish, Some(SIDE))?;
        let mut how = weights.preparation(Fit::Crop, IMAGENET);
        if format.channels == 1 {
            (how.scaling.mean, how.scaling.std) = (vec![0.0], vec![1.0]);
        }
        let (tensor, _) = format.prepare(&self.image, &how)?;
        cx.check()?;
        let outputs = weights.run(IndexMap::from([(input.name.clone(), tensor)]))?;
        let scores = outputs.values().find(|output| output.dtype.is_float() && !output.is_empty());
        let scores = scores.ok_or_else(|| Error::invalid("field `model`: it gives no scores"))?.to_array_f32()?;
        let probabilities = millwork_nodes::probabilities(scores.into_iter().collect());
        if probabilities.iter().any(|p| !p.is_finite()) {
            return Err(Error::failed("the model gave scores that are no numbers (NaN or infinite)"));
        }
        if !self.labels.is_empty() && self.labels.len() != probabilities.len() {
            let (classes, labels) = (probabilities.len(), self.labels.len());
            let text = format!("field `labels`: the model has {classes} classes, here are {labels} labels");
            return Err(Error::invalid(text));
        }
        let label = |class: usize| self.labels.get(class).cloned().unwrap_or_else(|| weights.label(class));
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
        let line = |class: &usize| map! { "label" => label(*class), "score" => probabilities[*class] };
        let first = order.first().copied().unwrap_or_default();
        Ok(Classes {
            label: label(first),
            score: probabilities[first],
            scores: order.iter().take(self.top_k).map(line).collect(),
        })
    }
}

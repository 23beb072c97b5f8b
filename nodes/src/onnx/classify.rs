//! Pictures to names, with any model that scores classes.

use std::path::Path;

use indexmap::IndexMap;
use millwork_worker::onnx::{ModelInfo, OnnxError};
use millwork_worker::prelude::*;

use crate::pixels::{Filter, Fit, Format, Preparation, Scaling, Wish};

/// Says what is in a picture: the best labels of an image classification model with their probabilities.
///
/// Size, channels and layout are read off the model's input. Without a model it reads a handwritten digit, bright on dark
/// and filling the picture.
#[derive(Node)]
#[node("onnx.Classify")]
pub(super) struct Classify {
    /// The picture.
    image: Image,
    /// Path of the .onnx file; empty for the built-in digits model.
    #[node(default)]
    model: String,
    /// A name for each class. Without them: the lines of `labels.txt` beside the model, else the `labels` in its metadata,
    /// else numbers.
    #[node(default)]
    labels: Vec<String>,
    /// How many labels to answer.
    #[node(default = 5, min = 1, max = 1000)]
    top_k: usize,
    /// Factor for pixel values, which are 0 to 255.
    #[node(default = 1.0 / 255.0)]
    scale: f32,
    /// Subtracted after scaling: one number, or one for each channel.
    #[node(default = vec![0.0])]
    mean: Vec<f32>,
    /// Divides after that: one number, or one for each channel.
    #[node(default = vec![1.0])]
    std: Vec<f32>,
    /// Swap bright and dark, as for a digit written on white paper.
    #[node(default)]
    invert: bool,
    /// How a picture of another form than the model's fits in.
    #[node(default = Fit::Crop)]
    fit: Fit,
    /// Side in pixels where the model leaves its size open.
    #[node(default = 224, min = 1, max = 4096)]
    size: usize,
}

#[derive(Outputs)]
pub(super) struct Classes {
    /// The best label.
    label: String,
    /// Its probability, from 0 to 1.
    score: f64,
    /// The best labels, each `{label, score}`, the best first.
    scores: Vec<Map>,
}

impl Run for Classify {
    type Output = Classes;

    fn run(self, cx: &Context) -> Result<Classes> {
        // Every picture has the same size here, so a plan for that size pays.
        let model = super::load(&self.model, cx)?.per_shape();
        let info = model.info();
        let [input] = info.inputs.as_slice() else {
            let names: Vec<&str> = info.inputs.iter().map(|input| input.name.as_str()).collect();
            let what = format!("model {} has {} inputs ({})", info.name, names.len(), names.join(", "));
            return Err(Error::invalid(format!("{what}, a classifier has one; use onnx.Run")));
        };
        let scaling = Scaling { scale: self.scale, mean: self.mean, std: self.std, invert: self.invert };
        let format = Format::of(input, &Wish::default(), Some(self.size));
        let format =
            format.map_err(|error| Error::invalid(format!("{}; use onnx.Run with a tensor", error.message())))?;
        let how = Preparation { fit: self.fit, filter: Filter::Area, pad: 0.0, bgr: false, scaling };
        let (tensor, _) = format.prepare(&self.image, &how)?;
        cx.check()?;

        let inputs = IndexMap::from([(input.name.clone(), tensor)]);
        let outputs = model.run(&inputs).map_err(OnnxError::into_error)?;
        let scores = outputs
            .values()
            .find(|output| output.dtype.is_float() && !output.is_empty())
            .ok_or_else(|| Error::invalid(format!("model {} has no output of scores", info.name)))?;
        let scores: Vec<f32> = scores.to_array_f32().context("scores")?.into_iter().collect();
        let beside = Path::new(&self.model).with_file_name("labels.txt");
        let beside = if self.model.is_empty() { None } else { beside.to_str().and_then(|path| cx.path(path).ok()) };
        let labels = labels(self.labels, beside.as_deref(), info, scores.len())?;
        Ok(best(probabilities(scores), &labels, self.top_k))
    }
}

fn best(probabilities: Vec<f64>, labels: &[String], top_k: usize) -> Classes {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    let entry = |i: &usize| map! { "label" => labels[*i].as_str(), "score" => probabilities[*i] };
    let first = order.first().copied();
    Classes {
        label: first.map_or_else(String::new, |i| labels[i].clone()),
        score: first.map_or(0.0, |i| probabilities[i]),
        scores: order.iter().take(top_k).map(entry).collect(),
    }
}

/// The scores themselves where they are probabilities already, else their softmax.
#[must_use]
pub fn probabilities(scores: Vec<f32>) -> Vec<f64> {
    let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
    let sum: f64 = scores.iter().sum();
    if scores.iter().all(|p| (0.0..=1.0 + 1e-6).contains(p)) && (sum - 1.0).abs() < 1e-2 {
        return scores;
    }
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// A name for each of `count` classes.
fn labels(given: Vec<String>, file: Option<&Path>, info: &ModelInfo, count: usize) -> Result<Vec<String>> {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let beside = || std::fs::read_to_string(file?).ok().map(|text| lines(text.trim_end()));
    let inside = || {
        let (_, text) = info.metadata.iter().find(|(key, _)| key == "labels")?;
        Some(text.split([',', '\n']).map(|label| label.trim().to_owned()).collect())
    };
    let (found, place) = if !given.is_empty() {
        (given, "field `labels`")
    } else if let Some(labels) = beside() {
        (labels, "labels.txt beside the model")
    } else if let Some(labels) = inside() {
        (labels, "`labels` in the model's metadata")
    } else {
        return Ok((0..count).map(|i| i.to_string()).collect());
    };
    if found.len() != count {
        return Err(Error::invalid(format!("{place}: the model has {count} classes, here are {} labels", found.len())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{DynamicImage, GrayImage, RgbaImage, imageops};
    use millwork_worker::testing::NodeTest;

    use super::*;

    fn digits(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits").join(name)
    }

    fn example(digit: usize) -> GrayImage {
        Image::decode(&fs::read(digits(&format!("examples/{digit}.png"))).unwrap()).unwrap().to_luma8()
    }

    fn call(picture: impl Into<DynamicImage>) -> NodeTest {
        NodeTest::new::<Classify>().blob("image", Image(picture.into()).to_png().unwrap())
    }

    fn label(call: NodeTest) -> String {
        call.run().unwrap().outputs["label"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_built_in_model_reads_digits_it_was_not_trained_on() {
        let sheet = Image::decode(&fs::read(digits("test.png")).unwrap()).unwrap().to_luma8();
        let truth = fs::read_to_string(digits("test_labels.txt")).unwrap();
        let columns = sheet.width() / 8;
        let truth: Vec<char> = truth.trim().chars().collect();
        assert_eq!(truth.len() as u32, columns * (sheet.height() / 8));
        let right = (0u32..).zip(&truth).filter(|(i, digit)| {
            let tile = imageops::crop_imm(&sheet, i % columns * 8, i / columns * 8, 8, 8).to_image();
            label(call(tile)) == digit.to_string()
        });
        // onnxruntime has 357 of these 360 right.
        assert!(right.count() >= 355, "of {}", truth.len());
    }

    #[test]
    fn pictures_of_any_size_and_kind_are_read() {
        for digit in 0..10 {
            let picture = example(digit);
            let name = digit.to_string();
            let larger = imageops::resize(&picture, 300, 300, imageops::FilterType::Triangle);
            assert_eq!(label(call(larger)), name);

            let mut paper = picture.clone();
            imageops::invert(&mut paper);
            assert_eq!(label(call(paper).field("invert", true)), name);

            let mut wide = GrayImage::new(128, 64);
            imageops::overlay(&mut wide, &picture, 32, 0);
            assert_eq!(label(call(wide.clone())), name, "the middle is read");

            let ink = RgbaImage::from_fn(64, 64, |x, y| image::Rgba([255, 255, 255, picture.get_pixel(x, y).0[0]]));
            assert_eq!(label(call(ink)), name, "transparent is dark");
        }
    }

    #[test]
    fn scores_are_probabilities_with_the_best_first() {
        let outputs = call(example(3)).field("top_k", 3).run().unwrap().outputs;
        let scores: Vec<f64> = outputs["scores"]
            .as_list()
            .unwrap()
            .iter()
            .map(|entry| entry.as_map().unwrap()["score"].as_f64().unwrap())
            .collect();
        assert_eq!((scores.len(), Some(scores[0])), (3, outputs["score"].as_f64()));
        assert!(scores[0] > 0.5 && scores.is_sorted_by(|a, b| a >= b) && scores.iter().sum::<f64>() <= 1.001);

        let softened = probabilities(vec![1000.0, 999.0, -1000.0]);
        assert!((softened[0] - 0.731).abs() < 1e-3 && softened[2] == 0.0, "{softened:?}");
        assert_eq!(probabilities(vec![0.25, 0.75]), [0.25, 0.75]);
    }

    #[test]
    fn labels_come_from_the_field_the_folder_or_the_model() {
        let names: Vec<Value> = (0..10).map(|i| Value::from(format!("digit {i}"))).collect();
        assert_eq!(label(call(example(7)).field("labels", Value::List(names))), "digit 7");
        let error = call(example(7)).field("labels", Value::List(vec![Value::from("one")])).run().unwrap_err();
        assert_eq!(error.message(), "field `labels`: the model has 10 classes, here are 1 labels");

        let folder = tempfile::tempdir().unwrap();
        fs::copy(digits("digits.onnx"), folder.path().join("digits.onnx")).unwrap();
        let copy = || call(example(7)).workspace(folder.path()).field("model", "digits.onnx");
        assert_eq!(label(copy()), "7");
        fs::write(folder.path().join("labels.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n").unwrap();
        assert_eq!(label(copy()), "h");
    }

    #[test]
    fn a_model_for_something_else_is_refused_with_the_reason() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/tests/onnx");
        for (model, reason) in [
            ("tokens.onnx", "model tokens.onnx has 2 inputs (ids, mask)"),
            ("bright.onnx", "does not look like a picture's"),
            ("text.onnx", "is not a readable ONNX model"),
        ] {
            let error = call(example(0)).workspace(&folder).field("model", model).run().unwrap_err();
            assert!(error.message().contains(reason), "{error}");
            assert_eq!(*error.kind(), ErrorKind::InvalidInput);
        }
        let conv = call(example(0)).workspace(&folder).field("model", "conv.onnx").field("size", 32);
        assert_eq!(conv.run().unwrap().outputs["scores"].as_list().unwrap().len(), 4);
    }
}

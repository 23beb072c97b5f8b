//! Which ONNX file a node's `model` means, and what the files beside it say of how pictures go in and what comes out. Such files
//! are those of the transformers library: `preprocessor_config.json` and `config.json`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use millwork_nodes::pixels::{Filter, Fit, Preparation, Scaling};
use millwork_worker::onnx::{Model, ModelInfo};
use millwork_worker::prelude::*;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::{onnx_file, read};

/// A model for a node, its files read.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) model: Model,
    beside: Preprocessor,
    labels: HashMap<String, String>,
}

/// `preprocessor_config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Preprocessor {
    do_rescale: Option<bool>,
    rescale_factor: Option<f32>,
    do_normalize: Option<bool>,
    image_mean: Option<Vec<f32>>,
    image_std: Option<Vec<f32>>,
    size: Option<Json>,
    crop_size: Option<Json>,
}

/// The part of `config.json` that names classes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    id2label: HashMap<String, String>,
}

/// How the pictures of networks are usually scaled: as those of ImageNet were.
pub(super) const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

impl Weights {
    /// Loads what a `model` field names: a model's id in the folders of models or in the hub's cache, a file in one of those, or
    /// a file of the workspace.
    pub(super) fn load(model: &ModelRef, cx: &Context) -> Result<Self> {
        let file = file(model, cx)?;
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        // Optimum and the hub put the network into a folder of its own, and the rest above it.
        let above = folder.parent().filter(|_| folder.ends_with("onnx")).unwrap_or(&folder).to_owned();
        let beside = read::json_if_there(&above.join("preprocessor_config.json"))?.unwrap_or_default();
        let config: Config = read::json_if_there(&above.join("config.json"))?.unwrap_or_default();
        // Every picture has the same size for most models, so a plan for that size pays.
        Ok(Self { model: cx.onnx_model(file)?.per_shape(), beside, labels: config.id2label })
    }

    /// Runs it with one tensor for its only input.
    pub(super) fn run(&self, inputs: IndexMap<String, Tensor>) -> Result<IndexMap<String, Tensor>> {
        self.model.run(&inputs).map_err(millwork_worker::onnx::OnnxError::into_error)
    }

    pub(super) fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    /// The name of a class: its number where it has none.
    pub(super) fn label(&self, class: usize) -> String {
        self.labels.get(&class.to_string()).cloned().unwrap_or_else(|| class.to_string())
    }

    /// The side of its pictures where the network leaves it open, as its files say.
    pub(super) fn size(&self) -> Option<[u32; 2]> {
        let size = self.beside.crop_size.as_ref().or(self.beside.size.as_ref())?;
        let side = |key: &str| size.get(key).and_then(Json::as_u64).and_then(|side| u32::try_from(side).ok());
        let square = size.as_u64().and_then(|side| u32::try_from(side).ok()).or_else(|| side("shortest_edge"));
        match (side("width"), side("height")) {
            (Some(width), Some(height)) => Some([width, height]),
            _ => square.map(|side| [side, side]),
        }
    }

    /// How a picture becomes its tensor, as its files say, else with this mean and deviation.
    pub(super) fn preparation(&self, fit: Fit, (mean, std): ([f32; 3], [f32; 3])) -> Preparation {
        let Preprocessor { do_rescale, rescale_factor, do_normalize, image_mean, image_std, .. } = &self.beside;
        let scale = if *do_rescale == Some(false) { 1.0 } else { rescale_factor.unwrap_or(1.0 / 255.0) };
        let is_normalized = *do_normalize != Some(false);
        let of = |numbers: &Option<Vec<f32>>, default: [f32; 3], plain: f32| {
            if is_normalized { numbers.clone().unwrap_or_else(|| default.to_vec()) } else { vec![plain] }
        };
        let scaling = Scaling { scale, mean: of(image_mean, mean, 0.0), std: of(image_std, std, 1.0), invert: false };
        Preparation { fit, filter: Filter::Bilinear, pad: 114.0, bgr: false, scaling }
    }
}

/// The file that a `model` field means.
fn file(model: &ModelRef, cx: &Context) -> Result<PathBuf> {
    let id = if model.repo_id.is_empty() { &model.id } else { &model.repo_id };
    if id.is_empty() {
        return cx.path(&model.path).context("field `model`");
    }
    let Some(place) = super::roots().place(id) else {
        return cx.path(id).map_err(|error| {
            let text = format!("field `model`: {id:?} is neither in the folders of models nor a file of the workspace");
            Error::unavailable(format!("{text} ({})", error.message())).permanent()
        });
    };
    if place.is_file() {
        return Ok(place);
    }
    if !model.path.is_empty() {
        let inside = Path::new(&model.path);
        let is_inside = inside.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let file = place.join(inside);
        return if is_inside && file.is_file() {
            Ok(file)
        } else {
            Err(Error::invalid(format!("field `model`: {id} has no file {:?}", model.path)))
        };
    }
    if let Some(file) = onnx_file::find_if_there(&place, &["model"]) {
        return Ok(file);
    }
    let files = place.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "onnx")).collect();
    match (files.pop(), files.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => {
            Err(Error::invalid(format!("field `model`: {id} has several .onnx files: give its `path`")))
        }
        (None, _) => Err(Error::from(
            onnx_file::find(&place, &["model"])
                .err()
                .unwrap_or_else(|| crate::Problem::new(&place, "has no .onnx file")),
        )),
    }
}

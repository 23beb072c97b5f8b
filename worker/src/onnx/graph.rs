//! A model as tract reads it, before any shapes are known: what plans are made from.

use std::sync::Arc;

use tract_onnx::data_resolver::FopenDataResolver;
use tract_onnx::model::ParseResult;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::InferenceModel;
use tract_onnx::tract_core::internal::bail;

use super::bytes_of;
use super::contain::contain;
use super::error::OnnxError;
use super::source::Source;
use crate::models::Loaded;

/// The parsed graph with its weights.
#[derive(Debug)]
pub(super) struct Graph(pub(super) InferenceModel);

pub(super) fn parse(source: &Source, proto: &ModelProto) -> Result<Loaded<Graph>, OnnxError> {
    let mut framework = tract_onnx::onnx()
        // The shapes that exporters note for inner tensors are symbolic and get in the way of real ones.
        .with_ignore_value_info(true);
    // Read, not mapped: see `Source::read`.
    framework.provider = Arc::new(FopenDataResolver);
    let folder = source.folder();
    let folder = folder.as_deref().and_then(|folder| folder.to_str());
    let parsed = contain("loading", || {
        let ParseResult { model, unresolved_inputs, .. } = framework.parse(proto, folder)?;
        match unresolved_inputs.first() {
            Some(name) => bail!("tensor {name:?} is used but produced by no node"),
            None => Ok(model),
        }
    });
    let model = parsed.map_err(|reason| OnnxError::Load { model: source.name(), reason })?;
    let name = format!("{} (weights)", source.name());
    Ok(Loaded { name, bytes: bytes_of::graph(&model), value: Graph(model) })
}

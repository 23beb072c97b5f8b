//! `onnx.*`: looks into ONNX models, runs them, names what is in a picture, and measures. Every node takes the path of a
//! model, or without one the digits model that ships with Millwork.

mod benchmark;
mod classify;
mod inspect;
mod run;
mod table;

use millwork_worker::onnx::{Model, Source};
use millwork_worker::prelude::*;

pub use classify::probabilities;

use benchmark::Benchmark;
use classify::Classify;
use inspect::Inspect;
use run::RunModel;

/// The nodes of this namespace.
pub(crate) fn package() -> Package {
    package!["onnx": Inspect, RunModel, Classify, Benchmark].idempotent()
}

/// Handwritten digits, 8×8: see `models/digits/README.md`.
static DIGITS: &[u8] = include_bytes!("../../models/digits/digits.onnx");

/// The model that a `model` field names.
fn source(model: &str, cx: &Context) -> Result<Source> {
    if model.is_empty() {
        return Ok(Source::bytes("digits.onnx (built in)", DIGITS));
    }
    Ok(Source::from(cx.path(model).context("model")?))
}

fn load(model: &str, cx: &Context) -> Result<Model> {
    cx.onnx_model(source(model, cx)?)
}

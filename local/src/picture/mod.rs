//! `text_to_image` and `image_to_image`: pictures by Stable Diffusion and its like, as diffusers' pipelines are exported to ONNX.
//!
//! - `files` reads the layout and tells pipelines that run from others; `tokens` has CLIP's tokenizer;
//! - `scheduler` is the way from noise to a picture, `noise` where the noise comes from;
//! - `networks` runs the text encoder, the UNet and the VAE, `guidance` weighs prompt against negative prompt;
//! - `request` is what is asked for, `run` does it.

mod files;
mod guidance;
mod networks;
mod noise;
mod png;
mod request;
mod run;
pub mod scheduler;
mod tokens;

use std::path::Path;

use millwork_worker::image::RgbImage;
use millwork_worker::prelude::*;
use millwork_worker::{Answer, Call};

pub use noise::{Given, Noise, Seeded};
pub use request::{Request, Settings};
pub use run::Pipeline;

use crate::{LocalModel, Problem};

/// The file that makes a folder a pipeline.
pub(crate) const INDEX: &str = "model_index.json";

/// The class of the pipeline in a folder, if its files are all there and can be used.
pub(crate) fn check(folder: &Path) -> Result<String, Problem> {
    files::Files::read(folder).map(|files| files.class)
}

/// Whether the pipeline of a folder can start from a picture.
pub(crate) fn reads_pictures(folder: &Path) -> bool {
    files::Files::read(folder).is_ok_and(|files| files.encoder.is_ok())
}

/// Answers `provider.text_to_image` and, where `from_image`, `provider.image_to_image`: `{blobs: {image: PNG}, seed, warnings?}`.
///
/// Beside what all providers take there is `noise`: the numbers of a run instead of a seed, as [`Given`] has them.
pub(crate) fn call(model: &LocalModel, call: &Call<'_>, from_image: bool) -> Result<Answer> {
    let request = Request::read(call, from_image)?;
    let drawn = match call.param("noise") {
        None => draw(model, request, call.context)?,
        Some(noise) => {
            let noise = noise.as_bytes().ok_or_else(|| Error::invalid("`noise` must be bytes: float32 numbers"))?;
            drawn(model, request, None, &mut Given::of_bytes(noise), call.context)?
        }
    };
    let png = png::with_text(&Image::from(drawn.image).to_png()?, "parameters", &drawn.parameters)?;
    let Answer(mut map) = Answer::blob("image", png);
    if let Some(seed) = drawn.seed.and_then(|seed| i64::try_from(seed).ok()) {
        map.insert("seed".to_owned(), Value::Int(seed));
    }
    if !drawn.warnings.is_empty() {
        map.insert("warnings".to_owned(), Value::from(drawn.warnings));
    }
    Ok(Answer(map))
}

/// A picture, and how it was made.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) image: RgbImage,
    /// The seed that makes it again.
    pub(crate) seed: Option<u64>,
    pub(crate) warnings: Vec<String>,
    /// As the files of other programs have it.
    pub(crate) parameters: String,
}

/// Makes a picture.
pub(crate) fn draw(model: &LocalModel, request: Request, cx: &Context) -> Result<Drawn> {
    let seed = request.seed()?;
    drawn(model, request, Some(seed), &mut Seeded::new(seed), cx)
}

fn drawn(
    model: &LocalModel,
    request: Request,
    seed: Option<u64>,
    noise: &mut dyn Noise,
    cx: &Context,
) -> Result<Drawn> {
    let pipeline = Pipeline::open(model)?;
    let mut settings = pipeline.settle(request)?;
    let image = pipeline.draw(&mut settings, noise, cx)?;
    let seed_said = seed.map_or(String::new(), |seed| format!(", Seed: {seed}"));
    let parameters = format!("{settings}{seed_said}, Model: {}", model.id);
    Ok(Drawn { image, seed, warnings: settings.warnings, parameters })
}

//! The four networks of a pipeline as functions of arrays. What the exporters of the years have called their inputs and
//! outputs, and of which types they are, is known here alone.

use indexmap::IndexMap;
use millwork_worker::convert::{DType, Tensor};
use millwork_worker::onnx::{Dim, Model, OnnxError, ValueInfo};
use millwork_worker::{Context, Error, Result};
use ndarray::{Array4, Axis, Ix4, concatenate, s};

use super::files::Files;
use super::guidance::Guidance;
use super::tokens::Prompt;
use crate::onnx_file;

/// The text encoder's answer to a prompt, `[1, tokens, numbers]`.
pub(super) type Meaning = Tensor;

/// A network with a plan for each size of picture: symbolic plans are slower, where there can be any.
fn load(path: &std::path::Path, cx: &Context) -> Result<Model> {
    Ok(onnx_file::load(path, cx)?.per_shape())
}

/// Runs a network with what `give` has for each of its inputs.
fn run(model: &Model, give: impl Fn(&ValueInfo) -> Option<Result<Tensor>>) -> Result<IndexMap<String, Tensor>> {
    let mut inputs = IndexMap::new();
    for input in &model.info().inputs {
        let Some(tensor) = give(input) else {
            let text = format!("{} wants an input {:?}, which is not known", model.info().name, input.name);
            return Err(Error::unavailable(text).permanent());
        };
        let tensor = tensor?.cast(input.dtype.unwrap_or(DType::F32))?;
        inputs.insert(input.name.clone(), tensor);
    }
    model.run(&inputs).map_err(OnnxError::into_error)
}

/// The output of one of these names, else the first.
fn output(mut outputs: IndexMap<String, Tensor>, names: &[&str]) -> Result<Tensor> {
    let named = names.iter().find_map(|name| outputs.shift_remove(*name));
    named.or_else(|| outputs.into_values().next()).ok_or_else(|| Error::failed("the network gives nothing"))
}

/// `[batch, channels, height, width]`, all of them numbers.
fn planes(tensor: &Tensor, what: &str) -> Result<Array4<f32>> {
    let shape = tensor.shape.clone();
    let array = tensor.to_array_f32()?.into_dimensionality::<Ix4>();
    let array = array.map_err(|_| Error::failed(format!("{what} gives {shape:?} and no planes")))?;
    if array.iter().all(|x| x.is_finite()) {
        return Ok(array);
    }
    Err(Error::failed(format!(
        "{what} gave what is no number (NaN or infinite): half precision may be too small for it"
    )))
}

/// Prompts through the text encoder, which is needed no longer than that.
pub(super) fn meanings(files: &Files, prompts: &[Prompt], cx: &Context) -> Result<Vec<Meaning>> {
    let model = load(&files.text_encoder, cx)?;
    let meaning = |prompt: &Prompt| {
        cx.check()?;
        let shape = [1, prompt.ids.len()];
        let tensor = |numbers: &[i64]| Ok(Tensor::from_slice(&shape, numbers)?);
        let mask: Vec<i64> = (0..prompt.ids.len()).map(|i| i64::from(i < prompt.used)).collect();
        let outputs = run(&model, |input| match input.name.as_str() {
            "input_ids" => Some(tensor(&prompt.ids)),
            "attention_mask" => Some(tensor(&mask)),
            _ => None,
        })?;
        output(outputs, &["last_hidden_state"])
    };
    prompts.iter().map(meaning).collect()
}

/// The network that tells noise from picture.
#[derive(Debug)]
pub(super) struct Unet {
    model: Model,
    guidance: Guidance,
}

impl Unet {
    pub(super) fn load(files: &Files, guidance: Guidance, cx: &Context) -> Result<Self> {
        let model = load(&files.unet, cx)?;
        Ok(Self { model, guidance })
    }

    /// What it says of latents at a time, `[1, channels, height, width]`, the prompts weighed against each other.
    pub(super) fn say(&self, latents: &Array4<f32>, time: f64, cx: &Context) -> Result<Array4<f32>> {
        let meanings = self.guidance.meanings();
        if self.takes(meanings.len()) {
            let latents = concatenate(Axis(0), &vec![latents.view(); meanings.len()])?;
            let all = self.run(&latents, time, &together(meanings)?)?;
            return self
                .guidance
                .weigh(all.axis_iter(Axis(0)).map(|one| one.insert_axis(Axis(0)).to_owned()).collect());
        }
        let each = meanings.iter().map(|meaning| {
            cx.check()?;
            self.run(latents, time, meaning)
        });
        self.guidance.weigh(each.collect::<Result<_>>()?)
    }

    /// Whether the export is made for just so many latents at once. One after the other is what all others are given: as
    /// fast, and it needs half the memory.
    fn takes(&self, count: usize) -> bool {
        let sample = self.model.info().inputs.iter().find(|input| input.name == "sample");
        let batch = sample.and_then(|sample| sample.shape.as_ref()?.first());
        count > 1 && batch == Some(&Dim::Fixed(count))
    }

    fn run(&self, latents: &Array4<f32>, time: f64, meaning: &Meaning) -> Result<Array4<f32>> {
        let batch = latents.shape()[0];
        let outputs = run(&self.model, |input| match input.name.as_str() {
            "sample" => Some(Ok(Tensor::from_array(latents.clone().into_dyn()))),
            "timestep" => {
                let shape = input.shape.as_ref().map_or(Vec::new(), |dims| match dims.as_slice() {
                    [] => Vec::new(),
                    [Dim::Fixed(1), ..] => vec![1],
                    _ => vec![batch],
                });
                Some(Tensor::from_slice(&shape, &vec![time; shape.iter().product()]).map_err(Error::from))
            }
            "encoder_hidden_states" => Some(Ok(meaning.clone())),
            "timestep_cond" => Some(self.guidance.told(batch)),
            _ => None,
        })?;
        let said = planes(&output(outputs, &["out_sample", "sample"])?, "the UNet")?;
        if said.shape() != latents.shape() {
            let text = format!("the UNet gives {:?} for latents of {:?}", said.shape(), latents.shape());
            return Err(Error::failed(text));
        }
        Ok(said)
    }
}

fn together(meanings: &[Meaning]) -> Result<Meaning> {
    let arrays = meanings.iter().map(Tensor::to_array_f32).collect::<std::result::Result<Vec<_>, _>>()?;
    let views: Vec<_> = arrays.iter().map(|array| array.view()).collect();
    Ok(Tensor::from_array(concatenate(Axis(0), &views)?))
}

/// The half of the VAE that makes pictures.
#[derive(Debug)]
pub(super) struct Decoder {
    model: Model,
    scaling: f32,
}

impl Decoder {
    pub(super) fn load(files: &Files, cx: &Context) -> Result<Self> {
        Ok(Self { model: load(&files.decoder, cx)?, scaling: files.scaling })
    }

    /// Latents as a picture from −1 to 1, `[1, 3, height, width]`.
    pub(super) fn picture(&self, latents: &Array4<f32>) -> Result<Array4<f32>> {
        let latents = Tensor::from_array((latents / self.scaling).into_dyn());
        let outputs = run(&self.model, |input| match input.name.as_str() {
            "latent_sample" | "latent" | "latents" | "sample" => Some(Ok(latents.clone())),
            _ => None,
        })?;
        planes(&output(outputs, &["sample"])?, "the VAE's decoder")
    }
}

/// The half of the VAE that reads pictures: the mean of a picture's latents and their standard deviation, neither scaled.
pub(super) fn latents(files: &Files, picture: &Tensor, cx: &Context) -> Result<(Array4<f32>, Option<Array4<f32>>)> {
    let path = files.encoder.clone()?;
    let model = load(&path, cx)?;
    let mut outputs = run(&model, |input| match input.name.as_str() {
        "sample" => Some(Ok(picture.clone())),
        _ => None,
    })?;
    let what = "the VAE's encoder";
    // What some exports call latents is drawn already, or the mean.
    let Some(parameters) = outputs.shift_remove("latent_parameters") else {
        return Ok((planes(&output(outputs, &["latent_sample"])?, what)?, None));
    };
    let parameters = planes(&parameters, what)?;
    if parameters.shape()[1] != 2 * files.channels {
        return Err(Error::failed(format!("{what} gives {:?} and not two halves", parameters.shape())));
    }
    let mean = parameters.slice(s![.., ..files.channels, .., ..]).to_owned();
    let deviation = parameters.slice(s![.., files.channels.., .., ..]).mapv(|log| (0.5 * log.clamp(-30.0, 20.0)).exp());
    Ok((mean, Some(deviation)))
}

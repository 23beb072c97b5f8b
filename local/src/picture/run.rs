//! A pipeline from a prompt to a picture: text encoder, UNet step by step, VAE.

use millwork_nodes::pixels::{Filter, Fit, Format, Preparation, Scaling};
use millwork_worker::convert::{DType, Image, Tensor};
use millwork_worker::image::RgbImage;
use millwork_worker::{Context, Error, Result};
use ndarray::Array4;

use super::files::Files;
use super::guidance::Guidance;
use super::networks::{self, Decoder, Unet};
use super::noise::Noise;
use super::request::{Request, Settings};
use super::scheduler::{Scheduler, Span};
use super::tokens::{Prompt, Tokens};
use crate::LocalModel;

/// A pipeline on disk. Its networks are loaded when they are needed, into the worker's cache.
#[derive(Debug)]
pub struct Pipeline {
    files: Files,
}

impl Pipeline {
    /// Reads its files.
    ///
    /// # Errors
    /// Where they are broken, with the file.
    pub fn open(model: &LocalModel) -> Result<Self> {
        Ok(Self { files: Files::read(&model.path)? })
    }

    /// What holds for this pipeline of what is asked for.
    ///
    /// # Errors
    /// `invalid_input`, naming what is wrong.
    pub fn settle(&self, request: Request) -> Result<Settings> {
        request.settle(&self.files)
    }

    /// Makes the picture. What should be known of it is added to the settings' warnings.
    ///
    /// # Errors
    /// Where a network cannot be run, or the request was cancelled.
    pub fn draw(&self, settings: &mut Settings, noise: &mut dyn Noise, cx: &Context) -> Result<RgbImage> {
        let files = &self.files;
        let Settings { guidance_scale, num_inference_steps: steps, sampler, strength, .. } = *settings;
        let span = Span { steps, strength, keeps_steps: files.class.starts_with("LatentConsistency") };
        let scheduler = Scheduler::new(&files.scheduler, sampler, span)?;
        let total = scheduler.len();
        let guidance = self.guidance(settings, guidance_scale, cx)?;
        settings.warnings.iter().for_each(|warning| cx.progress_message(0.0, total as f64, warning));
        let start = self.start(settings, cx)?;
        cx.progress_message(0.0, total as f64, "loading");
        let unet = Unet::load(files, guidance, cx)?;
        // Here already, so that what is wrong with it is told before all the work and not after it.
        let decoder = Decoder::load(files, cx)?;

        let shape = [1, files.channels, settings.height / files.factor, settings.width / files.factor];
        let mut latents = match start {
            None => scheduler.begin(&noise.normal(shape)?),
            Some((mean, deviation)) => {
                fits(&mean, shape)?;
                let picture = match deviation {
                    Some(deviation) => mean + deviation * noise.normal(shape)?,
                    None => mean,
                };
                scheduler.begin_from(&(picture * files.scaling), &noise.normal(shape)?)
            }
        };
        for (step, time) in scheduler.times().enumerate() {
            cx.check()?;
            let said = unet.say(&scheduler.input(step, &latents), time, cx)?;
            latents = scheduler.step(step, &latents, &said, noise)?;
            cx.progress_message((step + 1) as f64, total as f64, "denoising");
        }
        cx.check()?;
        image(&decoder.picture(&latents)?)
    }

    fn guidance(&self, settings: &mut Settings, scale: f64, cx: &Context) -> Result<Guidance> {
        let files = &self.files;
        let tokens = Tokens::load(&files.tokenizer, files.most_tokens, cx)?;
        let mut prompts = Vec::new();
        let mut add = |name: &str, text: &str| {
            let prompt: Prompt = tokens.of(name, text)?;
            if prompt.cut > 0 {
                let text = format!("`{name}` is too long: its last {} tokens are not seen by the model", prompt.cut);
                settings.warnings.push(text);
            }
            prompts.push(prompt);
            Ok::<_, Error>(())
        };
        let compares = Guidance::compares(scale, files.guidance_numbers);
        if compares {
            add("negative_prompt", &settings.negative_prompt)?;
        }
        add("prompt", &settings.prompt)?;
        if !compares && !settings.negative_prompt.is_empty() {
            let why =
                if files.guidance_numbers.is_some() { "with this model" } else { "with `guidance_scale` up to 1" };
            settings.warnings.push(format!("`negative_prompt` does not count {why}"));
        }
        Ok(Guidance::new(networks::meanings(files, &prompts, cx)?, scale, files.guidance_numbers))
    }

    /// The latents of the picture that is begun from: their mean and their standard deviation.
    #[expect(clippy::type_complexity, reason = "latents, and noise where a picture was given")]
    fn start(&self, settings: &Settings, cx: &Context) -> Result<Option<(Array4<f32>, Option<Array4<f32>>)>> {
        let Some(picture) = &settings.image else { return Ok(None) };
        let tensor = prepared(picture, settings.width, settings.height)?;
        networks::latents(&self.files, &tensor, cx).map(Some)
    }
}

/// A picture of this size from −1 to 1, `[1, 3, height, width]`.
fn prepared(picture: &Image, width: usize, height: usize) -> Result<Tensor> {
    let side = |side: usize| u32::try_from(side).map_err(|_| Error::invalid(format!("{side} pixels are too many")));
    let format = Format {
        dtype: DType::F32,
        shape: vec![1, 3, height, width],
        planar: true,
        channels: 3,
        width: side(width)?,
        height: side(height)?,
    };
    let scaling = Scaling { scale: 1.0 / 127.5, mean: vec![1.0], std: vec![1.0], invert: false };
    let how = Preparation { fit: Fit::Stretch, filter: Filter::Lanczos, pad: 0.0, bgr: false, scaling };
    Ok(format.prepare(picture, &how)?.0)
}

fn fits(latents: &Array4<f32>, shape: [usize; 4]) -> Result<()> {
    if latents.shape() == shape {
        return Ok(());
    }
    Err(Error::failed(format!("the VAE's encoder gives latents {:?}, not {shape:?}", latents.shape())))
}

/// Planes from −1 to 1 as a picture.
fn image(planes: &Array4<f32>) -> Result<RgbImage> {
    let &[1, 3, height, width] = planes.shape() else {
        return Err(Error::failed(format!("the VAE's decoder gives {:?} and no picture", planes.shape())));
    };
    let byte = |x: f32| ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
    Ok(RgbImage::from_fn(width as u32, height as u32, |x, y| {
        [0, 1, 2].map(|channel| byte(planes[[0, channel, y as usize, x as usize]])).into()
    }))
}

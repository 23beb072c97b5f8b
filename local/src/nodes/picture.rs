//! `image.Generate` and `image.Transform`: pictures from a prompt. How they are made is `crate::picture`'s.

use millwork_worker::prelude::*;

use crate::picture::scheduler::Sampler;
use crate::picture::{self, Request};
use crate::{Kind, LocalModel};

/// The way from noise to a picture.
#[derive(Choice, Clone, Copy)]
pub(super) enum Scheduler {
    /// The one that the model comes with.
    Default,
    /// Euler's method.
    Euler,
    /// Euler's method with fresh noise at each step.
    EulerA,
    /// The classic of few surprises.
    Ddim,
    /// For models that were distilled for a few steps.
    Lcm,
}

impl Scheduler {
    fn sampler(self) -> Option<Sampler> {
        match self {
            Self::Default => None,
            Self::Euler => Some(Sampler::Euler),
            Self::EulerA => Some(Sampler::EulerAncestral),
            Self::Ddim => Some(Sampler::Ddim),
            Self::Lcm => Some(Sampler::Lcm),
        }
    }
}

#[derive(Outputs)]
pub(super) struct Made {
    /// The picture.
    image: Image,
    /// The seed that makes it again.
    seed: i64,
}

/// Makes a picture of what a text says, with a Stable Diffusion model on this machine.
#[derive(Node)]
#[node("image.Generate", idempotent)]
pub(super) struct Generate {
    /// The model.
    #[node(model = "image_model")]
    model: ModelRef,
    /// What the picture shows.
    prompt: String,
    /// What it does not show.
    #[node(default)]
    negative_prompt: String,
    /// Pixels in a row; left out, as the model was trained.
    #[node(min = 64, max = 2048)]
    width: Option<i64>,
    /// Rows of pixels; left out, as the model was trained.
    #[node(min = 64, max = 2048)]
    height: Option<i64>,
    /// How far the prompt is followed; left out, as models of its kind like it.
    #[node(min = 0, max = 100)]
    guidance_scale: Option<f64>,
    /// Steps from noise to picture: more take longer; left out, as models of its kind like it.
    #[node(min = 1, max = 1000)]
    num_inference_steps: Option<i64>,
    /// The way from noise to picture.
    #[node(default = Scheduler::Default)]
    scheduler: Scheduler,
    /// The same number makes the same picture; −1 makes another one each time.
    #[node(default = -1, min = -1)]
    seed: i64,
}

impl Run for Generate {
    type Output = Made;

    fn run(self, cx: &Context) -> Result<Made> {
        let request = Request {
            prompt: self.prompt,
            negative_prompt: self.negative_prompt,
            width: self.width,
            height: self.height,
            guidance_scale: self.guidance_scale,
            num_inference_steps: self.num_inference_steps,
            seed: Some(self.seed),
            sampler: self.scheduler.sampler(),
            image: None,
            strength: None,
        };
        draw(&self.model, request, cx)
    }
}

/// Makes a picture anew as a text says, with a Stable Diffusion model on this machine.
#[derive(Node)]
#[node("image.Transform", idempotent)]
pub(super) struct Transform {
    /// The model.
    #[node(model = "image_model")]
    model: ModelRef,
    /// The picture to begin from.
    image: Image,
    /// What the new picture shows.
    prompt: String,
    /// What it does not show.
    #[node(default)]
    negative_prompt: String,
    /// How much is made anew: little of the old picture is left at 1.
    #[node(default = 0.8, min = 0.0, max = 1.0)]
    strength: f64,
    /// Pixels in a row; left out, as the picture has.
    #[node(min = 64, max = 2048)]
    target_width: Option<i64>,
    /// Rows of pixels; left out, as the picture has.
    #[node(min = 64, max = 2048)]
    target_height: Option<i64>,
    /// How far the prompt is followed; left out, as models of its kind like it.
    #[node(min = 0, max = 100)]
    guidance_scale: Option<f64>,
    /// Steps of all the way from noise to picture, of which the part `strength` is gone; left out, as models of its kind like it.
    #[node(min = 1, max = 1000)]
    num_inference_steps: Option<i64>,
    /// The way from noise to picture.
    #[node(default = Scheduler::Default)]
    scheduler: Scheduler,
    /// The same number makes the same picture; −1 makes another one each time.
    #[node(default = -1, min = -1)]
    seed: i64,
}

impl Run for Transform {
    type Output = Made;

    fn run(self, cx: &Context) -> Result<Made> {
        let request = Request {
            prompt: self.prompt,
            negative_prompt: self.negative_prompt,
            width: self.target_width,
            height: self.target_height,
            guidance_scale: self.guidance_scale,
            num_inference_steps: self.num_inference_steps,
            seed: Some(self.seed),
            sampler: self.scheduler.sampler(),
            image: Some(self.image),
            strength: Some(self.strength),
        };
        draw(&self.model, request, cx)
    }
}

fn draw(model: &ModelRef, request: Request, cx: &Context) -> Result<Made> {
    let model: LocalModel = super::roots().locate(model.name(), Kind::Picture)?;
    let drawn = picture::draw(&model, request, cx)?;
    let seed = drawn.seed.and_then(|seed| i64::try_from(seed).ok()).unwrap_or(-1);
    Ok(Made { image: Image::from(drawn.image), seed })
}

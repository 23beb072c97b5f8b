//! What a picture is asked for with, and what of it holds for a model: defaults, bounds, and a name for each wrong value.

use std::fmt;

use millwork_worker::convert::Image;
use millwork_worker::protocol::Value;
use millwork_worker::{Call, Error, Result};

use super::files::Files;
use super::scheduler::Sampler;

/// The sides of a picture, in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 64..=2048;
/// How far a prompt can be followed.
const GUIDANCE: std::ops::RangeInclusive<f64> = 0.0..=100.0;
/// Steps of a run.
const STEPS: std::ops::RangeInclusive<usize> = 1..=1000;
/// Seeds that every host can write.
const MOST_SEED: i64 = 1 << 53;
/// Longer prompts are cut anyway.
const LONGEST_PROMPT: usize = 100_000;

/// What is asked for. Everything but the prompt can be left to the model.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What the picture shows.
    pub prompt: String,
    /// What it does not show.
    pub negative_prompt: String,
    /// Pixels in a row.
    pub width: Option<i64>,
    /// Rows of pixels.
    pub height: Option<i64>,
    /// How far the prompt is followed: 0 to 100, up to 1 not more than the model does by itself.
    pub guidance_scale: Option<f64>,
    /// Steps from noise to picture: 1 to 1000.
    pub num_inference_steps: Option<i64>,
    /// What the noise is made from: 0 to 2⁵³, or −1 for any.
    pub seed: Option<i64>,
    /// The way from noise to picture.
    pub sampler: Option<Sampler>,
    /// The picture that it is made from.
    pub image: Option<Image>,
    /// How much of that picture is made anew: above 0, up to 1.
    pub strength: Option<f64>,
}

/// What holds for a model.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) prompt: String,
    pub(super) negative_prompt: String,
    /// Pixels in a row.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// How far the prompt is followed.
    pub guidance_scale: f64,
    /// Steps that were asked for; of a picture that is made from another one only a part is done.
    pub num_inference_steps: usize,
    /// The way from noise to picture.
    pub sampler: Sampler,
    pub(super) image: Option<Image>,
    /// How much of the picture is made anew; 1 where there is none.
    pub strength: f64,
    /// What somebody who wonders at the picture should know.
    pub warnings: Vec<String>,
}

impl Request {
    /// Reads the parameters of `text_to_image` and, where `from_image`, of `image_to_image`.
    ///
    /// # Errors
    /// `invalid_input`, naming the parameter.
    pub fn read(call: &Call<'_>, from_image: bool) -> Result<Self> {
        let image = match call.data.get("image").filter(|image| from_image && !image.is_nil()) {
            Some(image) => {
                let bytes = image.as_bytes().ok_or_else(|| Error::invalid("`image` must be the bytes of a picture"))?;
                Some(Image::decode(bytes).map_err(|error| error.context("`image`"))?)
            }
            None if from_image => return Err(Error::invalid("`image` is missing: the bytes of a picture")),
            None => None,
        };
        let side = |target: &str, plain: &str| {
            let target = whole(call, target)?;
            Ok::<_, Error>(if target.is_some() { target } else { whole(call, plain)? })
        };
        let sampler = match text(call, "scheduler")?.filter(|name| !name.is_empty()) {
            None => None,
            Some(name) => Some(Sampler::named(&name).ok_or_else(|| {
                let known = Sampler::ALL.map(Sampler::name).join(", ");
                Error::invalid(format!("`scheduler` {name:?} is not known: {known} are"))
            })?),
        };
        Ok(Self {
            prompt: text(call, "prompt")?
                .ok_or_else(|| Error::invalid("`prompt` is missing: what the picture shows"))?,
            negative_prompt: text(call, "negative_prompt")?.unwrap_or_default(),
            width: side("target_width", "width")?,
            height: side("target_height", "height")?,
            guidance_scale: number(call, "guidance_scale")?,
            num_inference_steps: whole(call, "num_inference_steps")?,
            seed: whole(call, "seed")?,
            sampler,
            image,
            strength: if from_image { number(call, "strength")? } else { None },
        })
    }

    /// The seed; another one each time where none is asked for.
    ///
    /// # Errors
    /// `invalid_input` for a number that is none.
    pub fn seed(&self) -> Result<u64> {
        match self.seed {
            None | Some(-1) => Ok(u64::from(rand::random::<u32>())),
            Some(seed) => u64::try_from(seed)
                .ok()
                .filter(|_| seed <= MOST_SEED)
                .ok_or_else(|| Error::invalid(format!("`seed` is {seed}: it must be 0 to {MOST_SEED}, or -1 for any"))),
        }
    }

    /// What holds for a model.
    ///
    /// # Errors
    /// `invalid_input`, naming what is wrong.
    pub(super) fn settle(self, files: &Files) -> Result<Settings> {
        for (name, text) in [("prompt", &self.prompt), ("negative_prompt", &self.negative_prompt)] {
            if text.len() > LONGEST_PROMPT {
                let text = format!("`{name}` has {} bytes: at most {LONGEST_PROMPT} are read", text.len());
                return Err(Error::invalid(text));
            }
        }
        let mut warnings = Vec::new();
        let sampler = self.sampler.unwrap_or_else(|| {
            let (sampler, is_its_own) = files.scheduler.sampler();
            if !is_its_own {
                let class = files.scheduler.class_name();
                warnings.push(format!("the model's own scheduler {class} is not here: {} is used", sampler.name()));
            }
            sampler
        });
        let (width, height) = self.size(files)?;
        let (guidance, steps) = match (sampler, files.guidance_numbers) {
            (Sampler::Lcm, Some(_)) => (8.5, 4),
            (Sampler::Lcm, None) => (1.0, 4),
            _ => (7.5, 50),
        };
        let guidance_scale = self.guidance_scale.unwrap_or(guidance);
        if !GUIDANCE.contains(&guidance_scale) {
            return Err(Error::invalid(format!("`guidance_scale` is {guidance_scale}: it must be 0 to 100")));
        }
        let num_inference_steps = match self.num_inference_steps {
            None => steps,
            Some(steps) => usize::try_from(steps).ok().filter(|steps| STEPS.contains(steps)).ok_or_else(|| {
                Error::invalid(format!("`num_inference_steps` is {steps}: it must be 1 to {}", STEPS.end()))
            })?,
        };
        let strength = if self.image.is_some() { self.strength.unwrap_or(0.8) } else { 1.0 };
        if !(strength > 0.0 && strength <= 1.0) {
            return Err(Error::invalid(format!("`strength` is {strength}: it must be above 0, and 1 at most")));
        }
        Ok(Settings {
            prompt: self.prompt,
            negative_prompt: self.negative_prompt,
            width,
            height,
            guidance_scale,
            num_inference_steps,
            sampler,
            image: self.image,
            strength,
            warnings,
        })
    }

    /// Width and height. A picture's own are cut to what the model can make; given ones must be right.
    fn size(&self, files: &Files) -> Result<(usize, usize)> {
        let default = |own: fn(&Image) -> u32| match &self.image {
            Some(image) => own(image) as usize / files.factor * files.factor,
            None => files.side,
        };
        let side = |name: &str, given: Option<i64>, default: usize| {
            let wanted = given.unwrap_or(i64::try_from(default).unwrap_or(i64::MAX));
            let side = usize::try_from(wanted).ok().filter(|side| SIDES.contains(side) && side % files.factor == 0);
            side.ok_or_else(|| {
                let whose = if given.is_some() { "" } else { " (its own)" };
                Error::invalid(format!(
                    "`{name}` is {wanted}{whose}: it must be a multiple of {} from {} to {}",
                    files.factor,
                    SIDES.start(),
                    SIDES.end()
                ))
            })
        };
        let names = if self.image.is_some() { ["target_width", "target_height"] } else { ["width", "height"] };
        let width = side(names[0], self.width, default(|image| image.width()))?;
        Ok((width, side(names[1], self.height, default(|image| image.height()))?))
    }
}

fn text(call: &Call<'_>, name: &str) -> Result<Option<String>> {
    match call.param(name) {
        None => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid(format!("`{name}` must be a text"))),
    }
}

fn number(call: &Call<'_>, name: &str) -> Result<Option<f64>> {
    let Some(value) = call.param(name) else { return Ok(None) };
    value.as_f64().map(Some).ok_or_else(|| Error::invalid(format!("`{name}` must be a number")))
}

fn whole(call: &Call<'_>, name: &str) -> Result<Option<i64>> {
    let Some(value) = call.param(name) else { return Ok(None) };
    value.as_i64().map(Some).ok_or_else(|| Error::invalid(format!("`{name}` must be a whole number")))
}

/// As the files of other programs have it: the prompts, then `Steps: 20, …`.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.prompt)?;
        if !self.negative_prompt.is_empty() {
            writeln!(f, "Negative prompt: {}", self.negative_prompt)?;
        }
        let (steps, sampler, guidance) = (self.num_inference_steps, self.sampler.name(), self.guidance_scale);
        write!(f, "Steps: {steps}, Sampler: {sampler}, CFG scale: {guidance}, Size: {}x{}", self.width, self.height)?;
        if self.image.is_some() {
            write!(f, ", Denoising strength: {}", self.strength)?;
        }
        Ok(())
    }
}

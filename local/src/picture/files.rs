//! What the files of a pipeline say: where its networks are and what stands around them. The layout is that of diffusers:
//! `model_index.json` and a folder for each component, with its network as ONNX in it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::scheduler::Config as SchedulerConfig;
use super::tokens;
use crate::{Problem, onnx_file, read};

/// Pipelines of one text encoder of CLIP's, a UNet and a VAE, as diffusers calls them. Exporters put their name in front.
const PIPELINES: [&str; 4] = [
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "LatentConsistencyModelPipeline",
    "LatentConsistencyModelImg2ImgPipeline",
];
const EXPORTERS: [&str; 2] = ["ORT", "Onnx"];

/// How often the VAE halves a picture, where it does not say, and at most.
const HALVINGS: usize = 3;
const MOST_HALVINGS: usize = 6;
/// Channels of the latents, where the VAE does not say, and at most.
const CHANNELS: usize = 4;
const MOST_CHANNELS: usize = 64;
/// What latents are multiplied with to have the variance 1, where the VAE does not say.
const SCALING: f32 = 0.18215;
/// The side of the pictures of a UNet that does not say for which it was trained, in numbers of the latents.
const SIDE: usize = 64;

/// Everything but weights and words.
#[derive(Debug)]
pub(super) struct Files {
    /// The pipeline's class, the exporter's name taken off.
    pub(super) class: String,
    pub(super) tokenizer: PathBuf,
    pub(super) text_encoder: PathBuf,
    pub(super) unet: PathBuf,
    pub(super) decoder: PathBuf,
    /// Only pictures that are made from pictures need it.
    pub(super) encoder: Result<PathBuf, Problem>,
    pub(super) scheduler: SchedulerConfig,
    /// Tokens that the text encoder reads, where it says.
    pub(super) most_tokens: Option<usize>,
    /// Channels of the latents.
    pub(super) channels: usize,
    /// Pixels to a number of the latents, along each side.
    pub(super) factor: usize,
    pub(super) scaling: f32,
    /// Pixels of the sides that the model was trained with.
    pub(super) side: usize,
    /// Numbers by which the UNet is told how far to follow the prompt, where it was distilled to be told.
    pub(super) guidance_numbers: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Index {
    #[serde(rename = "_class_name")]
    class_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Unet {
    in_channels: Option<usize>,
    sample_size: Option<Value>,
    time_cond_proj_dim: Option<usize>,
    addition_embed_type: Option<String>,
    class_embed_type: Option<String>,
    encoder_hid_dim_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Vae {
    latent_channels: Option<usize>,
    scaling_factor: Option<f32>,
    block_out_channels: Option<Vec<Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TextEncoder {
    max_position_embeddings: Option<usize>,
}

/// The class of the pipeline in a folder.
pub(super) fn class(folder: &Path) -> Result<String, Problem> {
    let path = folder.join("model_index.json");
    let Index { class_name } = read::json(&path)?;
    let class = EXPORTERS.iter().find_map(|name| class_name.strip_prefix(name)).unwrap_or(&class_name);
    if PIPELINES.contains(&class) {
        return Ok(class.to_owned());
    }
    let reason = format!("{class_name} is none of the pipelines that run here");
    Err(Problem::unsupported(path, reason).hint(format!("what runs: {}", PIPELINES.join(", "))))
}

impl Files {
    pub(super) fn read(folder: &Path) -> Result<Self, Problem> {
        let class = class(folder)?;
        let network = |component: &str| onnx_file::find(&folder.join(component), &["model"]);
        let (unet, vae): (Unet, Vae) = (config(folder, "unet")?, config(folder, "vae_decoder")?);
        let text_encoder: TextEncoder = config(folder, "text_encoder")?;
        let channels = vae.latent_channels.unwrap_or(CHANNELS);
        unet.check(folder, channels)?;
        let tokenizer = folder.join("tokenizer");
        tokens::check(&tokenizer)?;
        let halvings = vae.block_out_channels.map_or(HALVINGS, |blocks| blocks.len().saturating_sub(1));
        let scaling = vae.scaling_factor.unwrap_or(SCALING);
        let path = || folder.join("vae_decoder/config.json");
        if halvings > MOST_HALVINGS {
            return Err(Problem::new(path(), format!("halves a picture {halvings} times, which no VAE does")));
        }
        if !(1..=MOST_CHANNELS).contains(&channels) {
            return Err(Problem::new(path(), format!("`latent_channels` is {channels}: 1 to {MOST_CHANNELS} can be")));
        }
        if !(scaling.is_finite() && scaling > 0.0) {
            return Err(Problem::new(path(), format!("`scaling_factor` is {scaling}: it must be above 0")));
        }
        let scheduler = SchedulerConfig::read(&folder.join("scheduler/scheduler_config.json"))?;
        let is_stable_diffusion = class.starts_with("StableDiffusion");
        let factor = 1 << halvings;
        Ok(Self {
            class,
            tokenizer,
            text_encoder: network("text_encoder")?,
            unet: network("unet")?,
            decoder: network("vae_decoder")?,
            encoder: network("vae_encoder"),
            scheduler: if is_stable_diffusion { scheduler.of_stable_diffusion() } else { scheduler },
            most_tokens: text_encoder.max_position_embeddings.filter(|most| *most > 2),
            channels,
            factor,
            scaling,
            side: unet.side() * factor,
            guidance_numbers: unet.time_cond_proj_dim,
        })
    }
}

impl Unet {
    /// Tells a UNet that wants more than latents, a time and a prompt.
    fn check(&self, folder: &Path, channels: usize) -> Result<(), Problem> {
        let unsupported = |what: String| Err(Problem::unsupported(folder.join("unet/config.json"), what));
        if let Some(inputs) = self.in_channels.filter(|inputs| *inputs != channels) {
            return unsupported(format!("the UNet takes {inputs} channels where the VAE has {channels}: no plain one"));
        }
        let more = [
            ("addition_embed_type", &self.addition_embed_type),
            ("class_embed_type", &self.class_embed_type),
            ("encoder_hid_dim_type", &self.encoder_hid_dim_type),
        ];
        match more.into_iter().find_map(|(key, value)| Some((key, value.as_ref()?))) {
            Some((key, value)) => unsupported(format!("`{key}` {value:?} is not supported")),
            None if self.time_cond_proj_dim.is_some_and(|numbers| !(2..=65_536).contains(&numbers)) => {
                unsupported("`time_cond_proj_dim` must be 2 to 65536".to_owned())
            }
            None => Ok(()),
        }
    }

    /// The side that it was trained with; the shorter one where there are two.
    fn side(&self) -> usize {
        let number = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok());
        let side = match &self.sample_size {
            Some(Value::Array(sides)) => sides.iter().filter_map(number).min(),
            Some(value) => number(value),
            None => None,
        };
        side.filter(|side| (1..=4096).contains(side)).unwrap_or(SIDE)
    }
}

/// The config of a component; exports from long ago have none.
fn config<T: serde::de::DeserializeOwned + Default>(folder: &Path, component: &str) -> Result<T, Problem> {
    Ok(read::json_if_there(&folder.join(component).join("config.json"))?.unwrap_or_default())
}

//! `scheduler_config.json`: how noise was added when the model was trained, and which times a run visits. What a run makes of
//! it is in `mod.rs`.

use std::f64::consts::FRAC_PI_2;
use std::path::Path;

use millwork_worker::{Error, Result};
use serde::Deserialize;

use super::Sampler;
use crate::{Problem, read};

/// The longest training schedule that is read.
const MOST_TIMES: usize = 100_000;

/// What the file says. What it leaves open each sampler sees differently, so there are no defaults here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    #[serde(rename = "_class_name")]
    class_name: Option<String>,
    num_train_timesteps: Option<usize>,
    beta_start: Option<f64>,
    beta_end: Option<f64>,
    beta_schedule: Option<BetaSchedule>,
    trained_betas: Option<Vec<f32>>,
    rescale_betas_zero_snr: Option<bool>,
    timestep_spacing: Option<Spacing>,
    steps_offset: Option<usize>,
    prediction_type: Option<Prediction>,
    set_alpha_to_one: Option<bool>,
    clip_sample: Option<bool>,
    clip_sample_range: Option<f32>,
    thresholding: Option<bool>,
    use_karras_sigmas: Option<bool>,
    use_exponential_sigmas: Option<bool>,
    use_beta_sigmas: Option<bool>,
    sigma_min: Option<f64>,
    sigma_max: Option<f64>,
    final_sigmas_type: Option<FinalSigma>,
    interpolation_type: Option<String>,
    timestep_type: Option<String>,
    original_inference_steps: Option<usize>,
    timestep_scaling: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BetaSchedule {
    Linear,
    ScaledLinear,
    #[serde(rename = "squaredcos_cap_v2")]
    Cosine,
}

/// Lin et al. 2024, "Common diffusion noise schedules and sample steps are flawed", table 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Spacing {
    Linspace,
    Leading,
    Trailing,
}

/// What the network's output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "as the files call it")]
pub(super) enum Prediction {
    /// The noise ε.
    Epsilon,
    /// v = α·ε − σ·x₀ (Salimans and Ho 2022).
    VPrediction,
    /// The picture x₀.
    #[serde(alias = "original_sample")]
    Sample,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FinalSigma {
    Zero,
    SigmaMin,
}

impl Config {
    /// Reads `scheduler_config.json`.
    ///
    /// # Errors
    /// Where the file is missing or says something that cannot be, or that is not computed here.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let config: Self = read::json(path)?;
        config.check().map_err(|reason| Problem::new(path, reason))?;
        let is_on = |flag: Option<bool>| flag == Some(true);
        let is = |word: &Option<String>, known: &str| word.as_deref().is_none_or(|word| word == known);
        let unsupported = [
            (is_on(config.thresholding), "thresholding"),
            (is_on(config.use_exponential_sigmas), "use_exponential_sigmas"),
            (is_on(config.use_beta_sigmas), "use_beta_sigmas"),
            (!is(&config.interpolation_type, "linear"), "interpolation_type"),
            (!is(&config.timestep_type, "discrete"), "timestep_type"),
        ];
        match unsupported.iter().find(|(there, _)| *there) {
            Some((_, key)) => Err(Problem::unsupported(path, format!("what it says of `{key}` is not supported"))),
            None => Ok(config),
        }
    }

    fn check(&self) -> Result<(), String> {
        let times = self.times();
        if !(2..=MOST_TIMES).contains(&times) {
            return Err(format!("`num_train_timesteps` is {times}: 2 to {MOST_TIMES} are understood"));
        }
        if self.steps_offset() >= times {
            return Err(format!("`steps_offset` is {}: it must be below {times}", self.steps_offset()));
        }
        let betas = [self.beta_start, self.beta_end];
        let trained = self.trained_betas.iter().flatten().map(|beta| f64::from(*beta));
        if let Some(beta) = betas.into_iter().flatten().chain(trained).find(|beta| !(0.0..1.0).contains(beta)) {
            return Err(format!("a beta is {beta}: they lie between 0 and 1"));
        }
        let sigmas = [("sigma_min", self.sigma_min), ("sigma_max", self.sigma_max)];
        if let Some((key, Some(sigma))) =
            sigmas.into_iter().find(|(_, sigma)| sigma.is_some_and(|x| x.is_nan() || x <= 0.0))
        {
            return Err(format!("`{key}` is {sigma}: it must be above 0"));
        }
        match self.original_inference_steps {
            Some(steps) if !(1..=times).contains(&steps) => {
                Err(format!("`original_inference_steps` is {steps}: 1 to {times} are possible"))
            }
            _ => Ok(()),
        }
    }

    /// What the pipelines of Stable Diffusion make of it, whatever the file says: their latents have no bounds to be clipped to, and
    /// their times begin at 1.
    #[must_use]
    pub fn of_stable_diffusion(self) -> Self {
        Self { clip_sample: Some(false), steps_offset: Some(1), ..self }
    }

    /// The sampler that the file asks for, or the nearest one that is here, and whether it is the former.
    #[must_use]
    pub fn sampler(&self) -> (Sampler, bool) {
        let class = self.class_name.as_deref().unwrap_or("DDIMScheduler");
        match Sampler::named(class) {
            Some(sampler) => (sampler, true),
            // Its first-order step is that of DDIM.
            None if class == "PNDMScheduler" => (Sampler::Ddim, false),
            None => (Sampler::Euler, false),
        }
    }

    /// The name of its class.
    #[must_use]
    pub fn class_name(&self) -> &str {
        self.class_name.as_deref().unwrap_or_default()
    }

    /// Times of the training schedule.
    pub(super) fn times(&self) -> usize {
        self.trained_betas.as_ref().map_or(self.num_train_timesteps.unwrap_or(1000), Vec::len)
    }

    pub(super) fn spacing(&self, sampler: Sampler) -> Spacing {
        self.timestep_spacing.unwrap_or(match sampler {
            Sampler::Euler | Sampler::EulerAncestral => Spacing::Linspace,
            Sampler::Ddim | Sampler::Lcm => Spacing::Leading,
        })
    }

    pub(super) fn steps_offset(&self) -> usize {
        self.steps_offset.unwrap_or(0)
    }

    pub(super) fn prediction(&self) -> Prediction {
        self.prediction_type.unwrap_or(Prediction::Epsilon)
    }

    /// The last level of DDIM and LCM: no noise at all, or that of the first time.
    pub(super) fn ends_clean(&self) -> bool {
        self.set_alpha_to_one.unwrap_or(true)
    }

    /// The last level of Euler's method.
    pub(super) fn final_sigma(&self) -> FinalSigma {
        self.final_sigmas_type.unwrap_or(FinalSigma::Zero)
    }

    /// Where x₀ is clipped to.
    pub(super) fn clip(&self, sampler: Sampler) -> Option<f32> {
        let is_clipped = match sampler {
            Sampler::Ddim => self.clip_sample.unwrap_or(true),
            Sampler::Lcm => self.clip_sample.unwrap_or(false),
            Sampler::Euler | Sampler::EulerAncestral => false,
        };
        is_clipped.then(|| self.clip_sample_range.unwrap_or(1.0).abs())
    }

    pub(super) fn is_karras(&self, sampler: Sampler) -> bool {
        sampler == Sampler::Euler && self.use_karras_sigmas == Some(true)
    }

    /// The ends of Karras' schedule, where the file overrules them.
    pub(super) fn sigma_range(&self) -> (Option<f64>, Option<f64>) {
        (self.sigma_min, self.sigma_max)
    }

    /// Steps of the schedule that LCM was distilled with.
    pub(super) fn original_steps(&self) -> usize {
        self.original_inference_steps.unwrap_or(50).clamp(1, self.times())
    }

    pub(super) fn timestep_scaling(&self) -> f64 {
        self.timestep_scaling.unwrap_or(10.0)
    }

    /// ᾱ of each time of training: what is left of the picture's power (Ho et al. 2020, eq. 4).
    ///
    /// # Errors
    /// Where the betas make no schedule.
    pub(super) fn alpha_bars(&self, sampler: Sampler) -> Result<Vec<f64>> {
        // In f32 as training had them, so that the last digits agree with the published weights.
        let mut product = 1.0;
        let mut bars: Vec<f64> = self
            .betas(sampler)
            .into_iter()
            .map(|beta| {
                product *= f64::from(1.0 - beta);
                f64::from(product as f32)
            })
            .collect();
        if self.rescale_betas_zero_snr == Some(true) {
            rescale(&mut bars);
            if let (Some(last), Sampler::Euler | Sampler::EulerAncestral) = (bars.last_mut(), sampler) {
                // No σ belongs to a picture without any signal: the least number of half precision stands for it.
                *last = 2f64.powi(-24);
            }
        }
        let is_level = |bar: &f64| match sampler {
            Sampler::Euler | Sampler::EulerAncestral => *bar > 0.0 && *bar <= 1.0,
            Sampler::Ddim | Sampler::Lcm => (0.0..=1.0).contains(bar),
        };
        if bars.len() < 2 || !bars.iter().all(is_level) {
            return Err(Error::unavailable("the betas of scheduler_config.json make no schedule").permanent());
        }
        Ok(bars)
    }

    fn betas(&self, sampler: Sampler) -> Vec<f32> {
        if let Some(betas) = &self.trained_betas {
            return betas.clone();
        }
        let count = self.times();
        let (start, end, schedule) = match sampler {
            Sampler::Lcm => (0.00085, 0.012, BetaSchedule::ScaledLinear),
            _ => (0.0001, 0.02, BetaSchedule::Linear),
        };
        let (start, end) = (self.beta_start.unwrap_or(start), self.beta_end.unwrap_or(end));
        match self.beta_schedule.unwrap_or(schedule) {
            BetaSchedule::Linear => line(start, end, count).collect(),
            BetaSchedule::ScaledLinear => line(start.sqrt(), end.sqrt(), count).map(|root| root * root).collect(),
            BetaSchedule::Cosine => {
                // Nichol and Dhariwal 2021, eq. 17.
                let bar = |i: usize| ((i as f64 / count as f64 + 0.008) / 1.008 * FRAC_PI_2).cos().powi(2);
                (0..count).map(|i| (1.0 - bar(i + 1) / bar(i)).min(0.999) as f32).collect()
            }
        }
    }
}

/// `count` numbers from `start` to `end`, both among them.
fn line(start: f64, end: f64, count: usize) -> impl Iterator<Item = f32> {
    let step = (end - start) / (count.max(2) - 1) as f64;
    (0..count).map(move |i| (start + step * i as f64) as f32)
}

/// The last time has no signal any more, the first keeps its (Lin et al. 2024, algorithm 1).
fn rescale(bars: &mut [f64]) {
    let (Some(first), Some(last)) = (bars.first().map(|bar| bar.sqrt()), bars.last().map(|bar| bar.sqrt())) else {
        return;
    };
    for bar in bars {
        *bar = ((bar.sqrt() - last) * first / (first - last)).powi(2);
    }
}

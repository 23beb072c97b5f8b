//! The way from noise to a picture: which times a run visits and how a prediction of the network brings it on. Nothing of the
//! network itself is here.
//!
//! All samplers go between [`Level`]s, points `x = signal · x₀ + noise · ε`. DDIM (Song et al. 2021) and LCM (Luo et al. 2023)
//! keep `signal² + noise² = 1`; Euler's method (Karras et al. 2022) keeps `signal = 1` and calls the noise σ. A step finds x₀ and
//! ε in the network's output and puts them together again at the next level.

mod config;
mod times;

use millwork_worker::{Error, Result};
use ndarray::{Array4, Zip};

pub use config::Config;

use super::noise::Noise;
use config::Prediction;

/// How a run gets from one level to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampler {
    /// Euler's method on the probability flow (Karras et al. 2022, algorithm 2 without churn).
    Euler,
    /// The same, with fresh noise at each step.
    EulerAncestral,
    /// Song et al. 2021, eq. 12 with η = 0.
    Ddim,
    /// Latent consistency (Luo et al. 2023): few steps, for models that were distilled for it.
    Lcm,
}

impl Sampler {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Euler, Self::EulerAncestral, Self::Ddim, Self::Lcm];

    /// The sampler of a short name or of a class of diffusers': `euler_a`, `EulerAncestralDiscreteScheduler`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        match name.trim_end_matches("scheduler").trim_end_matches("discrete") {
            "euler" => Some(Self::Euler),
            "eulera" | "eulerancestral" => Some(Self::EulerAncestral),
            "ddim" => Some(Self::Ddim),
            "lcm" => Some(Self::Lcm),
            _ => None,
        }
    }

    /// Its short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Euler => "euler",
            Self::EulerAncestral => "euler_a",
            Self::Ddim => "ddim",
            Self::Lcm => "lcm",
        }
    }
}

/// How much of the picture and how much noise there is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Level {
    signal: f64,
    noise: f64,
}

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Steps of all the way from noise to picture.
    pub steps: usize,
    /// The part of it that is gone, at its end: 1 from nothing, less from a picture that is there already.
    pub strength: f64,
    /// Whether an LCM goes a part of the way in as many steps as all of it, as pipelines of its own do. In others, `strength`
    /// leaves steps out, as with all samplers.
    pub keeps_steps: bool,
}

/// One step: the time that the network is told, and where it leads from and to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    time: f64,
    from: Level,
    to: Level,
}

/// A run's schedule.
#[derive(Debug, Clone)]
pub struct Scheduler {
    sampler: Sampler,
    prediction: Prediction,
    clip: Option<f32>,
    /// Of LCM: by what times are multiplied before they weigh what the network says.
    timestep_scaling: f64,
    /// What noise is multiplied with where a run begins with nothing else.
    start: f64,
    steps: Vec<Step>,
}

impl Scheduler {
    /// The schedule of a run.
    ///
    /// # Errors
    /// Where a model was not trained for so many steps, or none is left.
    pub fn new(config: &Config, sampler: Sampler, span: Span) -> Result<Self> {
        let prediction = config.prediction();
        let (steps, start) = times::steps(config, sampler, span)?;
        if prediction == Prediction::Epsilon && steps.iter().any(|step| step.from.signal == 0.0) {
            let text = "scheduler_config.json: `rescale_betas_zero_snr` leaves nothing to predict `epsilon` from";
            return Err(Error::unavailable(text).permanent());
        }
        let (clip, timestep_scaling) = (config.clip(sampler), config.timestep_scaling());
        Ok(Self { sampler, prediction, clip, timestep_scaling, start, steps })
    }

    /// Steps of the run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are none; [`Scheduler::new`] makes no such run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The times that the network is told, step by step.
    pub fn times(&self) -> impl Iterator<Item = f64> + '_ {
        self.steps.iter().map(|step| step.time)
    }

    /// Where a run from nothing begins.
    #[must_use]
    pub fn begin(&self, noise: &Array4<f32>) -> Array4<f32> {
        noise * self.start as f32
    }

    /// Where a run from a picture begins.
    #[must_use]
    pub fn begin_from(&self, picture: &Array4<f32>, noise: &Array4<f32>) -> Array4<f32> {
        let Level { signal, noise: sigma } = self.steps.first().map_or(Level::CLEAN, |step| step.from);
        picture * signal as f32 + noise * sigma as f32
    }

    /// What the network is given at a step: `latents` with the variance that it was trained with.
    #[must_use]
    pub fn input(&self, step: usize, latents: &Array4<f32>) -> Array4<f32> {
        latents / self.steps[step].from.length() as f32
    }

    /// Brings `latents` on by one step, with what the network said of them.
    ///
    /// # Errors
    /// Those of `noise`.
    pub fn step(
        &self,
        step: usize,
        latents: &Array4<f32>,
        said: &Array4<f32>,
        noise: &mut dyn Noise,
    ) -> Result<Array4<f32>> {
        let Step { time, from, to } = self.steps[step];
        let (picture, epsilon) = self.readings(from);
        // The new latents: x₀ · signal + ε · kept + x · old, and fresh noise.
        let (mut signal, mut kept, mut old, mut fresh) = (to.signal, to.noise, 0.0, 0.0);
        match self.sampler {
            Sampler::Euler | Sampler::Ddim => {}
            Sampler::EulerAncestral => {
                let ratio = (to.noise / from.noise).powi(2);
                fresh = to.noise * (1.0 - ratio).max(0.0).sqrt();
                kept = to.noise * ratio.sqrt();
            }
            Sampler::Lcm => {
                let (c_skip, c_out) = self.boundary(time);
                old = to.signal * c_skip;
                signal = to.signal * c_out;
                (kept, fresh) = (0.0, to.noise);
            }
        }
        let clip = self.clip.unwrap_or(f32::INFINITY);
        let [signal, kept, old] = [signal, kept, old].map(|x| x as f32);
        let mut next = Zip::from(latents).and(said).map_collect(|x, m| {
            let x0 = (picture.of_latents * x + picture.of_said * m).clamp(-clip, clip);
            let e = epsilon.of_latents * x + epsilon.of_said * m;
            signal * x0 + kept * e + old * x
        });
        if fresh > 0.0 {
            let [n, c, h, w] = [0, 1, 2, 3].map(|axis| latents.shape()[axis]);
            next.scaled_add(fresh as f32, &noise.normal([n, c, h, w])?);
        }
        Ok(next)
    }

    /// How x₀ and ε are read from the latents and what the network says of them.
    fn readings(&self, level: Level) -> (Reading, Reading) {
        let Level { signal, noise } = level;
        let reading = |latents: f64, said: f64| Reading { of_latents: latents as f32, of_said: said as f32 };
        match self.prediction {
            Prediction::Epsilon => (reading(1.0 / signal, -noise / signal), reading(0.0, 1.0)),
            Prediction::Sample => (reading(0.0, 1.0), reading(1.0 / noise, -signal / noise)),
            Prediction::VPrediction => {
                // v belongs to latents of the variance 1.
                let length = level.length();
                let (a, s) = (signal / length, noise / length);
                (reading(a / length, -s), reading(s / length, a))
            }
        }
    }

    /// c_skip and c_out of LCM, which make the network the identity at the time 0 (Luo et al. 2023, with σ_data = ½).
    fn boundary(&self, time: f64) -> (f64, f64) {
        const DATA: f64 = 0.5;
        let scaled = time * self.timestep_scaling;
        let square = scaled * scaled + DATA * DATA;
        (DATA * DATA / square, scaled / square.sqrt())
    }
}

/// `of_latents · x + of_said · m`.
#[derive(Debug, Clone, Copy)]
struct Reading {
    of_latents: f32,
    of_said: f32,
}

impl Level {
    const CLEAN: Self = Self { signal: 1.0, noise: 0.0 };

    /// Of the variance-preserving kind, by ᾱ.
    fn preserving(alpha_bar: f64) -> Self {
        Self { signal: alpha_bar.sqrt(), noise: (1.0 - alpha_bar).sqrt() }
    }

    /// Of the variance-exploding kind.
    fn exploding(sigma: f64) -> Self {
        Self { signal: 1.0, noise: sigma }
    }

    /// The standard deviation of latents at this level.
    fn length(self) -> f64 {
        self.signal.hypot(self.noise)
    }
}

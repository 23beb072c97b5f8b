//! How far a prompt is followed: by weighing what the UNet says with it against what it says without (Ho and Salimans 2022), or
//! by telling a UNet that was distilled to be told (Meng et al. 2023).

use millwork_worker::convert::Tensor;
use millwork_worker::{Error, Result};
use ndarray::Array4;

use super::networks::Meaning;

/// What the UNet is asked, and what becomes of its answers.
#[derive(Debug)]
pub(super) struct Guidance {
    /// The prompt, or the negative prompt and the prompt.
    meanings: Vec<Meaning>,
    scale: f32,
    /// The scale as numbers for the UNet.
    numbers: Vec<f32>,
}

impl Guidance {
    /// Whether the negative prompt counts.
    pub(super) fn compares(scale: f64, numbers: Option<usize>) -> bool {
        scale > 1.0 && numbers.is_none()
    }

    /// `numbers` is how many the UNet is told the scale by, where it is.
    pub(super) fn new(meanings: Vec<Meaning>, scale: f64, numbers: Option<usize>) -> Self {
        Self { meanings, scale: scale as f32, numbers: numbers.map_or(Vec::new(), |count| waves(scale - 1.0, count)) }
    }

    pub(super) fn meanings(&self) -> &[Meaning] {
        &self.meanings
    }

    /// The scale as the UNet is told it, `[batch, numbers]`.
    pub(super) fn told(&self, batch: usize) -> Result<Tensor> {
        if self.numbers.is_empty() {
            let text = "the UNet wants `timestep_cond`, and its config.json says no `time_cond_proj_dim`";
            return Err(Error::unavailable(text).permanent());
        }
        Ok(Tensor::from_slice(&[batch, self.numbers.len()], &self.numbers.repeat(batch))?)
    }

    /// What the UNet says for each of the meanings, as one.
    pub(super) fn weigh(&self, said: Vec<Array4<f32>>) -> Result<Array4<f32>> {
        let mut said = said.into_iter();
        match (said.next(), said.next()) {
            (Some(without), Some(with)) => {
                let scale = self.scale;
                Ok(ndarray::Zip::from(&without).and(&with).map_collect(|a, b| a + scale * (b - a)))
            }
            (Some(only), None) => Ok(only),
            (None, _) => Err(Error::failed("the UNet was asked nothing")),
        }
    }
}

/// A number as sines and cosines of it, from fast to slow (Vaswani et al. 2017, with a thousandth as the unit).
fn waves(number: f64, count: usize) -> Vec<f32> {
    let half = count / 2;
    let slowing = 10_000f64.ln() / (half.max(2) - 1) as f64;
    let angles: Vec<f64> = (0..half).map(|i| number * 1000.0 * (-slowing * i as f64).exp()).collect();
    let mut waves: Vec<f32> = angles.iter().map(|angle| angle.sin() as f32).collect();
    waves.extend(angles.iter().map(|angle| angle.cos() as f32));
    waves.resize(count, 0.0);
    waves
}

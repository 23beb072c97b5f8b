//! One vector for a whole text or picture.

use millwork_package::manifest::{Output, Pooling};
use millwork_worker::{Error, Result};
use ndarray::{Array1, ArrayView2, Axis, Ix1, Ix2};
use toml::Spanned;

use super::array;
use crate::check::Check;
use crate::value::{Datum, Values};

/// How vectors become one.
#[derive(Debug)]
pub(crate) struct EmbeddingPlan {
    pooling: Pooling,
    mask: Option<String>,
    normalise: bool,
}

impl EmbeddingPlan {
    pub(crate) fn new(check: &mut Check<'_>, output: &Output, from: &Spanned<String>) -> Option<Self> {
        let shape = check.tensor(from)?;
        super::axis_count(check, from, shape.as_deref(), "an embedding is [1, D] or [1, T, D]", 1..=3)?;
        if let Some(mask) = &output.mask {
            check.value(mask)?;
        }
        Some(Self {
            pooling: output.pooling.as_ref().map_or(Pooling::Mean, |pooling| *pooling.as_ref()),
            mask: output.mask.as_ref().map(|mask| mask.as_ref().clone()),
            normalise: output.normalise.as_ref().is_none_or(|normalise| *normalise.as_ref()),
        })
    }

    pub(crate) fn make(&self, value: &Datum, values: &Values) -> Result<Datum> {
        let vectors = array(value)?;
        let shape = vectors.shape().to_vec();
        let unfit = || Error::failed(format!("a tensor of shape {shape:?} is no embedding: [1, D] or [1, T, D]"));
        let vectors = if shape.len() > 1 && shape[0] == 1 { vectors.index_axis_move(Axis(0), 0) } else { vectors };
        let mut vector = match vectors.ndim() {
            1 => vectors.into_dimensionality::<Ix1>().map_err(|_| unfit())?,
            2 => {
                let tokens = vectors.into_dimensionality::<Ix2>().map_err(|_| unfit())?;
                let weights = self.weights(tokens.nrows(), values)?;
                self.pool(tokens.view(), &weights).ok_or_else(|| Error::failed("there is no token that counts"))?
            }
            _ => return Err(unfit()),
        };
        if vector.iter().any(|x| !x.is_finite()) {
            return Err(Error::failed("the model gave a vector that is no numbers (NaN or infinite)"));
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if self.normalise && length > 0.0 {
            vector /= length;
        }
        Ok(Datum::Numbers(vector.iter().copied().map(f64::from).collect()))
    }

    /// 1 for each token that counts.
    fn weights(&self, tokens: usize, values: &Values) -> Result<Vec<f32>> {
        let Some(name) = &self.mask else { return Ok(vec![1.0; tokens]) };
        let value = values.get(name).ok_or_else(|| Error::failed(format!("there is no value {name}")))?;
        let mask: Vec<f32> = array(value)?.iter().copied().collect();
        if mask.len() == tokens {
            return Ok(mask);
        }
        Err(Error::failed(format!("{name} has {} elements for {tokens} tokens", mask.len())))
    }

    fn pool(&self, tokens: ArrayView2<'_, f32>, weights: &[f32]) -> Option<Array1<f32>> {
        let counted = || tokens.outer_iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
        match self.pooling {
            Pooling::Cls => tokens.outer_iter().next().map(|first| first.to_owned()),
            Pooling::Mean => {
                let sum =
                    counted().fold(Array1::zeros(tokens.ncols()), |sum, (token, weight)| sum + &(&token * *weight));
                let total: f32 = counted().map(|(_, weight)| weight).sum();
                (total > 0.0).then(|| sum / total)
            }
            Pooling::Max => counted().map(|(token, _)| token.to_owned()).reduce(|mut most, token| {
                most.zip_mut_with(&token, |a, b| *a = a.max(*b));
                most
            }),
        }
    }
}

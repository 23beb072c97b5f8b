//! How the vectors of a text's tokens become one.

use std::path::Path;

use ndarray::{Array1, ArrayView2, Axis};
use serde::Deserialize;

use crate::{Problem, read};

/// Which of them are taken; more than one stand one behind the other, in the order of these fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pooling {
    cls: bool,
    max: bool,
    mean: bool,
    mean_sqrt: bool,
    weighted_mean: bool,
    last: bool,
}

/// `1_Pooling/config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    pooling_mode: Option<Modes>,
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

/// Newer files have a word, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Modes {
    One(String),
    Several(Vec<String>),
}

impl Pooling {
    pub(super) const MEAN: Self =
        Self { mean: true, cls: false, max: false, mean_sqrt: false, weighted_mean: false, last: false };

    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let config: Config = read::json(path)?;
        let mut pooling = Self {
            cls: config.pooling_mode_cls_token,
            max: config.pooling_mode_max_tokens,
            mean: config.pooling_mode_mean_tokens,
            mean_sqrt: config.pooling_mode_mean_sqrt_len_tokens,
            weighted_mean: config.pooling_mode_weightedmean_tokens,
            last: config.pooling_mode_lasttoken,
        };
        let words = match config.pooling_mode {
            None => Vec::new(),
            Some(Modes::One(word)) => vec![word],
            Some(Modes::Several(words)) => words,
        };
        for word in words {
            match word.as_str() {
                "cls" => pooling.cls = true,
                "max" => pooling.max = true,
                "mean" => pooling.mean = true,
                "mean_sqrt_len_tokens" => pooling.mean_sqrt = true,
                "weightedmean" => pooling.weighted_mean = true,
                "lasttoken" => pooling.last = true,
                other => {
                    return Err(Problem::unsupported(path, format!("the pooling mode {other:?} is not supported")));
                }
            }
        }
        if pooling == Self::default() {
            return Err(Problem::new(path, "names no pooling mode"));
        }
        Ok(pooling)
    }

    /// One vector of `tokens`, `[T, D]`, the first of which count and the others are padding; T is not 0.
    pub(super) fn pool(self, tokens: ArrayView2<'_, f32>) -> Array1<f32> {
        let count = tokens.nrows() as f32;
        let sum = || tokens.sum_axis(Axis(0));
        let mut parts: Vec<f32> = Vec::new();
        if self.cls {
            parts.extend(tokens.row(0).iter());
        }
        if self.max {
            parts.extend(tokens.fold_axis(Axis(0), f32::NEG_INFINITY, |most, x| most.max(*x)));
        }
        if self.mean {
            parts.extend(sum() / count);
        }
        if self.mean_sqrt {
            parts.extend(sum() / count.sqrt());
        }
        if self.weighted_mean {
            // Later tokens weigh more: 1, 2, … T.
            let weights = Array1::from_iter((1..=tokens.nrows()).map(|weight| weight as f32));
            let weighted = weights.dot(&tokens);
            parts.extend(weighted / (count * (count + 1.0) / 2.0));
        }
        if self.last {
            parts.extend(tokens.row(tokens.nrows() - 1).iter());
        }
        Array1::from_vec(parts)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn modes_stand_one_behind_the_other() {
        let tokens = array![[1.0, 4.0], [3.0, 2.0]];
        let all = Pooling { cls: true, max: true, mean: true, mean_sqrt: true, weighted_mean: true, last: true };
        let expected = [
            [1.0, 4.0],
            [3.0, 4.0],
            [2.0, 3.0],
            [4.0 / 2f32.sqrt(), 6.0 / 2f32.sqrt()],
            [7.0 / 3.0, 8.0 / 3.0],
            [3.0, 2.0],
        ];
        for (found, expected) in all.pool(tokens.view()).iter().zip(expected.concat()) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert_eq!(Pooling::MEAN.pool(tokens.view()), array![2.0, 3.0]);
    }
}

//! Scores of classes: the best labels with their probabilities.

use millwork_package::manifest::{Activation, As, Output};
use millwork_worker::protocol::{Map, map};
use millwork_worker::{Error, Result};
use toml::Spanned;

use super::{array, classes_in, label, labels};
use crate::check::{Check, Number};
use crate::scope::Known;
use crate::value::{Datum, Values};

/// What of the scores is given.
#[derive(Debug)]
pub(crate) struct ClassesPlan {
    kind: As,
    labels: Vec<String>,
    activation: Activation,
    top: Number,
}

impl ClassesPlan {
    pub(crate) fn new(check: &mut Check<'_>, output: &Output, from: &Spanned<String>, kind: As) -> Option<Self> {
        let shape = check.tensor(from)?;
        let labels = labels(check, output, classes_in(shape.as_deref(), 0))?;
        let activation = output.activation.as_ref().map_or(Activation::Softmax, |activation| *activation.as_ref());
        Some(Self { kind, labels, activation, top: check.number(output.top.as_ref(), 5.0) })
    }

    pub(crate) fn known(&self) -> Known {
        match self.kind {
            As::Label => Known::Text,
            As::Score => Known::Number,
            _ => Known::Maps,
        }
    }

    pub(crate) fn make(&self, value: &Datum, values: &Values) -> Result<Datum> {
        let scores = array(value)?;
        let mut scores: Vec<f64> = scores.iter().copied().map(f64::from).collect();
        if !self.labels.is_empty() && self.labels.len() != scores.len() {
            return Err(Error::failed(format!("there are {} scores and {} labels", scores.len(), self.labels.len())));
        }
        activate(&mut scores, self.activation);
        if scores.iter().any(|score| !score.is_finite()) {
            return Err(Error::failed("the model gave scores that are no numbers (NaN or infinite)"));
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let best = *order.first().ok_or_else(|| Error::failed("the model gave no scores"))?;
        Ok(match self.kind {
            As::Label => Datum::Text(label(&self.labels, best)),
            As::Score => Datum::Float(scores[best]),
            _ => {
                let top = self.top.count(values)?.max(1);
                let line = |class: &usize| -> Map {
                    map! { "label" => label(&self.labels, *class), "score" => scores[*class] }
                };
                Datum::Maps(order.iter().take(top).map(line).collect())
            }
        })
    }
}

/// Scores to probabilities, in place.
pub(super) fn activate(scores: &mut [f64], activation: Activation) {
    match activation {
        Activation::None => {}
        Activation::Sigmoid => scores.iter_mut().for_each(|v| *v = sigmoid(*v)),
        Activation::Softmax => {
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            scores.iter_mut().for_each(|v| *v = (*v - top).exp());
            let sum: f64 = scores.iter().sum();
            scores.iter_mut().for_each(|v| *v /= sum);
        }
    }
}

pub(super) fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

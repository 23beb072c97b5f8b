//! Runs whose results go into the next run as they are: the keys and values of attention, which grow with each token and
//! never leave tract's memory.

use std::collections::HashMap;
use std::fmt;

use indexmap::IndexMap;
use tract_onnx::prelude::{IntoTValue, IntoTensor, TValue, TVec};

use super::contain::contain;
use super::error::OnnxError;
use super::plan::Shapes;
use super::{Model, value};
use crate::convert::Tensor;

/// What one run leaves for the next, by the names of the inputs that it goes into. A clone shares the memory.
#[derive(Clone, Default)]
pub struct Carry {
    values: HashMap<String, TValue>,
}

impl fmt::Debug for Carry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes = self.values.iter().map(|(name, value)| (name, value.shape()));
        f.debug_map().entries(shapes).finish()
    }
}

impl Carry {
    /// Puts a tensor in for the next run.
    ///
    /// # Errors
    /// Where its bytes do not fit its shape.
    pub fn set(&mut self, input: &str, tensor: &Tensor) -> Result<(), OnnxError> {
        let wrong = |reason| OnnxError::Input { model: input.to_owned(), reason };
        let value = contain("reading a tensor", || value::to_tract(tensor)).map_err(wrong)?;
        self.values.insert(input.to_owned(), value.into_tvalue());
        Ok(())
    }

    /// Keeps the first `length` entries of `axis` of every tensor that `chosen` picks.
    ///
    /// # Errors
    /// Where a tensor has no such axis.
    pub fn truncate(&mut self, axis: usize, length: usize, chosen: impl Fn(&str) -> bool) -> Result<(), OnnxError> {
        for (name, value) in self.values.iter_mut().filter(|(name, _)| chosen(name)) {
            let is_longer = value.shape().get(axis).is_some_and(|now| *now > length);
            if is_longer {
                let cut = contain("cutting", || value.slice(axis, 0, length));
                let cut = cut.map_err(|reason| OnnxError::Input { model: name.clone(), reason })?;
                *value = cut.into_tvalue();
            }
        }
        Ok(())
    }

    /// Its bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.values.values().map(|value| (value.len() * value.datum_type().size_of()) as u64).sum()
    }
}

impl Model {
    /// Runs the model once with `inputs`, and with `carry` for the inputs that are not among them. Of the results, those that
    /// `links` names (output, input) go into `carry` under the name of the input; the others are returned.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn step(
        &self,
        inputs: &IndexMap<String, Tensor>,
        carry: &mut Carry,
        links: &IndexMap<String, String>,
    ) -> Result<IndexMap<String, Tensor>, OnnxError> {
        let info = &self.described.info;
        let wrong = |reason: String| OnnxError::Input { model: info.name.clone(), reason };
        let mut given = TVec::new();
        for input in info.inputs.iter().filter(|input| !self.constants.contains_key(&input.name)) {
            let value = match (inputs.get(&input.name), carry.values.get(&input.name)) {
                (Some(tensor), _) => {
                    contain("reading inputs", || value::to_tract(tensor)).map_err(wrong)?.into_tvalue()
                }
                (None, Some(value)) => value.clone(),
                (None, None) => return Err(wrong(format!("input {:?} ({input}) is missing", input.name))),
            };
            given.push((input.name.clone(), value));
        }
        let shapes = Shapes::new(info, given.iter().map(|(name, value)| (name.clone(), value.shape().to_vec())));
        let given: TVec<TValue> = given.into_iter().map(|(_, value)| value).collect();
        let pool = self.onnx.pool(self.threads)?;
        let results = self.run_plan(&shapes, |plan| pool.run(|| plan.values(info, given.clone(), &self.cancel)))?;
        let mut outputs = IndexMap::new();
        for (output, result) in info.outputs.iter().zip(results) {
            match links.get(&output.name) {
                Some(input) => drop(carry.values.insert(input.clone(), result)),
                None => {
                    let tensor = contain("running", || value::from_tract(result.into_tensor(), output.dtype))
                        .map_err(|reason| OnnxError::Run { model: info.name.clone(), reason })?;
                    outputs.insert(output.name.clone(), tensor);
                }
            }
        }
        Ok(outputs)
    }
}

//! Compares what a run is given with what the model asks for.

use std::collections::HashMap;

use indexmap::IndexMap;
use tract_onnx::prelude::{IntoTValue, TValue, TVec};

use super::contain::contain;
use super::error::OnnxError;
use super::info::{Dim, ModelInfo, ValueInfo};
use super::value;
use crate::convert::Tensor;

/// Names, types and shapes, symbols that occur twice included. What is constant need not be given.
pub(super) fn check(
    info: &ModelInfo,
    inputs: &IndexMap<String, Tensor>,
    constants: &IndexMap<String, Tensor>,
) -> Result<(), OnnxError> {
    let wrong = |reason: String| OnnxError::Input { model: info.name.clone(), reason };
    if let Some(unknown) = inputs.keys().find(|name| info.inputs.iter().all(|input| input.name != **name)) {
        return Err(wrong(format!("it has no input {unknown:?}; its inputs are {}", described(&info.inputs))));
    }
    let mut symbols: HashMap<&str, (usize, &str)> = HashMap::new();
    for input in &info.inputs {
        if constants.contains_key(&input.name) {
            continue;
        }
        let Some(tensor) = inputs.get(&input.name) else {
            return Err(wrong(format!("input {:?} ({input}) is missing", input.name)));
        };
        let name = &input.name;
        tensor.check().map_err(|error| wrong(format!("input {name:?}: {error}")))?;
        let given = || format!("{} {:?}", tensor.dtype, tensor.shape);
        if input.dtype != Some(tensor.dtype) || !fits(input, &tensor.shape) {
            return Err(wrong(format!("input {name:?} expects {input}, given {}", given())));
        }
        for (dim, length) in input.shape.iter().flatten().zip(&tensor.shape) {
            let Dim::Symbol(symbol) = dim else { continue };
            let (known, by) = *symbols.entry(symbol).or_insert((*length, name));
            if known != *length {
                let reason = format!(
                    "input {name:?} expects {input}, given {}, but {symbol} is {known} in input {by:?}",
                    given()
                );
                return Err(wrong(reason));
            }
        }
    }
    Ok(())
}

fn fits(input: &ValueInfo, shape: &[usize]) -> bool {
    let Some(dims) = &input.shape else { return true };
    let fits = |(dim, length): (&Dim, &usize)| match dim {
        Dim::Fixed(fixed) => fixed == length,
        Dim::Symbol(_) | Dim::Unknown => true,
    };
    dims.len() == shape.len() && dims.iter().zip(shape).all(fits)
}

fn described(inputs: &[ValueInfo]) -> String {
    let list: Vec<String> = inputs.iter().map(|input| format!("{:?} ({input})", input.name)).collect();
    list.join(", ")
}

/// Checked inputs, in the model's order, as tract takes them.
pub(super) fn in_order(info: &ModelInfo, inputs: &IndexMap<String, Tensor>) -> Result<TVec<TValue>, OnnxError> {
    let tensors = info.inputs.iter().filter_map(|input| inputs.get(&input.name));
    contain("reading inputs", || tensors.map(|tensor| Ok(value::to_tract(tensor)?.into_tvalue())).collect())
        .map_err(|reason| OnnxError::Input { model: info.name.clone(), reason })
}

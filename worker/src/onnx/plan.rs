//! From a parsed graph to something that runs: types, shapes, optimisation, order.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use tract_onnx::prelude::{
    InferenceFact, InferenceModelExt, IntoTensor, TValue, TVec, TractResult, TypedRunnableModel, TypedSimplePlan,
};

use super::contain::contain;
use super::error::OnnxError;
use super::graph::Graph;
use super::info::{Dim, ModelInfo};
use super::{bytes_of, power, value};
use crate::convert::Tensor;
use crate::models::Loaded;

/// The shapes of a run's inputs, in the model's order.
#[derive(Debug)]
pub(super) struct Shapes {
    inputs: Vec<(String, Vec<usize>)>,
    symbolic: bool,
}

impl Shapes {
    pub(super) fn of(info: &ModelInfo, inputs: &IndexMap<String, Tensor>) -> Self {
        let given = |input: &super::ValueInfo| {
            let shape = inputs.get(&input.name).map(|tensor| tensor.shape.clone());
            (input.name.clone(), shape.unwrap_or_default())
        };
        let fixed = |input: &super::ValueInfo| {
            input.shape.as_ref().is_some_and(|dims| dims.iter().all(|dim| matches!(dim, Dim::Fixed(_))))
        };
        Shapes { inputs: info.inputs.iter().map(given).collect(), symbolic: !info.inputs.iter().all(fixed) }
    }

    /// True when the model leaves some axis open.
    pub(super) fn needs_symbols(&self) -> bool {
        self.symbolic
    }
}

/// `x: 1x28x28, mask: 1x77`
impl fmt::Display for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, shape)) in self.inputs.iter().enumerate() {
            let lengths: Vec<String> = shape.iter().map(ToString::to_string).collect();
            let lengths = if lengths.is_empty() { "scalar".into() } else { lengths.join("x") };
            write!(f, "{}{name}: {lengths}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// A plan, or why there is none.
#[derive(Debug)]
pub(super) struct Attempt {
    outcome: Result<Arc<TypedRunnableModel>, OnnxError>,
    symbolic: bool,
}

/// Makes a plan for exactly these shapes, or with `None` for all that the model's symbols allow.
pub(super) fn attempt(info: &ModelInfo, graph: &Graph, shapes: Option<&Shapes>) -> Loaded<Attempt> {
    let described = shapes.map_or_else(|| "of any size".into(), ToString::to_string);
    let outcome = contain("planning", || make(info, graph, shapes));
    let (bytes, outcome) = match outcome {
        Ok(plan) => (bytes_of::graph(plan.model()), Ok(plan)),
        Err(reason) => {
            let (model, shapes) = (info.name.clone(), described.clone());
            (reason.len() as u64 + 1024, Err(OnnxError::Plan { model, shapes, reason }))
        }
    };
    let name = format!("{} [{described}]", info.name);
    Loaded { value: Attempt { outcome, symbolic: shapes.is_none() }, name, bytes }
}

fn make(info: &ModelInfo, graph: &Graph, shapes: Option<&Shapes>) -> TractResult<Arc<TypedRunnableModel>> {
    let mut model = graph.0.clone();
    let inputs = info.inputs.iter().zip(shapes.iter().flat_map(|shapes| &shapes.inputs));
    for (i, (input, (_, shape))) in inputs.enumerate() {
        let fact = InferenceFact::shape(shape);
        let fact = match input.dtype {
            Some(dtype) => fact.with_datum_type(value::datum_type(dtype)),
            None => fact,
        };
        model.set_input_fact(i, fact)?;
    }
    let mut model = model.into_typed()?.into_decluttered()?;
    if power::multiply_out(&mut model)? > 0 {
        model.declutter()?;
    }
    model.optimize()?;
    TypedSimplePlan::new(model)
}

impl Attempt {
    pub(super) fn worked(&self) -> bool {
        self.outcome.is_ok()
    }

    pub(super) fn is_symbolic(&self) -> bool {
        self.symbolic
    }

    pub(super) fn outcome(&self) -> Result<&Arc<TypedRunnableModel>, OnnxError> {
        self.outcome.as_ref().map_err(Clone::clone)
    }

    /// Runs the plan; the results come in the model's order and types.
    pub(super) fn run(&self, info: &ModelInfo, inputs: TVec<TValue>) -> Result<Vec<Tensor>, OnnxError> {
        let plan = self.outcome()?;
        let run = || {
            let results = plan.run(inputs)?.into_iter().zip(&info.outputs);
            results.map(|(result, output)| value::from_tract(result.into_tensor(), output.dtype)).collect()
        };
        contain("running", run).map_err(|reason| OnnxError::Run { model: info.name.clone(), reason })
    }
}

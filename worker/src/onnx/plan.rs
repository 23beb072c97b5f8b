//! From a parsed graph to something that runs: types, shapes, optimisation, order.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use tract_onnx::dim_expr::parse_onnx_dim;
use tract_onnx::prelude::{
    InferenceFact, InferenceModel, InferenceModelExt, IntoTensor, SpecialOps, TValue, TVec, TractResult, TypedModel,
    TypedRunnableModel, TypedSimplePlan,
};
use tract_onnx::tract_core;
use tract_onnx::tract_core::internal::{ToDim, bail, ensure};
use tract_onnx::tract_core::ops::array::Slice;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::infer::{DimFact, ShapeFactoid};

use super::contain::contain;
use super::error::OnnxError;
use super::graph::Graph;
use super::info::{Dim, ModelInfo, ValueInfo};
use super::{arithmetic, bytes_of, extremes, lengths, minuend, packed, power, value};
use crate::cancel::CancelToken;
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
        let given = info.inputs.iter().filter_map(|input| inputs.get_key_value(&input.name));
        Self::new(info, given.map(|(name, tensor)| (name.clone(), tensor.shape.clone())))
    }

    /// Names and shapes of the inputs that are given, in the model's order.
    pub(super) fn new(info: &ModelInfo, inputs: impl Iterator<Item = (String, Vec<usize>)>) -> Self {
        let fixed = |input: &super::ValueInfo| {
            input.shape.as_ref().is_some_and(|dims| dims.iter().all(|dim| matches!(dim, Dim::Fixed(_))))
        };
        Shapes { inputs: inputs.collect(), symbolic: !info.inputs.iter().all(fixed) }
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
pub(super) fn attempt(
    info: &ModelInfo,
    graph: &Graph,
    shapes: Option<&Shapes>,
    constants: &IndexMap<String, Tensor>,
    declared: &IndexMap<String, Vec<Dim>>,
    last: Option<&(String, usize)>,
) -> Loaded<Attempt> {
    let described = shapes.map_or_else(|| "of any size".into(), ToString::to_string);
    let outcome = contain("planning", || make(info, graph, shapes, constants, declared, last));
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

fn make(
    info: &ModelInfo,
    graph: &Graph,
    shapes: Option<&Shapes>,
    constants: &IndexMap<String, Tensor>,
    declared: &IndexMap<String, Vec<Dim>>,
    last: Option<&(String, usize)>,
) -> TractResult<Arc<TypedRunnableModel>> {
    let mut model = graph.0.clone();
    fix(info, &mut model, constants)?;
    let inputs = info.inputs.iter().filter(|input| !constants.contains_key(&input.name));
    if shapes.is_none() {
        declare(&mut model, inputs.clone(), declared)?;
    }
    let inputs = inputs.zip(shapes.iter().flat_map(|shapes| &shapes.inputs));
    for (i, (input, (_, shape))) in inputs.enumerate() {
        let fact = InferenceFact::shape(shape);
        let fact = match input.dtype {
            Some(dtype) => fact.with_datum_type(value::datum_type(dtype)),
            None => fact,
        };
        model.set_input_fact(i, fact)?;
    }
    let mut model = model.into_typed()?;
    if let Some((output, axis)) = last {
        keep_last(info, &mut model, output, *axis)?;
    }
    minuend::rewrite(&mut model)?;
    model.declutter()?;
    if power::multiply_out(&mut model)? > 0 {
        model.declutter()?;
    }
    arithmetic::replace_products(&mut model)?;
    model.optimize()?;
    arithmetic::replace_broadcasts(&mut model)?;
    packed::pack_constants(&mut model)?;
    extremes::look_again(&mut model);
    lengths::mark_followers(&mut model)?;
    TypedSimplePlan::new(model)
}

/// Says of inputs what the file does not, or says wrongly.
fn declare<'a>(
    model: &mut InferenceModel,
    inputs: impl Iterator<Item = &'a ValueInfo>,
    declared: &IndexMap<String, Vec<Dim>>,
) -> TractResult<()> {
    for (at, input) in inputs.enumerate() {
        let Some(dims) = declared.get(&input.name) else { continue };
        let dim = |dim: &Dim| match dim {
            Dim::Fixed(length) => Ok(DimFact::from(length.to_dim())),
            Dim::Symbol(sum) => parse_onnx_dim(&model.symbols, sum).map(DimFact::from),
            Dim::Unknown => Ok(DimFact::default()),
        };
        let dims = dims.iter().map(dim).collect::<TractResult<TVec<DimFact>>>()?;
        let fact = InferenceFact::default().with_shape(ShapeFactoid::closed(dims));
        let fact = match input.dtype {
            Some(dtype) => fact.with_datum_type(value::datum_type(dtype)),
            None => fact,
        };
        model.set_input_fact(at, fact)?;
    }
    Ok(())
}

/// Cuts an output to the last of its entries along an axis. tract then leaves out what only the others need.
fn keep_last(info: &ModelInfo, model: &mut TypedModel, output: &str, axis: usize) -> TractResult<()> {
    let Some(at) = info.outputs.iter().position(|one| one.name == output) else {
        bail!("there is no output {output:?} to be cut");
    };
    let outlet = model.output_outlets()?[at];
    let Some(len) = model.outlet_fact(outlet)?.shape.get(axis).cloned() else {
        bail!("the output {output:?} has no axis {axis}");
    };
    let cut = model.wire_node(format!("{output}.last"), Slice::new(axis, len.clone() - 1, len), &[outlet])?;
    model.outputs[at] = cut[0];
    Ok(())
}

/// Puts constants in the place of inputs.
fn fix(info: &ModelInfo, model: &mut InferenceModel, constants: &IndexMap<String, Tensor>) -> TractResult<()> {
    for (name, constant) in constants {
        let Some(at) = info.inputs.iter().position(|input| input.name == *name) else {
            bail!("there is no input {name:?} to be fixed");
        };
        let tensor = Arc::new(value::to_tract(constant)?);
        let outlet = model.input_outlets()?[at];
        let node = model.node_mut(outlet.node);
        node.op = Box::new(Const::new(tensor.clone())?);
        node.outputs[outlet.slot].fact = tensor.try_into()?;
    }
    let is_fixed = |at: usize| info.inputs.get(at).is_some_and(|input| constants.contains_key(&input.name));
    let inputs = model.input_outlets()?.iter().enumerate().filter(|(at, _)| !is_fixed(*at));
    model.inputs = inputs.map(|(_, outlet)| *outlet).collect();
    Ok(())
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

    /// Runs the plan; the results come in the model's order, as tract computed them. Between two operators it may be cancelled.
    pub(super) fn values(
        &self,
        info: &ModelInfo,
        inputs: TVec<TValue>,
        cancel: &CancelToken,
    ) -> Result<TVec<TValue>, OnnxError> {
        let plan = self.outcome()?;
        let run = || {
            plan.spawn()?.run_plan_with_eval(inputs, |cx, state, node, inputs| {
                ensure!(!cancel.is_cancelled(), "cancelled");
                tract_core::plan::eval(cx, state, node, inputs)
            })
        };
        contain("running", run).map_err(|reason| match cancel.is_cancelled() {
            true => OnnxError::Cancelled,
            false => OnnxError::Run { model: info.name.clone(), reason },
        })
    }

    /// The same; the results come in the model's types.
    pub(super) fn run(
        &self,
        info: &ModelInfo,
        inputs: TVec<TValue>,
        cancel: &CancelToken,
    ) -> Result<Vec<Tensor>, OnnxError> {
        let results = self.values(info, inputs, cancel)?.into_iter().zip(&info.outputs);
        let tensors =
            || results.map(|(result, output)| value::from_tract(result.into_tensor(), output.dtype)).collect();
        contain("running", tensors).map_err(|reason| OnnxError::Run { model: info.name.clone(), reason })
    }
}

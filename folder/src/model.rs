//! A step that is an ONNX model: its inputs prepared, run, its outputs values.

use std::collections::HashMap;

use indexmap::IndexMap;
use millwork_nodes::pixels::Placement;
use millwork_package::manifest::Step;
use millwork_package::{Kind, Problem};
use millwork_worker::convert::Tensor;
use millwork_worker::onnx::{Dim, Model, OnnxError, Source, ValueInfo};
use millwork_worker::{Context, Result};
use toml::Spanned;

use crate::check::Check;
use crate::input::InputPlan;
use crate::output::OutputPlan;
use crate::scope::Known;
use crate::value::{Datum, Values};

/// A model that can be run.
#[derive(Debug)]
pub(crate) struct ModelStep {
    source: Source,
    inputs: Vec<InputPlan>,
    /// Values made from what it gives.
    made: Vec<OutputPlan>,
}

impl ModelStep {
    /// Loads the model and holds the step to it; its outputs are in scope afterwards.
    pub(crate) fn new(check: &mut Check<'_>, step: &Step, file: &Spanned<String>) -> Option<Self> {
        let loaded = check.files.path(file.as_ref()).and_then(|path| {
            let source = Source::version(path).map_err(|error| problem(file.as_ref(), &error))?;
            let model = check.onnx.load(source.clone(), &Default::default());
            let model = model.and_then(|model| planned(&model).map(|()| (source, model)));
            model.map_err(|error| problem(file.as_ref(), &error))
        });
        let Some((source, model)) = check.ok(file, loaded) else {
            check.scope.is_partial = true;
            for output in &step.outputs {
                check.scope.add(output.name.as_ref(), Known::Anything);
            }
            return None;
        };
        let inputs = inputs(check, step, file, &model);
        // An attention mask is an input, and what is averaged by it comes later.
        for input in model.info().inputs.iter().filter(|input| inputs.iter().any(|plan| plan.name == input.name)) {
            if check.scope.get(&input.name).is_none() {
                check.scope.add(&input.name, Known::of_model(input));
            }
        }
        for output in &model.info().outputs {
            // A field keeps its name; an output of an earlier model makes way.
            if !matches!(check.scope.get(&output.name), Some(known) if !matches!(known, Known::Tensor(_))) {
                check.scope.add(&output.name, Known::of_model(output));
            }
        }
        let mut made = Vec::new();
        for output in &step.outputs {
            let is_model =
                output.from.as_ref().is_none_or(|from| model.info().outputs.iter().any(|o| o.name == *from.as_ref()));
            if !is_model
                && let Some(from) = output.from.as_ref().filter(|from| check.scope.get(from.as_ref()).is_none())
            {
                let names: Vec<&str> = model.info().outputs.iter().map(|output| output.name.as_str()).collect();
                let text = format!("the model has no output {}", from.as_ref());
                check.told(from, Problem::new(Kind::UnknownOutput, text).hint(format!("it has {}", names.join(", "))));
                check.scope.add(output.name.as_ref(), Known::Anything);
                continue;
            }
            if let Some(plan) = OutputPlan::new(check, output, &inputs) {
                check.scope.add(output.name.as_ref(), plan.known());
                made.push(plan);
            } else {
                check.scope.add(output.name.as_ref(), Known::Anything);
            }
        }
        Some(Self { source, inputs, made })
    }

    pub(crate) fn inputs(&self) -> &[InputPlan] {
        &self.inputs
    }

    /// The values that it needs.
    pub(crate) fn run(&self, values: &mut Values, placed: &mut HashMap<String, Placement>, cx: &Context) -> Result<()> {
        let mut tensors: IndexMap<String, Tensor> = IndexMap::new();
        for input in &self.inputs {
            let (tensor, placement) = input.make(values, cx)?;
            placed.extend(placement.map(|placement| (input.name.clone(), placement)));
            tensors.insert(input.name.clone(), tensor);
        }
        cx.check()?;
        let model = cx.onnx_model(self.source.clone())?;
        // Pictures of one size are the rule, and a plan for that size is faster.
        let model = if self.inputs.iter().any(InputPlan::is_picture) { model.per_shape() } else { model };
        let given = model.run(&tensors).map_err(OnnxError::into_error)?;
        for (name, tensor) in tensors {
            values.entry(name).or_insert(Datum::Tensor(tensor));
        }
        for (name, tensor) in given {
            if !matches!(values.get(&name), Some(value) if !matches!(value, Datum::Tensor(_))) {
                values.insert(name, Datum::Tensor(tensor));
            }
        }
        for output in &self.made {
            let value = output.make(values, placed)?;
            values.insert(output.name().to_owned(), value);
        }
        cx.check()
    }
}

fn inputs(check: &mut Check<'_>, step: &Step, file: &Spanned<String>, model: &Model) -> Vec<InputPlan> {
    let info = model.info();
    let mut plans = Vec::new();
    let mut is_misnamed = false;
    for input in &step.inputs {
        match info.inputs.iter().find(|known| known.name == *input.name.as_ref()) {
            Some(known) => plans.extend(InputPlan::new(check, input, known)),
            None => {
                is_misnamed = true;
                let names: Vec<String> = info.inputs.iter().map(|i| format!("{} ({i})", i.name)).collect();
                let text = format!("the model has no input {}", input.name.as_ref());
                check.told(
                    &input.name,
                    Problem::new(Kind::UnknownInput, text).hint(format!("it has {}", names.join(", "))),
                );
            }
        }
    }
    // What is missing is likely what another name was meant for.
    if is_misnamed {
        return plans;
    }
    for missing in info.inputs.iter().filter(|known| step.inputs.iter().all(|input| *input.name.as_ref() != known.name))
    {
        let text = format!("nothing is said of the model's input {} ({missing})", missing.name);
        let hint = format!("[[node.step.input]] with name = {:?} and from", missing.name);
        check.told(file, Problem::new(Kind::MissingInput, text).hint(hint));
    }
    plans
}

/// Models with more weights, in bytes, are not planned before they are asked for.
const SMALL: u64 = 32 << 20;

/// Some models can be read and still not be planned. Where all shapes are known and it takes no time, that is found out here.
fn planned(model: &Model) -> std::result::Result<(), OnnxError> {
    let info = model.info();
    let zeros = |input: &ValueInfo| {
        let length = |dim: &Dim| match dim {
            Dim::Fixed(length) => Some(*length),
            Dim::Symbol(_) | Dim::Unknown => None,
        };
        let shape: Vec<usize> = input.shape.as_ref()?.iter().map(length).collect::<Option<_>>()?;
        let dtype = input.dtype?;
        let bytes = shape.iter().try_fold(dtype.itemsize(), |bytes, length| bytes.checked_mul(*length))?;
        let tensor = (bytes as u64 <= SMALL).then(|| Tensor::new(dtype, shape, vec![0; bytes].into()).ok())?;
        Some((input.name.clone(), tensor?))
    };
    let inputs: Option<IndexMap<String, Tensor>> = info.inputs.iter().map(zeros).collect();
    match inputs.filter(|_| info.parameter_bytes <= SMALL) {
        Some(inputs) => model.prepare(&inputs),
        None => Ok(()),
    }
}

/// A model that cannot be loaded.
fn problem(name: &str, error: &OnnxError) -> Problem {
    let kind = match error {
        OnnxError::Read { .. } => Kind::UnreadableFile,
        OnnxError::Unsupported { .. } => Kind::UnsupportedOperator,
        OnnxError::ExternalData { reason, .. } if reason.contains("No such file") => Kind::MissingFile,
        OnnxError::ExternalData { reason, .. } if reason.contains("out of the model's folder") => Kind::OutsideFolder,
        _ => Kind::InvalidModel,
    };
    let problem = Problem::new(kind, error.to_string());
    match kind {
        Kind::UnsupportedOperator => {
            problem.hint("export it with another opset, or for onnxruntime's reference operators")
        }
        Kind::InvalidModel => problem.hint(format!("export {name} again, or look at it with onnx.Inspect")),
        _ => problem,
    }
}

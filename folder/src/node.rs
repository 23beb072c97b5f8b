//! One node: planned once from its manifest, then run for each request.

use std::collections::HashMap;

use millwork_package::manifest::{self, Node};
use millwork_package::{Kind, Manifest, Problem};
use millwork_worker::gpu::Choice;
use millwork_worker::node::{Emitted, Fields, title_of};
use millwork_worker::onnx::Onnx;
use millwork_worker::protocol::Map;
use millwork_worker::protocol::metadata::{NodeMetadata, OutputSlot};
use millwork_worker::{Context, Result};
use toml::Spanned;

use crate::buffer::BufferPlan;
use crate::check::Check;
use crate::fallback::FallbackPlan;
use crate::fields::FieldPlan;
use crate::files::Files;
use crate::input::InputPlan;
use crate::model::ModelStep;
use crate::output::OutputPlan;
use crate::scope::Known;
use crate::shader::{self, ShaderStep};
use crate::value::{Datum, Values};

/// A node that can be run.
#[derive(Debug)]
pub(crate) struct Plan {
    metadata: NodeMetadata,
    fields: Vec<FieldPlan>,
    buffers: Vec<BufferPlan>,
    steps: Vec<Step>,
    outputs: Vec<OutputPlan>,
    fallback: Option<FallbackPlan>,
}

#[derive(Debug)]
enum Step {
    Model(ModelStep),
    Shader(ShaderStep),
}

/// Plans a node: everything that can be checked without a request is checked here.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn plan(
    manifest: &Manifest,
    node: &Node,
    files: &Files,
    onnx: &Onnx,
) -> std::result::Result<Plan, Vec<Problem>> {
    let module = node.head.node_type.as_ref();
    let mut check = Check::new(manifest, module, files, onnx);
    let fields: Vec<FieldPlan> = node.fields.iter().map(FieldPlan::new).collect();
    for field in &fields {
        check.scope.add(&field.name, field.known());
    }
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let fallback = node.fallback.as_ref().map(|fallback| FallbackPlan::new(&mut check, fallback, &names));
    let mut waiting: Vec<&manifest::Buffer> = node.buffers.iter().collect();
    let mut buffers = Vec::new();
    let mut steps = Vec::new();
    let last_model = node.steps.iter().rposition(|step| step.onnx.is_some());
    for (at, step) in node.steps.iter().enumerate() {
        // A buffer is there as soon as what it is made of is; after the last model nothing new comes.
        settle(&mut check, &mut waiting, &mut buffers, last_model.is_none_or(|last| last < at));
        match (&step.onnx, &step.wgsl) {
            (Some(file), _) => steps.extend(ModelStep::new(&mut check, step, file).map(Step::Model)),
            (None, Some(file)) => steps.extend(ShaderStep::new(&mut check, step, file).map(Step::Shader)),
            (None, None) => {}
        }
    }
    settle(&mut check, &mut waiting, &mut buffers, true);
    let inputs: Vec<&InputPlan> = steps.iter().flat_map(Step::inputs).collect();
    let outputs: Vec<Option<OutputPlan>> =
        node.outputs.iter().map(|output| OutputPlan::new(&mut check, output, &inputs)).collect();
    let has_shader = steps.iter().any(|step| matches!(step, Step::Shader(_)));
    if has_shader && fallback.is_none() && Choice::from_env() == Choice::Off {
        let text = "it needs a GPU, and MILLWORK_GPU=off says that there is none";
        check.told(
            &node.head.node_type,
            Problem::new(Kind::NoGpu, text).hint("[node.fallback] names a stock node that does the same"),
        );
    }
    let outputs: Option<Vec<OutputPlan>> = outputs.into_iter().collect();
    let (true, Some(outputs)) = (check.is_fine(), outputs) else { return Err(check.problems()) };
    let metadata = NodeMetadata {
        node_type: module.clone(),
        title: node.head.title.clone().unwrap_or_else(|| title_of(module)),
        description: node.head.description.clone(),
        properties: fields.iter().map(FieldPlan::property).collect(),
        outputs: outputs.iter().map(slot).collect(),
        requires_vram_gb: node.head.vram_gb,
        ..NodeMetadata::default()
    };
    Ok(Plan { metadata, fields, buffers, steps, outputs, fallback: fallback.flatten() })
}

/// Plans the buffers whose values are there; `all` of them at the end, for their problems.
fn settle(check: &mut Check<'_>, waiting: &mut Vec<&manifest::Buffer>, buffers: &mut Vec<BufferPlan>, all: bool) {
    loop {
        let source = |buffer: &manifest::Buffer| buffer.from.clone().or(buffer.like.clone()).map(Spanned::into_inner);
        let is_there = |buffer: &&manifest::Buffer| source(buffer).is_none_or(|name| check.scope.get(&name).is_some());
        // Of those that wait in vain, what the others wait for is told first, and then they wait no more.
        let waits_for_none = |buffer: &&manifest::Buffer| {
            source(buffer).is_none_or(|name| waiting.iter().all(|other| *other.name.as_ref() != name))
        };
        let first = waiting.iter().position(is_there);
        let in_vain = || waiting.iter().position(waits_for_none).or((!waiting.is_empty()).then_some(0));
        let Some(at) = first.or_else(|| if all { in_vain() } else { None }) else { return };
        let buffer = waiting.remove(at);
        match BufferPlan::new(check, buffer) {
            Some(plan) => {
                check.scope.add(&plan.name, Known::Buffer(plan.format));
                buffers.push(plan);
            }
            None => check.scope.add(buffer.name.as_ref(), Known::Anything),
        }
    }
}

fn slot(output: &OutputPlan) -> OutputSlot {
    OutputSlot { name: output.name().to_owned(), ty: output.type_metadata(), ..OutputSlot::default() }
}

impl Step {
    fn inputs(&self) -> &[InputPlan] {
        match self {
            Self::Model(model) => model.inputs(),
            Self::Shader(_) => &[],
        }
    }

    fn shader(&self) -> Option<&ShaderStep> {
        match self {
            Self::Shader(shader) => Some(shader),
            Self::Model(_) => None,
        }
    }
}

impl Plan {
    /// What `discover` reports.
    pub(crate) fn metadata(&self) -> &NodeMetadata {
        &self.metadata
    }

    /// Runs it for one request.
    ///
    /// # Errors
    /// `invalid_input` for fields that do not fit, `unavailable` without the GPU that it needs, and what models and shaders
    /// fail with.
    pub(crate) fn run(&self, mut fields: Fields<'_>, cx: &Context) -> Result<Emitted> {
        let (mut values, mut raw, mut placed) = (Values::new(), Map::new(), HashMap::new());
        for field in &self.fields {
            values.insert(field.name.clone(), field.take(&mut fields, &mut raw)?);
        }
        let mut at = 0;
        while let Some(step) = self.steps.get(at) {
            match step {
                Step::Model(model) => {
                    // Buffers are made when they are asked for: by a shader, or here by a model.
                    self.make_buffers(&mut values);
                    model.run(&mut values, &mut placed, cx)?;
                    at += 1;
                }
                Step::Shader(_) => {
                    let row = self.row(at);
                    at += row.len();
                    let is_last = self.steps[at..].is_empty();
                    // What only shaders of this row see stays on the device.
                    let is_needed = |name: &str| !is_last || self.outputs.iter().any(|output| output.uses(name));
                    if let Err(error) = shader::run(&row, &self.buffers, is_needed, &mut values, cx)? {
                        return match &self.fallback {
                            Some(fallback) => fallback.run(&raw, &values, cx),
                            None => Err(error.for_node()),
                        };
                    }
                }
            }
        }
        let mut emitted = Emitted::default();
        for output in &self.outputs {
            output.make(&values, &placed)?.write(output.name(), &mut emitted)?;
        }
        Ok(emitted)
    }

    /// The shaders from one on that can be one job: up to a model, or to a buffer filled from what this row writes.
    fn row(&self, at: usize) -> Vec<&ShaderStep> {
        let mut row: Vec<&ShaderStep> = Vec::new();
        for shader in self.steps[at..].iter().map_while(Step::shader) {
            let source =
                |name: &str| self.buffers.iter().find(|buffer| buffer.name == name).and_then(BufferPlan::source);
            let reads = |name: &str| row.iter().any(|before| before.buffers().any(|buffer| buffer == name));
            if shader.buffers().filter_map(source).any(reads) {
                break;
            }
            row.push(shader);
        }
        row
    }

    /// Fills the buffers that are made of what is there, for models that read them. The others are for shaders.
    fn make_buffers(&self, values: &mut Values) {
        for buffer in self.buffers.iter().filter(|buffer| buffer.source().is_some()) {
            if !values.contains_key(&buffer.name)
                && let Ok(pixels) = buffer.make(values)
            {
                values.insert(buffer.name.clone(), Datum::Pixels(pixels));
            }
        }
    }
}

//! Any model, tensors in and out.

use indexmap::IndexMap;
use millwork_worker::onnx::{OnnxError, ValueInfo};
use millwork_worker::prelude::*;

/// Runs an ONNX model: named tensors in, named tensors out.
///
/// The first run of a model loads it; it stays in memory for the next ones. A run cannot be interrupted.
#[derive(Node)]
#[node("onnx.Run", title = "Run Model")]
pub(super) struct RunModel {
    /// Path of the .onnx file; empty for the built-in digits model.
    #[node(default)]
    model: String,
    /// The inputs by name, as `onnx.Inspect` lists them.
    inputs: IndexMap<String, Tensor>,
    /// Convert inputs to the number type that the model asks for instead of refusing them.
    #[node(default)]
    cast: bool,
    /// Threads to compute on; 0 for one per core.
    #[node(default = 0, min = 0, max = 64)]
    threads: usize,
}

impl Run for RunModel {
    type Output = IndexMap<String, Tensor>;

    fn run(self, cx: &Context) -> Result<Self::Output> {
        let mut model = super::load(&self.model, cx)?;
        if self.threads > 0 {
            model = model.with_threads(self.threads);
        }
        let mut inputs = self.inputs;
        if self.cast {
            for info in &model.info().inputs {
                if let (Some(tensor), Some(dtype)) = (inputs.get_mut(&info.name), info.dtype) {
                    *tensor = tensor.cast(dtype).invalid(format!("input {:?}", info.name))?;
                }
            }
        }
        cx.check()?;
        let wants_cast =
            |info: &ValueInfo| inputs.get(&info.name).is_some_and(|tensor| info.dtype != Some(tensor.dtype));
        let wants_cast = !self.cast && model.info().inputs.iter().any(wants_cast);
        model.run(&inputs).map_err(|error| match error {
            OnnxError::Input { .. } if wants_cast => Error::invalid(format!("{error}; cast=true converts it")),
            error => error.into_error(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use millwork_worker::testing::NodeTest;

    use super::*;

    fn call(model: &str, name: &str, data: Value) -> NodeTest {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/tests/onnx");
        let inputs: Map = [(name.to_owned(), data)].into_iter().collect();
        NodeTest::new::<RunModel>().workspace(&folder).field("model", model).field("inputs", inputs)
    }

    fn numbers(rows: &[&[f64]]) -> Value {
        let row = |row: &&[f64]| Value::List(row.iter().map(|x| Value::Float(*x)).collect());
        Value::List(rows.iter().map(row).collect())
    }

    #[test]
    fn tensors_go_in_and_come_out_by_name() {
        let outputs = call("shape.onnx", "x", numbers(&[&[1.5, 2.0, 3.0]])).run().unwrap().outputs;
        let outputs = outputs["output"].as_map().unwrap();
        assert_eq!(outputs.keys().collect::<Vec<_>>(), ["shape", "size", "same"]);
        let shape = outputs["shape"].as_map().unwrap();
        assert_eq!(shape["dtype"].as_str(), Some("<i8"));
        assert_eq!(
            shape["value"].clone().into_bytes().unwrap().as_ref(),
            [1i64, 3].map(i64::to_le_bytes).as_flattened()
        );
    }

    #[test]
    fn whole_numbers_are_taken_for_floats_only_when_asked() {
        let whole = Value::List(vec![Value::List((1..=4).map(Value::Int).collect())]);
        let error = call("mlp.onnx", "x", whole.clone()).run().unwrap_err();
        assert_eq!(
            error.message(),
            "model mlp.onnx: input \"x\" expects float32 [N, 4], given int64 [1, 4]; cast=true converts it"
        );
        assert_eq!(*error.kind(), ErrorKind::InvalidInput);
        assert!(call("mlp.onnx", "x", whole).field("cast", true).run().is_ok());
    }

    #[test]
    fn a_model_that_cannot_run_says_why() {
        let error = call("unsupported.onnx", "x", numbers(&[&[1.0]])).run().unwrap_err();
        assert!(error.message().contains("node \"inner_det\" (operator Det, domain ai.onnx)"), "{error}");
    }
}

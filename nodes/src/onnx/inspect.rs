//! What is in a model, and whether it will run here.

use millwork_worker::onnx::{Dim, ModelInfo, OnnxError, ValueInfo};
use millwork_worker::prelude::*;

use super::table;

/// Tells what is in an ONNX model: inputs, outputs, operator sets, operators, weights, and which operators keep it from
/// running here.
#[derive(Node)]
#[node("onnx.Inspect")]
pub(super) struct Inspect {
    /// Path of the .onnx file; empty for the built-in digits model.
    #[node(default)]
    model: String,
}

#[derive(Outputs)]
pub(super) struct Inspected {
    /// Everything as data.
    info: Map,
    /// The same as a table.
    text: String,
    /// Whether this build has all the operators.
    supported: bool,
}

impl Run for Inspect {
    type Output = Inspected;

    fn run(self, cx: &Context) -> Result<Inspected> {
        let info = cx.onnx().inspect(super::source(&self.model, cx)?).map_err(OnnxError::into_error)?;
        Ok(Inspected { text: text(&info), supported: info.unsupported.is_empty(), info: data(&info) })
    }
}

fn data(info: &ModelInfo) -> Map {
    let value = |value: &ValueInfo| {
        let dims = value.shape.as_ref().map(|dims| dims.iter().map(length).collect());
        map! { "name" => value.name.as_str(), "dtype" => value.dtype_name.as_str(), "shape" => dims.map_or(Value::Nil, Value::List) }
    };
    let values = |list: &[ValueInfo]| Value::List(list.iter().map(|item| Value::Map(value(item))).collect());
    let operators = info.operators.iter().map(|operator| {
        Value::Map(map! {
            "operator" => operator.op_type.as_str(), "domain" => operator.domain.as_str(), "count" => operator.count,
        })
    });
    let unsupported = info.unsupported.iter().map(|operator| {
        Value::Map(map! {
            "node" => operator.node.as_str(),
            "operator" => operator.op_type.as_str(),
            "domain" => operator.domain.as_str(),
            "reason" => operator.reason.unwrap_or("not in this build"),
        })
    });
    let opsets: Map = info.opsets.iter().map(|(domain, version)| (domain.clone(), Value::Int(*version))).collect();
    let metadata: Map = info.metadata.iter().map(|(key, text)| (key.clone(), Value::from(text.as_str()))).collect();
    map! {
        "name" => info.name.as_str(),
        "graph" => info.graph_name.as_str(),
        "producer" => info.producer.as_str(),
        "ir_version" => info.ir_version,
        "opsets" => opsets,
        "inputs" => values(&info.inputs),
        "outputs" => values(&info.outputs),
        "operators" => Value::List(operators.collect()),
        "unsupported" => Value::List(unsupported.collect()),
        "parameters" => info.parameters as i64,
        "parameter_bytes" => info.parameter_bytes as i64,
        "metadata" => metadata,
    }
}

/// A number where the length is fixed, its name where it has one, else `?`.
fn length(dim: &Dim) -> Value {
    match dim {
        Dim::Fixed(length) => Value::from(*length as i64),
        other => Value::from(other.to_string()),
    }
}

fn text(info: &ModelInfo) -> String {
    let line = |name: &str, text: String| vec![name.to_owned(), text];
    let opsets: Vec<String> = info.opsets.iter().map(|(domain, version)| format!("{domain} {version}")).collect();
    let operators: Vec<String> =
        info.operators.iter().map(|operator| format!("{} {}", operator.count, operator.op_type)).collect();
    let mut rows = vec![line("model", info.name.clone())];
    if !info.producer.is_empty() {
        rows.push(line("made by", info.producer.clone()));
    }
    rows.push(line("opset", format!("{} (file format {})", opsets.join(", "), info.ir_version)));
    rows.extend(info.inputs.iter().map(|input| line("input", format!("{}: {input}", input.name))));
    rows.extend(info.outputs.iter().map(|output| line("output", format!("{}: {output}", output.name))));
    let (parameters, bytes) = (table::short(info.parameters), table::short(info.parameter_bytes));
    rows.push(line("weights", format!("{parameters} in {bytes}B")));
    rows.push(line("operators", operators.join(", ")));
    rows.extend(info.metadata.iter().map(|(key, text)| line(key, text.chars().take(200).collect())));
    if info.unsupported.is_empty() {
        rows.push(line("supported", "yes, all operators".into()));
    }
    rows.extend(info.unsupported.iter().map(|operator| line("problem", operator.to_string())));
    table::columns(&rows)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use millwork_worker::testing::NodeTest;

    use super::*;

    #[test]
    fn the_built_in_model_is_described() {
        let outputs = NodeTest::new::<Inspect>().run().unwrap().outputs;
        let text = outputs["text"].as_str().unwrap();
        for line in ["image: float32 [N, 1, 8, 8]", "scores: float32 [N, 10]", "17.2 k in 68.9 kB", "3 Gemm, 2 Relu"] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert_eq!(outputs["supported"], Value::Bool(true));
        let inputs = outputs["info"].get("inputs").and_then(Value::as_list).unwrap();
        let dims = [Value::from("N"), Value::Int(1), Value::Int(8), Value::Int(8)];
        assert_eq!(inputs[0].get("shape").and_then(Value::as_list), Some(&dims[..]));
    }

    #[test]
    fn what_is_missing_is_named_and_bad_files_are_errors() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/tests/onnx");
        let inspect = |model: &str| NodeTest::new::<Inspect>().workspace(&folder).field("model", model).run();
        let outputs = inspect("unsupported.onnx").unwrap().outputs;
        assert_eq!(outputs["supported"], Value::Bool(false));
        assert!(outputs["text"].as_str().unwrap().contains("problem    node \"outer_foo\" (operator FooBar"));

        for (model, text) in [
            ("truncated.onnx", "truncated.onnx is not a readable ONNX model"),
            ("text.onnx", "text.onnx is not a readable ONNX model"),
            ("absent.onnx", "absent.onnx"),
            ("/etc/passwd", "outside the workspace"),
        ] {
            let error = inspect(model).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(text), "{error}");
        }
    }
}

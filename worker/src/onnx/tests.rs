//! Real files, made by `tests/onnx/make_models.py`; what they should compute is onnxruntime's answer.

use std::fs;
use std::path::PathBuf;

use indexmap::indexmap;
use serde_json::Value;

use super::*;
use crate::convert::DType;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(name)
}

fn service() -> Onnx {
    Onnx::new(ModelCache::new(64 << 20), 2)
}

fn load(name: &str) -> Model {
    service().load(file(name), &CacheUser::default()).unwrap()
}

fn refused(name: &str) -> OnnxError {
    service().load(file(name), &CacheUser::default()).unwrap_err()
}

type Named = IndexMap<String, Tensor>;

fn tensors(json: &Value) -> Named {
    let tensor = |json: &Value| {
        let numbers = |key: &str| json[key].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<_>>();
        let shape: Vec<usize> = numbers("shape").iter().map(|n| *n as usize).collect();
        let wide = Tensor::from_slice(&shape, &numbers("data")).unwrap();
        wide.cast(DType::from_numpy(json["dtype"].as_str().unwrap()).unwrap()).unwrap()
    };
    json.as_object().unwrap().iter().map(|(name, json)| (name.clone(), tensor(json))).collect()
}

/// Inputs, and what onnxruntime made of them.
fn expected(model: &str) -> Vec<(Named, Named)> {
    let json: Value = serde_json::from_slice(&fs::read(file("expected.json")).unwrap()).unwrap();
    let cases = json[model].as_array().unwrap();
    cases.iter().map(|case| (tensors(&case["inputs"]), tensors(&case["outputs"]))).collect()
}

fn assert_close(got: &Named, want: &Named, what: &str) {
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{what}");
    for (name, want) in want {
        let got = &got[name];
        assert_eq!((got.dtype, &got.shape), (want.dtype, &want.shape), "{what}: {name}");
        let scale = if want.dtype == DType::F16 { 2e-3 } else { 2e-5 };
        for (g, w) in got.to_array_as::<f64>().unwrap().iter().zip(want.to_array_as::<f64>().unwrap()) {
            assert!((g - w).abs() <= scale * w.abs().max(1.0), "{what}: {name}: {g} instead of {w}");
        }
    }
}

#[test]
fn results_agree_with_onnxruntime() {
    for name in ["mlp", "conv", "square", "unnamed", "powers", "tokens", "shape", "half", "bright", "lstm", "external"]
    {
        let model = load(&format!("{name}.onnx"));
        let cases = expected(name);
        assert!(!cases.is_empty());
        for (inputs, outputs) in cases {
            assert_close(&model.run(&inputs).unwrap(), &outputs, name);
            assert_close(&model.clone().per_shape().run(&inputs).unwrap(), &outputs, name);
            assert_close(&model.clone().with_threads(1).run(&inputs).unwrap(), &outputs, name);
        }
    }
}

#[test]
fn a_cancelled_run_ends_and_the_next_one_runs() {
    let cancel = crate::CancelToken::default();
    let model = load("mlp.onnx").with_cancel(cancel.clone());
    let (inputs, outputs) = expected("mlp").remove(0);
    assert_close(&model.run(&inputs).unwrap(), &outputs, "not cancelled");
    cancel.cancel();
    assert_eq!(model.run(&inputs).unwrap_err(), OnnxError::Cancelled);
    assert_eq!(*OnnxError::Cancelled.into_error().kind(), crate::ErrorKind::Cancelled);
    assert_close(&model.with_cancel(crate::CancelToken::default()).run(&inputs).unwrap(), &outputs, "the next one");
}

#[test]
fn one_symbolic_plan_serves_all_sizes_where_tract_can_make_one() {
    let onnx = service();
    let model = onnx.load(file("mlp.onnx"), &CacheUser::default()).unwrap();
    for (inputs, _) in expected("mlp") {
        model.run(&inputs).unwrap();
    }
    let names: Vec<String> = onnx.cache.usage().entries.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["mlp.onnx [of any size]", "mlp.onnx (weights)", "mlp.onnx"]);
}

#[test]
fn of_an_output_only_the_last_entry_can_be_asked_for() {
    let model = load("mlp.onnx");
    for (inputs, outputs) in expected("mlp") {
        let (name, whole) = outputs.first().unwrap();
        let mut shape = whole.shape.clone();
        let row = whole.data.len() / shape[0];
        shape[0] = 1;
        let last = Tensor::new(whole.dtype, shape, whole.data.slice(whole.data.len() - row..)).unwrap();
        let found = model.clone().with_last(name, 0).run(&inputs).unwrap();
        assert_close(&found, &indexmap! { name.clone() => last }, "the last of mlp");
        let refused = |model: Model| model.run(&inputs).unwrap_err().to_string();
        assert!(refused(model.clone().with_last("loss", 0)).contains("there is no output \"loss\""));
        assert!(refused(model.clone().with_last(name, 5)).contains("has no axis 5"));
    }
}

#[test]
fn where_symbols_fail_every_shape_has_its_plan() {
    let onnx = service();
    let model = onnx.load(file("unnamed.onnx"), &CacheUser::default()).unwrap();
    for (inputs, outputs) in expected("unnamed") {
        assert_close(&model.run(&inputs).unwrap(), &outputs, "unnamed");
    }
    let names: Vec<String> = onnx.cache.usage().entries.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names.iter().filter(|name| name.contains("x: ")).count(), 2, "{names:?}");
}

#[test]
fn constant_powers_are_multiplied_out() {
    use tract_onnx::prelude::InferenceModelExt;
    let source = Source::from(file("powers.onnx"));
    let graph = graph::parse(&source, &source.read().unwrap()).unwrap().value;
    let mut model = graph.0.into_typed().unwrap().into_decluttered().unwrap();
    assert_eq!(power::multiply_out(&mut model).unwrap(), 2);
    assert_eq!(power::multiply_out(&mut model).unwrap(), 0);
}

#[test]
fn all_unsupported_operators_are_named_at_once() {
    assert_eq!(
        refused("unsupported.onnx").to_string(),
        "model unsupported.onnx cannot run here: \
         node \"inner_det\" (operator Det, domain ai.onnx) is not supported by this build; \
         node \"outer_foo\" (operator FooBar, domain com.acme) is not supported by this build; \
         node \"other_attention\" (operator Attention, domain com.microsoft) is not supported by this build"
    );
    let info = service().inspect(file("unsupported.onnx")).unwrap();
    assert_eq!(info.unsupported.len(), 3);
}

#[test]
fn what_would_be_computed_wrongly_is_refused() {
    let error = refused("bidirectional.onnx").to_string();
    assert!(error.contains("node \"both_ways\" (operator LSTM") && error.contains("bidirectional"), "{error}");
}

#[test]
fn files_that_are_no_models_are_errors() {
    let not_onnx = |name| match refused(name) {
        OnnxError::NotOnnx { model, .. } => assert_eq!(model, name),
        other => panic!("{name}: {other}"),
    };
    not_onnx("truncated.onnx");
    not_onnx("text.onnx");
    let empty = Source::bytes("empty", Vec::new());
    let error = service().load(empty, &CacheUser::default()).unwrap_err();
    assert_eq!(error.to_string(), "empty is not a readable ONNX model: there is no graph in it");
    assert!(matches!(refused("absent.onnx"), OnnxError::Read { .. }));
    let folder = service().load(file(""), &CacheUser::default()).unwrap_err();
    assert!(folder.to_string().ends_with("not a file"), "{folder}");
}

#[test]
fn every_prefix_and_every_flipped_byte_is_survived() {
    let whole = fs::read(file("mlp.onnx")).unwrap();
    let onnx = service();
    let (inputs, _) = expected("mlp").remove(0);
    let try_out = |data: Vec<u8>| {
        if let Ok(model) = onnx.load(Source::bytes("damaged", data), &CacheUser::default()) {
            let _ = model.run(&inputs);
        }
    };
    for length in 0..whole.len() {
        try_out(whole[..length].to_vec());
    }
    for i in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[i] ^= 0x55;
        try_out(damaged);
    }
}

#[test]
fn flaws_in_the_graph_are_named() {
    let flaw = |name, text: &str| {
        let error = refused(name).to_string();
        assert!(error.contains(text), "{error}");
    };
    flaw("no_output.onnx", "output \"nowhere\" is produced by no node");
    flaw("no_input.onnx", "tensor \"nobody\" is used but produced by no node");
    flaw("wrong_dims.onnx", "does not match shape");
}

#[test]
fn external_data_stays_in_its_folder() {
    let external = |name, text: &str| match refused(name) {
        OnnxError::ExternalData { tensor, reason, .. } => {
            assert_eq!(tensor, "w");
            assert!(reason.contains(text), "{reason}");
        }
        other => panic!("{name}: {other}"),
    };
    external("external_absent.onnx", "No such file");
    external("external_outside.onnx", "leads out");
    external("external_short.onnx", "the file has 256");
    let bytes = Source::bytes("bytes", fs::read(file("external.onnx")).unwrap());
    let error = service().load(bytes, &CacheUser::default()).unwrap_err();
    assert!(matches!(error, OnnxError::ExternalData { .. }), "{error}");
    assert!(service().inspect(file("external_absent.onnx")).is_ok());
}

#[test]
fn a_changed_file_is_loaded_anew_and_the_old_state_goes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["external.onnx", "weights.bin"] {
        fs::copy(file(name), folder.path().join(name)).unwrap();
    }
    let onnx = service();
    let (inputs, outputs) = expected("external").remove(0);
    let run = || {
        let model = onnx.load(folder.path().join("external.onnx"), &CacheUser::default()).unwrap();
        model.run(&inputs).unwrap()
    };
    assert_close(&run(), &outputs, "as it was");
    let before = onnx.cache.usage();

    // Other weights, of the same length: only the time of the change tells.
    let weights: Vec<u8> = (0..64u8).flat_map(|i| (f32::from(i) * 2.0).to_le_bytes()).collect();
    fs::write(folder.path().join("weights.bin"), weights).unwrap();
    let doubled = Tensor::from_array(ndarray::Array1::from_iter((0..64).map(|i| i as f32 * 2.0 + 1.0)).into_dyn());
    assert_close(&run(), &indexmap! {"y".to_owned() => doubled}, "with other weights");

    let mut data = fs::read(file("external.onnx")).unwrap();
    // An empty unknown field: another file, the same model.
    data.extend_from_slice(&[0xfa, 0x7f, 0x00]);
    fs::write(folder.path().join("external.onnx"), data).unwrap();
    run();
    let after = onnx.cache.usage();
    assert_eq!(before.entries.len(), after.entries.len());
}

#[test]
fn wrong_inputs_are_named_with_what_was_expected() {
    let onnx = service();
    let error = |model: &str, inputs: Named| {
        let model = onnx.load(file(model), &CacheUser::default()).unwrap();
        model.run(&inputs).unwrap_err().to_string()
    };
    let zeros = |dtype: DType, shape: &[usize]| {
        Tensor::from_slice(shape, &vec![0.0f32; shape.iter().product()]).unwrap().cast(dtype).unwrap()
    };
    let named = |name: &str, tensor| indexmap! {name.to_owned() => tensor};
    assert_eq!(
        error("mlp.onnx", named("x", zeros(DType::U8, &[1, 4]))),
        "model mlp.onnx: input \"x\" expects float32 [N, 4], given uint8 [1, 4]"
    );
    assert_eq!(
        error("mlp.onnx", named("x", zeros(DType::F32, &[1, 5]))),
        "model mlp.onnx: input \"x\" expects float32 [N, 4], given float32 [1, 5]"
    );
    assert_eq!(
        error("mlp.onnx", named("pixels", zeros(DType::F32, &[1, 4]))),
        "model mlp.onnx: it has no input \"pixels\"; its inputs are \"x\" (float32 [N, 4])"
    );
    assert_eq!(error("mlp.onnx", Named::new()), "model mlp.onnx: input \"x\" (float32 [N, 4]) is missing");
    let both = indexmap! {
        "ids".to_owned() => zeros(DType::I64, &[2, 7]),
        "mask".to_owned() => zeros(DType::F32, &[2, 6]),
    };
    let text = error("tokens.onnx", both);
    assert!(text.contains("input \"mask\"") && text.ends_with("but T is 7 in input \"ids\""), "{text}");
    let mut short = zeros(DType::F32, &[1, 4]);
    short.data.truncate(7);
    assert!(error("mlp.onnx", named("x", short)).contains("needs 16 bytes, but has 7"));
    let beyond = indexmap! {
        "ids".to_owned() => Tensor::from_slice(&[1, 1], &[99i64]).unwrap(),
        "mask".to_owned() => zeros(DType::F32, &[1, 1]),
    };
    assert!(error("tokens.onnx", beyond).starts_with("model tokens.onnx failed: "));
}

#[test]
fn empty_tensors_are_an_answer_or_an_error() {
    let model = load("mlp.onnx");
    let none = Tensor::new(DType::F32, vec![0, 4], bytes::Bytes::new()).unwrap();
    if let Ok(outputs) = model.run(&indexmap! {"x".to_owned() => none}) {
        assert_eq!(outputs["y"].shape, [0, 3]);
    }
}

#[test]
fn inspect_tells_what_is_in_the_file() {
    let info = service().inspect(file("mlp.onnx")).unwrap();
    assert_eq!((info.name.as_str(), info.graph_name.as_str(), info.ir_version), ("mlp.onnx", "test", 8));
    assert_eq!(info.producer, "make_models 1");
    assert_eq!(info.opsets, [("ai.onnx".to_owned(), 17)]);
    assert_eq!(info.metadata, [("labels".to_owned(), "red,green,blue".to_owned())]);
    assert_eq!(info.inputs[0].to_string(), "float32 [N, 4]");
    assert_eq!(info.outputs[0].to_string(), "float32 [N, 3]");
    let operators: Vec<(&str, usize)> = info.operators.iter().map(|op| (op.op_type.as_str(), op.count)).collect();
    assert_eq!(operators, [("Gemm", 2), ("Relu", 1), ("Softmax", 1)]);
    let parameters = 4 * 8 + 8 + 8 * 3 + 3;
    assert_eq!((info.parameters, info.parameter_bytes), (parameters, parameters * 4));
    assert!(info.unsupported.is_empty());
}

#[test]
fn a_model_in_use_cannot_be_evicted() {
    let onnx = service();
    let user = CacheUser { node_id: Some("n1".into()), job_id: None };
    let model = onnx.load(file("mlp.onnx"), &user).unwrap();
    let (inputs, outputs) = expected("mlp").remove(0);
    model.run(&inputs).unwrap();
    let evicted = onnx.cache.evict(&crate::models::EvictScope::default());
    assert_eq!(evicted.names.len(), 2, "plan and weights; not what the model holds: {evicted:?}");
    assert_close(&model.run(&inputs).unwrap(), &outputs, "planned again");
    drop(model);
    assert_eq!(onnx.cache.release_nodes(&["n1".into()]).names.len(), 3);
    assert_eq!(onnx.cache.usage().used_bytes, 0);
}

#[test]
fn many_threads_share_one_model() {
    let onnx = service();
    let cases = expected("conv");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let model = onnx.load(file("conv.onnx"), &CacheUser::default()).unwrap();
                    for (inputs, outputs) in &cases {
                        assert_close(&model.run(inputs).unwrap(), outputs, "conv");
                    }
                }
            });
        }
    });
}

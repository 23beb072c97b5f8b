//! The stock nodes as a host meets them: what there is, what they do with bad input, a real model, the GPU.

use millwork_e2e::process::repository;
use millwork_e2e::{Bytes, Launch, Map, PATIENCE, Peer, Program, Request, Value, map, skipped, within};

fn file(path: &str) -> Bytes {
    let path = repository().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

fn tensor(dtype: &str, shape: &[i64], bytes: &[u8]) -> Map {
    let shape = Value::List(shape.iter().map(|n| Value::Int(*n)).collect());
    map! { "type" => "np_array", "dtype" => dtype, "shape" => shape, "value" => Bytes::copy_from_slice(bytes) }
}

/// Promise 4: every kind of bad input is an error that names it, and the next request is served.
#[test]
fn p04_bad_input_of_stock_nodes_is_named_and_the_next_request_served() {
    let image = file("nodes/models/digits/examples/3.png");
    let node = Request::node;
    let cases = [
        ("no image", node("image.Blur").blob("image", &b"this is no picture at all"[..]), "image"),
        ("a truncated image", node("image.Blur").blob("image", image.slice(..image.len() / 2)), "image"),
        ("no bytes", node("image.Info").blob("image", Bytes::new()), "image"),
        ("a missing field", node("image.Blur").field("sigma", 2), "image"),
        ("a wrong type", node("image.Blur").blob("image", image.clone()).field("sigma", "much"), "sigma"),
        ("out of range", node("image.Blur").blob("image", image.clone()).field("sigma", -1), "sigma"),
        (
            "no such choice",
            node("image.Resize").blob("image", image.clone()).field("width", 4).field("fit", "x"),
            "fit",
        ),
        ("a corrupt model", node("onnx.Inspect").field("model", "corrupt.onnx"), "corrupt.onnx"),
        ("a truncated model", node("onnx.Inspect").field("model", "truncated.onnx"), "truncated.onnx"),
        (
            "an operator that is not supported",
            node("onnx.Run").field("model", "unsupported.onnx").field("inputs", Map::new()),
            "unsupported.onnx",
        ),
        ("no such model", node("onnx.Inspect").field("model", "absent.onnx"), "absent.onnx"),
        ("a model outside the workspace", node("onnx.Inspect").field("model", "/etc/passwd"), "/etc/passwd"),
        ("a link out", node("onnx.Inspect").field("model", "../../etc/passwd"), "etc/passwd"),
        (
            "a picture outside the workspace",
            node("image.Info").field("image", map! { "type" => "image", "uri" => "file:///etc/passwd" }),
            "/etc/passwd",
        ),
        (
            "writing outside the workspace",
            node("tensor.Save").field("tensor", tensor("<f4", &[1], &[0; 4])).field("path", "/tmp/outside.npy"),
            "outside.npy",
        ),
        ("bytes and shape", node("tensor.Softmax").field("tensor", tensor("<f4", &[2, 3], &[0; 20])), "24"),
        ("an absurd shape", node("tensor.Softmax").field("tensor", tensor("<f4", &[i64::MAX, 4], &[0; 16])), "tensor"),
        ("a negative shape", node("tensor.Softmax").field("tensor", tensor("<f4", &[-1], &[0; 4])), "shape"),
        ("no such dtype", node("tensor.Softmax").field("tensor", tensor("<f3", &[1], &[0; 3])), "<f3"),
        ("too much to make", node("tensor.Create").field("shape", vec![1_000_000_000, 1_000_000_000]), "shape"),
        ("no audio", node("audio.Info").blob("audio", &b"no music"[..]), "not a sound file"),
        ("no JSON", node("json.Parse").field("text", "{\"a\": "), "line 1"),
        ("no regular expression", node("text.Regex").field("text", "a").field("pattern", "(a"), "pattern"),
        ("no template", node("text.Format").field("template", "{{ a"), "template"),
        ("a missing secret", node("test.NeedsSecret"), "TEST_SECRET"),
    ];
    for program in Program::BOTH {
        let launch = program
            .launch()
            .file("corrupt.onnx", b"\x08\x07this is no model, whatever its name says")
            .file("truncated.onnx", file("worker/tests/onnx/truncated.onnx"))
            .file("unsupported.onnx", file("worker/tests/onnx/unsupported.onnx"));
        let mut peer = launch.start().ready();
        let mut wrong = Vec::new();
        for (name, request, named) in &cases {
            let answer = peer.execute(request.clone());
            let text = answer.data.get("error").and_then(Value::as_str).unwrap_or_default();
            if answer.kind != "error" || !text.contains(named) {
                wrong.push(format!("{name}: {text:?} does not say {named:?}, {}", answer.kind));
            }
            if answer.data.get("kind").and_then(Value::as_str) == Some("panic") {
                wrong.push(format!("{name}: a panic: {text}"));
            }
            peer.is_well();
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        // A field that a node does not know is passed over, and the log says so.
        let retired = peer.execute(Request::node("image.Invert").blob("image", image.clone()).field("retired", 1));
        assert_eq!(retired.kind, "result");
        assert!(within(PATIENCE, || peer.stderr().contains("retired")));
    }
}

/// What `millwork nodes` shows: at least 90 stock nodes, each with a description, and types that are known.
#[test]
fn p05_the_inventory_is_complete_and_described() {
    const TYPES: &[&str] = &[
        "any",
        "asset",
        "audio",
        "bool",
        "dataframe",
        "dict",
        "enum",
        "float",
        "image",
        "int",
        "list",
        "model_3d",
        "np_array",
        "str",
        "tensor",
        "text",
        "tuple",
        "union",
        "video",
    ];
    let output = Launch::of("millwork").args(["nodes", "--json"]).run();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = listed["nodes"].as_array().or(listed.as_array()).unwrap();
    assert!(nodes.len() >= 90, "{} nodes", nodes.len());
    for node in nodes {
        let name = node["node_type"].as_str().unwrap();
        assert!(!name.starts_with("test."), "{name} is for tests");
        assert!(node["description"].as_str().is_some_and(|text| text.len() > 5), "{name} has no description");
        for port in ["properties", "outputs"].iter().flat_map(|ports| node[ports].as_array().unwrap()) {
            let kind = port["type"]["type"].as_str().unwrap();
            // The models of a kind, as hosts name them.
            let is_model = kind.ends_with("_model") || kind.starts_with("hf.");
            assert!(is_model || TYPES.contains(&kind), "{name}.{}: {kind}", port["name"]);
        }
        for property in node["properties"].as_array().unwrap() {
            assert!(property["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}: {property}");
        }
    }
    let with_tests = Launch::of("millwork").args(["nodes", "--test-nodes"]).run();
    assert!(String::from_utf8_lossy(&with_tests.stdout).contains("test.Broken"), "the deliberate load error is shown");
}

/// The shipped model reads at least 95 % of the digits that it was not trained on. The tiles are cut by `image.Crop`.
#[test]
fn p01_the_digits_model_reads_what_it_has_never_seen() {
    const SIDE: usize = 8;
    const A_ROW: usize = 24;
    let labels = file("nodes/models/digits/test_labels.txt");
    let labels: Vec<char> = String::from_utf8_lossy(&labels).trim().chars().collect();
    assert!(labels.len() >= 300);
    let sheet = file("nodes/models/digits/test.png");
    for program in Program::BOTH {
        let mut peer = program.start();
        let right = labels.iter().enumerate().filter(|(i, label)| {
            let crop = Request::node("image.Crop").blob("image", sheet.clone());
            let crop = crop.field("x", i % A_ROW * SIDE).field("y", i / A_ROW * SIDE);
            let tile = peer.execute(crop.field("width", SIDE).field("height", SIDE)).blob("output");
            let answer = peer.execute(Request::node("onnx.Classify").blob("image", tile));
            answer.output("label").as_str() == Some(label.to_string().as_str())
        });
        let share = right.count() as f64 / labels.len() as f64;
        assert!(share >= 0.95, "{program:?}: {share:.3} of {}", labels.len());
    }
}

/// The same by the command: a picture in, the digit out.
#[test]
fn p01_the_command_classifies_a_picture() {
    for digit in 0..10 {
        let path = repository().join(format!("nodes/models/digits/examples/{digit}.png"));
        let output = Launch::of("millwork")
            .args([
                "run".to_owned(),
                "onnx.Classify".to_owned(),
                format!("image={}", path.display()),
                "--json".to_owned(),
            ])
            .run();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["label"].as_str(), Some(digit.to_string().as_str()), "{answer}");
    }
}

fn gpu_of(peer: &mut Peer) -> Value {
    peer.ask("worker.status", Map::new()).data["extensions"].get("gpu").unwrap().clone()
}

pub(crate) fn has_vulkan() -> bool {
    ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .any(|mut drivers| drivers.next().is_some())
}

/// The kernels agree with their twins on the CPU, here on whatever Vulkan there is.
#[test]
fn p01_gpu_kernels_agree_with_their_twins() {
    if !has_vulkan() {
        return skipped("no Vulkan driver: GPU kernels against their CPU twins");
    }
    let mut peer = Program::Supervisor.start();
    let answer = peer.execute(Request::node("gpu.SelfTest"));
    assert_eq!(answer.output("device"), &Value::from("gpu"), "{answer:?}");
    for kernel in answer.output("output").as_list().unwrap() {
        assert_eq!(kernel.get("passed"), Some(&Value::Bool(true)), "{kernel:?}");
    }
    let status = gpu_of(&mut peer);
    assert_eq!(status.get("available"), Some(&Value::Bool(true)), "{status:?}");
    let is_software = status.get("device_type") == Some(&Value::from("cpu"));
    assert_eq!(status.get("software"), Some(&Value::Bool(is_software)), "a software adapter is called that");
}

/// Without a driver the same nodes run on the CPU, the status says so, and nothing else changes.
#[test]
fn p01_without_a_driver_gpu_nodes_run_on_the_cpu() {
    for program in Program::BOTH {
        let nowhere = "/no/such/driver.json";
        let launch = program.launch().env("VK_DRIVER_FILES", nowhere).env("VK_ICD_FILENAMES", nowhere);
        let mut peer = launch.start().ready();
        let answer = peer.execute(Request::node("gpu.SelfTest"));
        assert_eq!(answer.output("device"), &Value::from("cpu"), "{answer:?}");
        assert!(!answer.output("output").as_list().unwrap().is_empty());
        let one = tensor("<f4", &[1, 1], &1f32.to_le_bytes());
        let product = peer.execute(Request::node("gpu.MatMul").field("a", one.clone()).field("b", one));
        assert_eq!(product.kind, "result", "{product:?}");
        let status = gpu_of(&mut peer);
        assert_ne!(status.get("available"), Some(&Value::Bool(true)), "{status:?}");
        peer.is_well();
    }
}

/// Promise 4: a shader that does not compile is refused with line and column.
#[test]
fn p04_a_shader_that_does_not_compile_says_where() {
    if !has_vulkan() {
        return skipped("no Vulkan driver: shaders that do not compile");
    }
    for program in Program::BOTH {
        let mut peer = program.start();
        let shader = "@compute @workgroup_size(1)\nfn main() {\n    let x: f32 = ;\n}\n";
        let broken = peer.execute(Request::node("gpu.Compute").field("source", shader).field("shape", vec![1]));
        assert_eq!(broken.error_kind(), "invalid_input", "{broken:?}");
        assert!(broken.error().contains("line 3"), "it names the line: {broken:?}");
        peer.is_well();
    }
}

/// Promises 4 and 6: a shader that runs too long ends with its worker at the latest, and the next request is served.
#[test]
fn p06_a_shader_that_runs_too_long_is_ended() {
    if !has_vulkan() {
        return skipped("no Vulkan driver: shaders that run too long");
    }
    let mut peer = Program::Supervisor.start();
    // Within the iterations that a software adapter allows an invocation, times very many invocations.
    let shader = "@group(0) @binding(0) var<storage, read_write> out: array<f32>;\n\
        @compute @workgroup_size(64)\nfn main(@builtin(global_invocation_id) id: vec3<u32>) {\n\
        var x = f32(id.x);\nfor (var i = 0u; i < 60000u; i++) { x = sin(x) + 1.0; }\nout[id.x % 64u] = x;\n}\n";
    let long = Request::node("gpu.Compute").field("source", shader).field("shape", vec![64]);
    let long = long.field("workgroups", vec![65_535, 100]).field("timeout", 0.5);
    let answer = peer.execute(long);
    assert_eq!(answer.kind, "error", "{answer:?}");
    assert!(["timeout", "unavailable", "worker_died"].contains(&answer.error_kind()), "{answer:?}");
    // Until the worker has gone, a request may still be given to it, and is then told to try again.
    let add = Request::node("test.Add");
    let served = within(PATIENCE, || {
        let answer = peer.execute(add.clone());
        assert!(answer.kind == "result" || answer.data["retryable"] == Value::Bool(true), "{answer:?}");
        answer.kind == "result"
    });
    assert!(served);
}

//! The nodes as a worker calls them. On a machine without an adapter the GPU half says that it was skipped.

use millwork_worker::convert::FromWire;
use millwork_worker::gpu::Gpu;
use millwork_worker::prelude::*;
use millwork_worker::testing::NodeTest;

use super::*;

fn has_gpu() -> bool {
    match Gpu::from_env().require() {
        Ok(_) => true,
        Err(error) => {
            println!("skipped: {error}");
            false
        }
    }
}

fn tensor(shape: &[usize], values: &[f32]) -> Value {
    Tensor::from_slice(shape, values).unwrap().to_default()
}

/// The devices to try: the CPU, and the GPU where there is one.
fn devices() -> Vec<&'static str> {
    if has_gpu() { vec!["cpu", "gpu", "auto"] } else { vec!["cpu", "auto"] }
}

fn used(device: &str) -> &str {
    match device {
        "auto" if has_gpu() => "gpu",
        "auto" => "cpu",
        other => other,
    }
}

/// The values of a float32 tensor in a slot.
fn values(slot: &Value) -> Vec<f32> {
    let bytes = slot.as_map().unwrap()["value"].clone().into_bytes().unwrap();
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

const SCALE: &str = "
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<uniform> by: f32;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x < arrayLength(&y) { y[id.x] = x[id.x] * by; }
}";

fn scale() -> NodeTest {
    let inputs = vec![tensor(&[5], &[1.0, 2.0, 3.0, 4.0, 5.0]), Value::Float(0.5)];
    NodeTest::new::<Compute>().field("source", SCALE).field("inputs", inputs).field("shape", vec![5])
}

#[test]
fn compute_runs_a_shader_of_the_users() {
    if !has_gpu() {
        return;
    }
    let answer = scale().run().unwrap();
    assert_eq!(values(&answer.outputs["output"]), [0.5, 1.0, 1.5, 2.0, 2.5]);
    // Four of the five elements.
    let answer = scale().field("workgroups", vec![1, 1]).run().unwrap();
    assert_eq!(values(&answer.outputs["output"]), [0.5, 1.0, 1.5, 2.0, 0.0]);
}

#[test]
fn compute_says_what_is_wrong() {
    for (call, kind, text) in [
        (scale().field("source", "fn main( {}"), ErrorKind::InvalidInput, "WGSL line 1, column 10: "),
        (scale().field("source", "fn main() {}"), ErrorKind::InvalidInput, "no `@compute` function"),
        (
            scale().field("entry_point", "other"),
            ErrorKind::InvalidInput,
            "`other`; the shader's compute entry points are: main",
        ),
        (scale().field("shape", vec![0]), ErrorKind::InvalidInput, "field `shape` is [0]"),
        (scale().field("shape", vec![1_i64 << 40]), ErrorKind::TooLarge, "the limit is 268435456"),
        (scale().field("inputs", Vec::<Value>::new()), ErrorKind::InvalidInput, "@binding(0)"),
        (scale().field("inputs", vec![5_000_000_000_i64]), ErrorKind::InvalidInput, "does not fit int32"),
        (scale().field("timeout", 1e9), ErrorKind::InvalidInput, "timeout"),
        (scale().field("workgroups", vec![1, 1, 1, 1]), ErrorKind::InvalidInput, "more than three"),
    ] {
        let error = call.run().unwrap_err();
        assert!(error.message().contains(text), "{error}, not {text}");
        assert_eq!(*error.kind(), kind, "{error}");
    }
    if has_gpu() {
        let error = scale().field("workgroups", vec![100_000]).run().unwrap_err();
        assert!(error.message().starts_with("100000 workgroups along x"), "{error}");
    }
}

#[test]
fn products_on_every_device() {
    for device in devices() {
        let call = |b: &[usize]| {
            let b = tensor(b, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            let a = tensor(&[1, 3], &[1.0, 10.0, 100.0]);
            NodeTest::new::<MatMul>().field("a", a).field("b", b).field("device", device)
        };
        let answer = call(&[3, 2]).run().unwrap();
        assert_eq!(values(&answer.outputs["output"]), [531.0, 642.0], "{device}");
        assert_eq!(answer.outputs["device"], Value::from(used(device)));
        let error = call(&[2, 3]).run().unwrap_err();
        assert!(error.message().contains("[1, 3]") && error.message().contains("[2, 3]"), "{error}");
        assert!(call(&[6]).run().unwrap_err().message().contains("`b` must be a matrix"));
    }
}

#[test]
fn reductions_on_every_device() {
    for device in devices() {
        for (operation, expected) in [("sum", 6.0), ("min", -1.0), ("max", 4.0), ("mean", 1.5)] {
            let call = NodeTest::new::<Reduce>().field("tensor", tensor(&[2, 2], &[1.0, 2.0, -1.0, 4.0]));
            let answer = call.field("operation", operation).field("device", device).run().unwrap();
            assert_eq!(answer.outputs["output"], Value::Float(expected), "{operation} on {device}");
        }
        let odd = |values: &[f32]| {
            let tensor = tensor(&[values.len()], values);
            NodeTest::new::<Reduce>().field("tensor", tensor).field("device", device)
        };
        if device != "gpu" {
            let sum = odd(&[1.0, f32::INFINITY]).run().unwrap();
            assert_eq!(sum.outputs["output"], Value::Float(f64::INFINITY));
            assert_eq!(sum.outputs["device"], Value::from("cpu"));
        }
        assert!(odd(&[]).field("operation", "mean").run().unwrap_err().message().contains("empty"));
        assert_eq!(odd(&[]).run().unwrap().outputs["output"], Value::Float(0.0));
    }
}

#[test]
fn convolutions_of_tensors_and_pictures() {
    let kernel = tensor(&[1, 3], &[0.0, 0.0, 1.0]);
    let mut picture = image::RgbaImage::from_pixel(3, 2, image::Rgba([10, 20, 30, 200]));
    picture.put_pixel(2, 0, image::Rgba([90, 80, 70, 0]));
    let png = Image::from(picture).to_png().unwrap();
    for device in devices() {
        let call = || NodeTest::new::<Convolve>().field("kernel", kernel.clone()).field("device", device);
        let answer = call().field("tensor", tensor(&[1, 4], &[1.0, 2.0, 3.0, 4.0])).run().unwrap();
        assert_eq!(values(&answer.outputs["tensor"]), [2.0, 3.0, 4.0, 4.0], "{device}");
        assert_eq!(answer.outputs["image"], Value::Nil);

        let answer = call().blob("image", png.clone()).run().unwrap();
        let result = Image::decode(&answer.blobs["image"]).unwrap().to_rgba8();
        // The colour came one to the left; the alpha stayed.
        assert_eq!(result.get_pixel(1, 0).0, [90, 80, 70, 200], "{device}");
        assert_eq!(result.get_pixel(2, 0).0, [90, 80, 70, 0]);
        assert_eq!(result.get_pixel(0, 1).0, [10, 20, 30, 200]);

        assert!(call().run().unwrap_err().message().contains("either"));
        let even = call().field("kernel", tensor(&[2, 2], &[1.0; 4])).field("tensor", tensor(&[1, 1], &[1.0]));
        assert!(even.run().unwrap_err().message().contains("must be odd"));
    }
}

#[test]
fn mandelbrot_tells_its_progress_and_can_be_cancelled() {
    for device in devices() {
        let call = || NodeTest::new::<Mandelbrot>().field("width", 96).field("height", 64).field("device", device);
        let outcome = call().outcome();
        let answer = outcome.result.unwrap();
        let picture = Image::decode(&answer.blobs["output"]).unwrap().to_rgb8();
        assert_eq!((picture.dimensions(), picture.get_pixel(60, 32).0), ((96, 64), [0; 3]));
        assert_ne!(picture.get_pixel(0, 0).0, [0; 3]);
        assert!(outcome.progress.len() >= 16, "{}", outcome.progress.len());

        let token = millwork_worker::CancelToken::default();
        token.cancel();
        let error = call().cancel(&token).run().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Cancelled, "{device}");
        assert!(call().field("width", 0).run().unwrap_err().message().contains("width"));
    }
}

#[test]
fn the_self_test_passes_and_says_on_what() {
    for device in devices() {
        let answer = NodeTest::new::<SelfTest>().field("device", device).run().unwrap();
        let table = answer.outputs["table"].as_str().unwrap();
        println!("{table}");
        let rows = answer.outputs["output"].as_list().unwrap();
        assert_eq!(rows.len(), 4);
        for row in rows {
            let row = row.as_map().unwrap();
            assert_eq!(row["passed"], Value::Bool(true));
            assert_eq!(row["error"].is_nil(), used(device) == "cpu", "{row:?}");
        }
        assert_eq!(table.starts_with("CPU path only"), used(device) == "cpu");
    }
}

#[test]
fn info_is_true() {
    let answer = NodeTest::new::<Info>().run().unwrap();
    let info = answer.outputs["output"].as_map().unwrap();
    assert_eq!(info["available"], Value::Bool(has_gpu()));
    assert!(info.contains_key("reason") || info.contains_key("name"), "{info:?}");
    println!("{info:?}");
}

/// The same tests once more in a process that has no driver: the CPU path, and no panic.
#[test]
fn without_a_driver_everything_runs_on_the_cpu() {
    if std::env::var_os("MILLWORK_TEST_NO_DRIVER").is_some() {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "a test that needs a process of its own")]
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["gpu::tests::", "--nocapture"])
        .env("MILLWORK_TEST_NO_DRIVER", "1")
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("CPU path only: no GPU is available"), "{text}");
}

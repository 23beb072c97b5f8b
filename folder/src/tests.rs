//! Whole folders: loaded as a worker loads them, and run as a host runs them.

use std::path::Path;

use millwork_worker::Package;
use millwork_worker::convert::{Image, Tensor};
use millwork_worker::node::{Emitted, Entry};
use millwork_worker::prelude::*;
use millwork_worker::testing::NodeTest;

const HEAD: &str = "[package]\nname = \"acme\"\nversion = \"1.0.0\"\n";

const DIGIT: &str = r#"
[[node]]
type = "acme.Digit"

[[node.field]]
name = "picture"
type = "image"

[[node.field]]
name = "best"
type = "int"
default = 3
min = 1

[[node.step]]
onnx = "digits.onnx"

[[node.step.input]]
name = "image"
from = "picture"
fit = "stretch"

[[node.output]]
name = "digit"
from = "scores"
as = "label"
labels = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

[[node.output]]
name = "all"
from = "scores"
as = "labels"
top = "best"
"#;

const SHADER: &str = r#"
struct Params { width: u32, height: u32, gain: f32, _pad: u32 }
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(8, 8)
fn flip(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= params.width || at.y >= params.height { return; }
    result[at.y * params.width + at.x] = source[at.y * params.width + params.width - 1u - at.x];
}

@compute @workgroup_size(8, 8)
fn brighten(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= params.width || at.y >= params.height { return; }
    let i = at.y * params.width + at.x;
    result[i] = vec4f(source[i].rgb * params.gain, source[i].a);
}
"#;

const FILTER: &str = r#"
[[node]]
type = "acme.Filter"
[[node.field]]
name = "photo"
type = "image"
[[node.field]]
name = "gain"
type = "float"
default = 0.5
[[node.buffer]]
name = "pixels"
from = "photo"
[[node.buffer]]
name = "flipped"
like = "pixels"
[[node.buffer]]
name = "bright"
like = "photo"
[[node.step]]
wgsl = "filter.wgsl"
entry = "flip"
dispatch = ["photo.width", "photo.height"]
bind = { source = "pixels", result = "flipped" }
uniforms = { width = "photo.width", height = "photo.height", gain = 1 }
[[node.step]]
wgsl = "filter.wgsl"
entry = "brighten"
dispatch = ["photo.width", "photo.height"]
bind = { source = "flipped", result = "bright" }
uniforms = { width = "photo.width", height = "photo.height", gain = "gain * 2" }
[[node.output]]
name = "picture"
from = "bright"
"#;

/// A folder with the digits model, the shader above, and this package.toml.
fn folder(nodes: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nodes/models/digits/digits.onnx");
    std::fs::copy(digits, folder.path().join("digits.onnx")).unwrap();
    std::fs::write(folder.path().join("filter.wgsl"), SHADER).unwrap();
    std::fs::write(folder.path().join("package.toml"), format!("{HEAD}{nodes}")).unwrap();
    folder
}

fn entry(package: Package, node_type: &str) -> Entry {
    let problems = format!("{package:?}");
    package.into_entries().into_iter().find(|entry| entry.metadata.node_type == node_type).expect(&problems)
}

fn call(nodes: &str, node_type: &str, fields: impl FnOnce(NodeTest) -> NodeTest) -> Result<Emitted> {
    let folder = folder(nodes);
    let entry = entry(crate::package(folder.path()), node_type);
    fields(NodeTest::of(entry)).run()
}

/// What did not load, as `module phase error_type file:line:column error`.
fn errors(nodes: &str) -> Vec<String> {
    let folder = folder(nodes);
    let package = crate::package(folder.path());
    let shown = |e: &millwork_worker::protocol::message::LoadError| {
        let extra = |key: &str| {
            e.extra.get(key).map(|v| v.as_str().map_or_else(|| format!("{}", v.as_i64().unwrap()), str::to_owned))
        };
        let place = ["file", "line", "column"].map(|key| extra(key).unwrap_or_default()).join(":");
        format!("{} {} {} {place} {} [{}]", e.module, e.phase, e.error_type, e.error, extra("hint").unwrap_or_default())
    };
    package.errors().iter().map(shown).collect()
}

fn only(nodes: &str) -> String {
    let all = errors(nodes);
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0].clone()
}

fn example(digit: usize) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../nodes/models/digits/examples/{digit}.png"));
    std::fs::read(path).unwrap()
}

#[test]
fn a_model_is_a_node() {
    let answer = call(DIGIT, "acme.Digit", |call| call.blob("picture", example(7)).field("best", 2)).unwrap();
    assert_eq!(answer.outputs["digit"], Value::from("seven"));
    let all = answer.outputs["all"].as_list().unwrap();
    assert_eq!((all.len(), all[0].get("label").and_then(Value::as_str)), (2, Some("7")));
    let error = call(DIGIT, "acme.Digit", |call| call.blob("picture", example(7)).field("best", 0)).unwrap_err();
    assert_eq!(error.message(), "field `best`: must be at least 1, got 0");
    let error = call(DIGIT, "acme.Digit", |call| call).unwrap_err();
    assert_eq!(error.message(), "field `picture` is missing: it needs a picture");
}

#[test]
fn shaders_in_a_row_are_a_node() {
    let picture = image::RgbImage::from_fn(19, 11, |x, y| image::Rgb([10 * x as u8, 20 * y as u8, 7]));
    let png = Image::from(picture.clone()).to_png().unwrap();
    let answer = call(FILTER, "acme.Filter", |call| call.blob("photo", png).field("gain", 0.25));
    let answer = match answer {
        Err(error) if error.message().contains("no GPU") => return eprintln!("skipped: no Vulkan driver here"),
        answer => answer.unwrap(),
    };
    let result = image::load_from_memory(&answer.blobs["picture"]).unwrap().to_rgb8();
    assert_eq!(result.dimensions(), (19, 11));
    for (x, y, pixel) in result.enumerate_pixels() {
        let from = picture.get_pixel(18 - x, y).0.map(|c| f32::from(c) * 0.5);
        assert!(pixel.0.iter().zip(from).all(|(c, f)| (f32::from(*c) - f).abs() <= 0.51), "{x},{y}: {pixel:?}");
    }
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    let digit = |from: &str, to: &str| only(&DIGIT.replace(from, to));
    assert_eq!(
        digit("digits.onnx", "digit.onnx"),
        "acme.Digit import MissingFile package.toml:19:8 there is no file digit.onnx [did you mean digits.onnx?]"
    );
    assert_eq!(
        digit("digits.onnx", "../x.onnx"),
        "acme.Digit import OutsideFolder package.toml:19:8 ../x.onnx leads out of the package's folder [put the file into the package]"
    );
    assert!(digit("digits.onnx", "filter.wgsl").starts_with("acme.Digit model_load InvalidModel package.toml:19:8 "));
    let text = digit("name = \"image\"\nfrom", "name = \"imag\"\nfrom");
    assert!(text.contains("the model has no input imag"), "{text}");
}

#[test]
fn every_problem_of_a_node_is_told() {
    let all = errors(
        &DIGIT.replace("name = \"image\"\nfrom", "name = \"imag\"\nfrom").replace("\"nine\"", "\"nine\", \"ten\""),
    );
    let kinds: Vec<&str> = all.iter().filter_map(|text| text.split(' ').nth(2)).collect();
    assert_eq!(kinds, ["UnknownInput", "LabelCount"], "{all:#?}");
    let filter = |from: &str, to: &str| only(&FILTER.replacen(from, to, 1));
    assert_eq!(filter("source = \"pixels\"", "sauce = \"pixels\"").split(' ').nth(2), Some("UnknownBinding"),);
}

#[test]
fn shaders_are_held_to_what_is_bound() {
    let kind = |from: &str, to: &str| {
        let text = errors(&FILTER.replacen(from, to, 1)).remove(0);
        text.split(' ').skip(1).take(3).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kind("entry = \"flip\"", "entry = \"flop\""), "shader_compile UnknownEntry package.toml:25:9");
    assert_eq!(kind("entry = \"flip\"\n", ""), "shader_compile UnknownEntry package.toml:24:8");
    assert_eq!(
        kind("name = \"pixels\"\nfrom", "name = \"pixels\"\nformat = \"rgba8\"\nfrom").split(' ').nth(1),
        Some("TypeMismatch")
    );
    assert_eq!(
        kind("\"photo.width\", \"photo.height\"", "\"photo.wide\""),
        "manifest InvalidExpression package.toml:26:13"
    );
    assert_eq!(
        kind("\"photo.width\", \"photo.height\"", "\"photo.width +\""),
        "manifest InvalidExpression package.toml:26:13"
    );
    assert_eq!(kind("gain = 1 }", "gian = 1 }").split(' ').nth(1), Some("UnknownBinding"));
    assert_eq!(kind("from = \"bright\"", "from = \"brigth\""), "manifest UnknownName package.toml:37:8");
}

#[test]
fn a_shader_that_does_not_compile_is_told_with_its_own_line() {
    let folder = folder(FILTER);
    std::fs::write(folder.path().join("filter.wgsl"), SHADER.replace("result[i] =", "result[i] = nothing +")).unwrap();
    let package = crate::package(folder.path());
    let error = &package.errors()[0];
    assert_eq!(
        (error.phase.as_str(), error.extra.get("file").and_then(Value::as_str)),
        ("shader_compile", Some("filter.wgsl"))
    );
    assert_eq!(error.extra.get("line").and_then(Value::as_i64), Some(17), "{error:?}");
}

const SCALED: &str = r#"
[[node]]
type = "acme.Scaled"
[[node.field]]
name = "x"
type = "tensor"
[[node.field]]
name = "by"
type = "list"
[[node.buffer]]
name = "b"
from = "x"
[[node.step]]
wgsl = "scale.wgsl"
dispatch = ["x.shape[0] * x.shape[1]"]
bind = { data = "b" }
uniforms = { by = "by", first = "by[0] * 10" }
[[node.output]]
name = "y"
from = "b"
"#;

const SCALE: &str = "
struct Params { by: vec3f, first: f32 }
@group(0) @binding(0) var<storage, read_write> data: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x < arrayLength(&data) { data[at.x] = data[at.x] * params.by[at.x % 3u] + params.first; }
}";

/// A list fills a vector of the shader, and its elements stand in expressions.
#[test]
fn lists_are_vectors_of_shaders() {
    let folder = folder(SCALED);
    std::fs::write(folder.path().join("scale.wgsl"), SCALE).unwrap();
    let entry = || entry(crate::package(folder.path()), "acme.Scaled");
    let tensor = Tensor::from_slice(&[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let call = |by: &[f64]| NodeTest::of(entry()).field("x", tensor.clone()).field("by", by.to_vec()).run();
    let answer = match call(&[1.0, 10.0, 100.0]) {
        Err(error) if error.message().contains("no GPU") => return eprintln!("skipped: no Vulkan driver here"),
        answer => answer.unwrap(),
    };
    let scaled = Tensor::from_slice(&[2, 3], &[11.0f32, 30.0, 310.0, 14.0, 60.0, 610.0]).unwrap();
    assert_eq!(answer.get::<Tensor>("y").unwrap(), scaled);
    let error = call(&[1.0]).unwrap_err();
    assert!(error.message().contains("\"by[1]\" has no value"), "{}", error.message());
}

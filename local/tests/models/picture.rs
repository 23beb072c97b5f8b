//! Stable Diffusion pipelines: what calls do with right and wrong parameters. The models are those of `tests/models/recipes/diffusion.py`.

use std::fs;
use std::path::{Path, PathBuf};

use millwork_local::{Local, Roots};
use millwork_worker::image::RgbImage;
use millwork_worker::prelude::*;
use millwork_worker::testing::{Called, NodeTest, ProviderTest};
use millwork_worker::{CancelToken, Options, Provider as _};

fn zoo() -> PathBuf {
    crate::models().join("zoo")
}

fn provider() -> ProviderTest<Local> {
    ProviderTest::new(Local::new(Roots::only(&[zoo()])))
}

fn png(called: &Called) -> Bytes {
    let answer = called.result.as_ref().unwrap_or_else(|error| panic!("{error}"));
    answer["blobs"].as_map().unwrap()["image"].clone().into_bytes().unwrap()
}

fn decoded(called: &Called) -> RgbImage {
    Image::decode(&png(called)).unwrap().to_rgb8()
}

fn params(more: Map) -> Map {
    let mut params =
        map! { "model" => "tiny-sd", "prompt" => "a red circle on black", "numInferenceSteps" => 3, "seed" => 5 };
    params.extend(more);
    map! { "params" => params }
}

fn refusal(data: Map) -> String {
    let error = provider().call("text_to_image", data).result.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::InvalidInput, "{error}");
    error.message().to_owned()
}

#[test]
fn a_seed_makes_the_same_picture_and_its_file_says_how() {
    let provider = provider();
    let first = provider.call("text_to_image", params(Map::new()));
    let bytes = png(&first);
    assert_eq!(decoded(&first).dimensions(), (64, 64));
    assert_eq!(first.result.as_ref().unwrap()["seed"], Value::Int(5));
    let text = b"a red circle on black\nSteps: 3, Sampler: euler, CFG scale: 7.5, Size: 64x64, Seed: 5, Model: tiny-sd";
    assert!(bytes.windows(text.len()).any(|part| part == text), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(bytes, png(&provider.call("text_to_image", params(Map::new()))));
    assert_ne!(bytes, png(&provider.call("text_to_image", params(map! { "seed" => 6 }))));
    let any = |_| png(&provider.call("text_to_image", params(map! { "seed" => -1 })));
    assert_ne!(any(0), any(1));
    // Older hosts send the parameters one level up, and with other names.
    let flat = map! {
        "model" => "tiny-sd", "prompt" => "a red circle on black", "num_inference_steps" => 3, "seed" => 5,
        "guidance_scale" => 7.5, "negative_prompt" => Value::Nil,
    };
    assert_eq!(decoded(&first), decoded(&provider.call("text_to_image", flat)));
}

#[test]
fn sizes_are_made_and_the_samplers_differ() {
    let provider = provider();
    let made = |name: &str| {
        let data = params(map! { "width" => 96.0, "height" => 64, "scheduler" => name, "guidanceScale" => 1.0 });
        let picture = decoded(&provider.call("text_to_image", data));
        assert_eq!(picture.dimensions(), (96, 64));
        picture
    };
    let all = ["euler", "EulerAncestralDiscreteScheduler", "DDIMScheduler", "lcm"].map(made);
    for (i, one) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|other| other != one), "{i}");
    }
}

#[test]
fn a_picture_is_made_over_the_more_the_stronger() {
    let provider = provider();
    let picture = RgbImage::from_fn(70, 100, |x, y| [3 * x as u8, 2 * y as u8, 90].into());
    let source = Image::from(picture.clone()).to_png().unwrap();
    let made = |more: Map| {
        let mut data = params(more);
        data.insert("image".to_owned(), Value::Bytes(source.clone()));
        provider.call("image_to_image", data)
    };
    let [hardly, little, much] = [0.1, 0.2, 0.9].map(|strength| {
        let called = made(map! { "strength" => strength, "numInferenceSteps" => 10, "guidanceScale" => 1.0 });
        let made = decoded(&called);
        // The sides are the picture's own, cut to what the model can make.
        assert_eq!(made.dimensions(), (64, 96));
        made
    });
    let apart = |a: &RgbImage, b: &RgbImage| {
        a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
    };
    assert!(apart(&hardly, &little) < apart(&hardly, &much));
    let called = made(map! { "targetWidth" => 128, "targetHeight" => 64, "strength" => 0.5 });
    assert_eq!(decoded(&called).dimensions(), (128, 64));
    let error = made(map! { "strength" => 0.2, "numInferenceSteps" => 4 }).result.unwrap_err();
    assert_eq!(error.message(), "`strength` 0.2 of 4 steps leaves none: raise it, or `num_inference_steps`");
    let error = provider.call("image_to_image", params(Map::new())).result.unwrap_err();
    assert_eq!(error.message(), "`image` is missing: the bytes of a picture");
}

#[test]
fn every_wrong_value_is_named() {
    for (more, message) in [
        (map! { "width" => 65 }, "`width` is 65: it must be a multiple of 8 from 64 to 2048"),
        (map! { "height" => 4096 }, "`height` is 4096: it must be a multiple of 8 from 64 to 2048"),
        (map! { "height" => "tall" }, "`height` must be a whole number"),
        (map! { "guidanceScale" => -1.0 }, "`guidance_scale` is -1: it must be 0 to 100"),
        (map! { "guidanceScale" => f64::NAN }, "`guidance_scale` is NaN: it must be 0 to 100"),
        (map! { "numInferenceSteps" => 0 }, "`num_inference_steps` is 0: it must be 1 to 1000"),
        (map! { "numInferenceSteps" => 1001 }, "`num_inference_steps` is 1001: it must be 1 to 1000"),
        (map! { "seed" => -2 }, "`seed` is -2: it must be 0 to 9007199254740992, or -1 for any"),
        (map! { "scheduler" => "magic" }, "`scheduler` \"magic\" is not known: euler, euler_a, ddim, lcm are"),
        (map! { "prompt" => Value::Nil }, "`prompt` is missing: what the picture shows"),
        (map! { "prompt" => 5 }, "`prompt` must be a text"),
        (map! { "scheduler" => "lcm", "numInferenceSteps" => 60 }, "`num_inference_steps` is 60: "),
        (map! { "noise" => Bytes::from_static(&[0; 40]) }, "`noise` has 10 numbers left where [1, 4, 8, 8] are needed"),
    ] {
        let found = refusal(params(more));
        assert!(found.starts_with(message), "{found}\n{message}");
    }
}

#[test]
fn a_prompt_that_is_too_long_is_cut_and_said_so() {
    let long = "a red circle ".repeat(40);
    let called = provider()
        .call("text_to_image", params(map! { "prompt" => long, "guidanceScale" => 1.0, "negativePrompt" => "x" }));
    let warnings = called.result.unwrap()["warnings"].as_list().unwrap().to_vec();
    assert!(warnings[0].as_str().unwrap().starts_with("`prompt` is too long: its last "), "{warnings:?}");
    assert_eq!(warnings[1].as_str(), Some("`negative_prompt` does not count with `guidance_scale` up to 1"));
    // Whoever watches is told too.
    let told =
        |progress: &Map| progress.get("message").and_then(Value::as_str).is_some_and(|text| text.starts_with('`'));
    assert_eq!(called.progress.iter().filter(|progress| told(progress)).count(), 2, "{:?}", called.progress);
}

#[test]
fn a_run_ends_when_it_is_cancelled() {
    let token = CancelToken::default();
    let provider = provider().cancel(&token);
    let stopper = token.clone();
    let (sender, started) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = started.recv();
        std::thread::sleep(std::time::Duration::from_millis(300));
        stopper.cancel();
    });
    sender.send(()).unwrap();
    let called =
        provider.call("text_to_image", params(map! { "numInferenceSteps" => 1000, "width" => 256, "height" => 256 }));
    thread.join().unwrap();
    assert_eq!(*called.result.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn pipelines_of_other_kinds_are_load_errors_and_calls_are_listed_where_they_work() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, file: &str, text: &str| {
        let path = folder.path().join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    at("xl", "model_index.json", r#"{"_class_name": "ORTStableDiffusionXLPipeline"}"#);
    at("flux", "model_index.json", r#"{"_class_name": "FluxPipeline"}"#);
    at("torn", "model_index.json", r#"{"_class_name": "#);
    at("empty", "model_index.json", r#"{"_class_name": "StableDiffusionPipeline"}"#);
    copy(&zoo().join("tiny-sd"), &folder.path().join("nine"));
    let unet = fs::read_to_string(folder.path().join("nine/unet/config.json")).unwrap();
    at("nine", "unet/config.json", &unet.replace("\"in_channels\": 4", "\"in_channels\": 9"));
    copy(&zoo().join("tiny-sd"), &folder.path().join("blind"));
    fs::remove_dir_all(folder.path().join("blind/vae_encoder")).unwrap();
    copy(&zoo().join("tiny-sd"), &folder.path().join("odd"));
    let path = folder.path().join("odd/scheduler/scheduler_config.json");
    let scheduler = fs::read_to_string(&path).unwrap().replace("\"epsilon\"", "\"flow\"");
    fs::write(path, scheduler).unwrap();

    let roots = Roots::only(&[folder.path().to_owned()]);
    let found = roots.scan();
    assert_eq!(found.models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["blind"]);
    let reason = |name: &str| {
        let file = folder.path().join(name);
        let problem = found.problems.iter().find(|problem| problem.file.starts_with(&file));
        let problem = problem.unwrap_or_else(|| panic!("{name}: {:?}", found.problems));
        (problem.reason.clone(), problem.is_unsupported)
    };
    let is_none = |class: &str| (format!("{class} is none of the pipelines that run here"), true);
    assert_eq!(reason("xl"), is_none("ORTStableDiffusionXLPipeline"));
    assert_eq!(reason("flux"), is_none("FluxPipeline"));
    assert!(reason("torn").0.starts_with("is not as such a file should be"));
    assert!(!reason("empty").1);
    assert_eq!(reason("nine"), ("the UNet takes 9 channels where the VAE has 4: no plain one".to_owned(), true));
    assert!(reason("odd").0.contains("unknown variant `flow`"), "{:?}", reason("odd"));

    assert_eq!(Local::new(roots.clone()).info().capabilities, ["text_to_image"]);
    let mut data = map! { "params" => map! { "model" => "blind", "prompt" => "a" } };
    data.insert("image".to_owned(), Value::Bytes(Image::from(RgbImage::new(64, 64)).to_png().unwrap()));
    let error = ProviderTest::new(Local::new(roots)).call("image_to_image", data).result.unwrap_err();
    assert!(error.message().contains("vae_encoder: has no model.onnx"), "{error}");
    let pictures = Local::new(Roots::only(&[zoo()])).info().capabilities;
    assert!(["text_to_image", "image_to_image"].iter().all(|call| pictures.iter().any(|has| has == call)));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target)
        } else {
            fs::copy(&entry, target).unwrap();
        }
    }
}

#[test]
fn the_nodes_make_what_the_calls_make() {
    let node = |name: &str| {
        let package = millwork_local::package(&Options { test_nodes: false, models: vec![zoo()] });
        let call = NodeTest::of_package(package, name).unwrap();
        call.field("model", "tiny-sd")
            .field("prompt", "a red circle on black")
            .field("seed", 5)
            .field("num_inference_steps", 3)
    };
    let provider = provider();
    let made = node("image.Generate").run().unwrap();
    let expected = decoded(&provider.call("text_to_image", params(Map::new())));
    assert_eq!(made.get::<Image>("image").unwrap().to_rgb8(), expected);
    assert_eq!(made.outputs["seed"], Value::Int(5));

    let source = Image::from(RgbImage::from_fn(64, 64, |x, _| [4 * x as u8; 3].into()));
    let made = node("image.Transform").field("image", source.clone()).field("scheduler", "ddim").run().unwrap();
    let mut data = params(map! { "scheduler" => "ddim" });
    data.insert("image".to_owned(), Value::Bytes(source.to_png().unwrap()));
    assert_eq!(made.get::<Image>("image").unwrap().to_rgb8(), decoded(&provider.call("image_to_image", data)));
}

//! Schedulers and pictures against those of diffusers, from the same noise. The references are those of
//! `tests/models/recipes/schedulers.py` and `diffusion_references.py`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use millwork_local::picture::Given;
use millwork_local::picture::scheduler::{Config, Sampler, Scheduler, Span};
use millwork_local::{Local, Roots};
use millwork_worker::prelude::*;
use millwork_worker::testing::ProviderTest;
use ndarray::Array4;
use serde_json::Value as Json;

use crate::npy;

/// What counts as the same picture, in dB.
const CLOSE: f64 = 40.0;

fn references() -> PathBuf {
    crate::models().join("references")
}

fn reference(name: &str) -> Json {
    serde_json::from_slice(&fs::read(references().join(name)).unwrap()).unwrap()
}

fn numbers(list: &Json) -> Vec<f32> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

/// A list as latents of one pixel each.
fn latents(list: &Json) -> Array4<f32> {
    let numbers = numbers(list);
    Array4::from_shape_vec([1, numbers.len(), 1, 1], numbers).unwrap()
}

/// The largest difference, in parts of the largest number.
fn apart(found: &Array4<f32>, wanted: &Array4<f32>) -> f32 {
    let largest = |numbers: &Array4<f32>| numbers.iter().fold(0f32, |most, x| most.max(x.abs()));
    largest(&(found - wanted)) / largest(wanted).max(1.0)
}

fn scheduler(run: &Json, span: Span) -> Scheduler {
    let config: Config = serde_json::from_value(run["config"].clone()).unwrap();
    Scheduler::new(&config, Sampler::named(run["scheduler"].as_str().unwrap()).unwrap(), span).unwrap()
}

fn assert_times(scheduler: &Scheduler, run: &Json) {
    let times: Vec<f64> = scheduler.times().collect();
    let wanted = numbers(&run["timesteps"]);
    assert_eq!(times.len(), wanted.len(), "{run}");
    for (found, wanted) in times.iter().zip(wanted) {
        assert!((found - f64::from(wanted)).abs() < 1e-3 * f64::from(wanted).max(1.0), "{times:?}: {run}");
    }
}

#[test]
fn schedulers_go_the_way_of_diffusers() {
    let all = reference("schedulers.json");
    let steps = all["steps"].as_u64().unwrap() as usize;
    let (mut seen, mut worst) = (0, 0f32);
    for run in all["runs"].as_array().unwrap() {
        // There for the recipe's reader: it has no sampler here, and models that name it are given another.
        if Sampler::named(run["scheduler"].as_str().unwrap()).is_none() {
            continue;
        }
        let scheduler = scheduler(run, Span { steps, strength: 1.0, keeps_steps: false });
        assert_times(&scheduler, run);
        let samples = run["samples"].as_array().unwrap();
        let mut noise = Given::new(run["noise"].as_array().unwrap().iter().flat_map(numbers).collect());
        let mut sample = latents(&samples[0]);
        for (step, (time, wanted)) in scheduler.times().collect::<Vec<_>>().iter().zip(&samples[1..]).enumerate() {
            let output = scheduler.input(step, &sample).mapv(|x| 0.5 * x.sin() + (time / 2000.0) as f32);
            sample = scheduler.step(step, &sample, &output, &mut noise).unwrap();
            let apart = apart(&sample, &latents(wanted));
            assert!(apart < 1e-4, "step {step}: {apart} apart: {run}");
            worst = worst.max(apart);
        }
        seen += 1;
    }
    assert!(seen >= 50, "{seen} runs");
    println!("schedulers: {seen} runs of {steps} steps within {worst:.1e} of diffusers");
}

#[test]
fn pictures_are_begun_from_as_diffusers_does() {
    let all = reference("schedulers.json");
    let steps = all["steps"].as_u64().unwrap() as usize;
    for run in all["beginnings"].as_array().unwrap() {
        if Sampler::named(run["scheduler"].as_str().unwrap()).is_none() {
            continue;
        }
        let strength = run["strength"].as_f64().unwrap();
        // An LCM begins later and takes as many steps.
        let keeps_steps = run["scheduler"] == "LCMScheduler";
        let scheduler = scheduler(run, Span { steps, strength, keeps_steps });
        assert_times(&scheduler, run);
        let noisy = scheduler.begin_from(&latents(&run["sample"]), &latents(&run["noise"]));
        let apart = apart(&noisy, &latents(&run["noisy"]));
        assert!(apart < 1e-5, "{apart} apart: {run}");
    }
}

/// A model as it is in the zoo, but with another scheduler.
fn with_scheduler(model: &str, painting: &Json, folder: &Path) {
    let (from, to) = (crate::models().join("zoo").join(model).canonicalize().unwrap(), folder.join(model));
    fs::create_dir_all(to.join("scheduler")).unwrap();
    for entry in fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap();
        if name != "scheduler" {
            symlink(&entry, to.join(name)).unwrap();
        }
    }
    let mut config = painting["config"].clone();
    config["_class_name"] = painting["scheduler"].clone();
    fs::write(to.join("scheduler/scheduler_config.json"), config.to_string()).unwrap();
}

/// Paints it from the noise of the reference, and tells how close it came, in dB.
fn closeness(model: &str, painting: &Json) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    with_scheduler(model, painting, folder.path());
    let provider = ProviderTest::new(Local::new(Roots::only(&[folder.path().to_owned()])));
    let array = |key: &str| painting[key].as_str().map(|path| npy(&references().join(path)).1).unwrap_or_default();
    let noise: Vec<u8> = [array("start"), array("noise")].concat().into_iter().flat_map(f32::to_le_bytes).collect();
    let mut params = map! {
        "model" => model,
        "prompt" => painting["prompt"].as_str().unwrap(),
        "numInferenceSteps" => painting["num_inference_steps"].as_i64().unwrap(),
        "guidanceScale" => painting["guidance_scale"].as_f64().unwrap(),
        "negativePrompt" => Value::from(painting["negative_prompt"].clone()),
        "noise" => Bytes::from(noise),
    };
    let is_from_picture = !painting["strength"].is_null();
    let (width, height) = if is_from_picture { ("targetWidth", "targetHeight") } else { ("width", "height") };
    params.insert(width.to_owned(), painting["width"].as_i64().unwrap().into());
    params.insert(height.to_owned(), painting["height"].as_i64().unwrap().into());
    let mut data = map! { "params" => Map::new() };
    if is_from_picture {
        params.insert("strength".to_owned(), painting["strength"].as_f64().unwrap().into());
        data.insert("image".to_owned(), Value::Bytes(fs::read(references().join("tiny-sd/input.png")).unwrap().into()));
    }
    data.insert("params".to_owned(), params.into());
    let kind = if is_from_picture { "image_to_image" } else { "text_to_image" };
    let answer = provider.call(kind, data).result.unwrap_or_else(|error| panic!("{}: {error}", painting["name"]));
    let bytes = answer["blobs"].as_map().unwrap()["image"].clone().into_bytes().unwrap();
    let wanted = fs::read(references().join(painting["picture"].as_str().unwrap())).unwrap();
    let (found, wanted) = (Image::decode(&bytes).unwrap().to_rgb8(), Image::decode(&wanted).unwrap().to_rgb8());
    assert_eq!(found.dimensions(), wanted.dimensions(), "{}", painting["name"]);
    let pairs = found.as_raw().iter().zip(wanted.as_raw());
    let squares: f64 = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * wanted.as_raw().len() as f64 / squares.max(1.0)).log10()
}

#[test]
fn pictures_are_those_of_diffusers() {
    for model in ["tiny-sd", "tiny-lcm"] {
        let reference = reference(&format!("{model}.json"));
        let all = ["paintings", "from_picture"].into_iter().filter_map(|kind| reference[kind].as_array()).flatten();
        let mut far = Vec::new();
        for painting in all {
            let close = closeness(model, painting);
            println!("{model} {}: {close:.1} dB", painting["name"]);
            far.extend((close < CLOSE).then(|| format!("{} {close:.1} dB", painting["name"])));
        }
        assert!(far.is_empty(), "{model}: {far:?}");
    }
}

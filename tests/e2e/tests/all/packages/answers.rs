//! The cases of a healthy package: from `cases.toml` to requests, and from answers to what is wrong with them.

use std::path::Path;

use image::DynamicImage;
use millwork_e2e::{Bytes, Message, Request, Value, map};
use toml::{Table, Value as Toml};

/// How far numbers may be off where a case does not say.
const TOLERANCE: f64 = 1e-4;
/// How far the values of pixels may be off, 0 to 255.
const LEVELS: u8 = 1;

/// The request of a case; its files are in `folder`.
pub(crate) fn request(case: &Table, folder: &Path) -> Request {
    let node = Request::node(case["node"].as_str().unwrap());
    case["fields"].as_table().unwrap().iter().fold(node, |request, (name, value)| {
        let part = |key: &str| value.as_table().and_then(|table| table.get(key));
        match (part("file"), part("tensor")) {
            (Some(file), _) => request.blob(name, std::fs::read(folder.join(file.as_str().unwrap())).unwrap()),
            (_, Some(elements)) => {
                request.field(name, tensor(elements, part("shape").unwrap(), part("dtype").unwrap()))
            }
            _ => request.field(name, plain(value)),
        }
    })
}

fn plain(value: &Toml) -> Value {
    match value {
        Toml::Integer(number) => Value::Int(*number),
        Toml::Float(number) => Value::Float(*number),
        Toml::Boolean(flag) => Value::Bool(*flag),
        Toml::String(text) => Value::from(text.as_str()),
        Toml::Array(items) => Value::List(items.iter().map(plain).collect()),
        other => panic!("{other} is no field"),
    }
}

fn number(value: &Toml) -> f64 {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64)).unwrap()
}

fn numbers(value: &Toml) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn tensor(elements: &Toml, shape: &Toml, dtype: &Toml) -> Value {
    let dtype = dtype.as_str().unwrap();
    let bytes: Vec<u8> = match dtype {
        "<f4" => numbers(elements).iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(),
        "<i8" => numbers(elements).iter().flat_map(|x| (*x as i64).to_le_bytes()).collect(),
        other => panic!("no {other} goes in"),
    };
    map! { "type" => "np_array", "dtype" => dtype, "shape" => plain(shape), "value" => Bytes::from(bytes) }.into()
}

/// What is wrong with the answer to a case.
pub(crate) fn complaints(case: &Table, answer: &Message) -> Vec<String> {
    let node = case["node"].as_str().unwrap();
    if answer.kind != "result" {
        return vec![format!("{node}: {:?}", answer.data)];
    }
    let tolerance = case.get("tolerance").map_or(TOLERANCE, number);
    let outputs = case["outputs"].as_table().unwrap();
    let wrong = |(name, expected): (&String, &Toml)| {
        let complaint = output(answer, name, expected, tolerance).err()?;
        Some(format!("{node}: {name}: {complaint}"))
    };
    outputs.iter().filter_map(wrong).collect()
}

fn output(answer: &Message, name: &str, expected: &Toml, tolerance: f64) -> Result<(), String> {
    let part = |key: &str| expected.as_table().and_then(|table| table.get(key));
    let blob = || answer.data["blobs"].get(name).and_then(Value::as_bytes).ok_or("there is no blob");
    let found = || answer.data["outputs"].get(name).ok_or("there is no output");
    if let Some(pixels) = part("picture") {
        let picture = image::load_from_memory(blob()?).map_err(|error| error.to_string())?;
        return same_picture(&picture, pixels, part("size").unwrap());
    }
    if let Some(samples) = part("samples") {
        let mut sound = hound::WavReader::new(blob()?).map_err(|error| error.to_string())?;
        let spec = sound.spec();
        let found: Result<Vec<f64>, _> = match spec.sample_format {
            hound::SampleFormat::Float => sound.samples::<f32>().map(|x| x.map(f64::from)).collect(),
            hound::SampleFormat::Int => {
                let full = f64::from(1u32 << (spec.bits_per_sample - 1));
                sound.samples::<i32>().map(|x| x.map(|x| f64::from(x) / full)).collect()
            }
        };
        if i64::from(spec.sample_rate) != part("rate").unwrap().as_integer().unwrap() {
            return Err(format!("{spec:?}"));
        }
        return same(&found.map_err(|error| error.to_string())?, &numbers(samples), tolerance);
    }
    if let Some(elements) = part("tensor") {
        return same_tensor(found()?, elements, expected, tolerance);
    }
    same_value(found()?, expected, tolerance)
}

fn same(found: &[f64], expected: &[f64], tolerance: f64) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{} numbers, not {}: {found:?}", found.len(), expected.len()));
    }
    let far = found.iter().zip(expected).position(|(a, b)| (a - b).abs() > tolerance || a.is_nan());
    far.map_or(Ok(()), |at| Err(format!("{} at {at}, not {}: {found:?} for {expected:?}", found[at], expected[at])))
}

fn same_picture(found: &DynamicImage, pixels: &Toml, size: &Toml) -> Result<(), String> {
    let pixels = numbers(pixels);
    let (width, height) = (f64::from(found.width()), f64::from(found.height()));
    if numbers(size) != [width, height] {
        return Err(format!("{width}×{height}, not {size}"));
    }
    let is_gray = pixels.len() == (width * height) as usize;
    let bytes = if is_gray { found.to_luma8().into_raw() } else { found.to_rgb8().into_raw() };
    let found: Vec<f64> = bytes.into_iter().map(f64::from).collect();
    same(&found, &pixels, LEVELS.into())
}

fn same_tensor(found: &Value, elements: &Toml, expected: &Toml, tolerance: f64) -> Result<(), String> {
    let text = |key: &str| found.get(key).and_then(Value::as_str).ok_or_else(|| format!("no tensor: {found:?}"));
    let shape = found.get("shape").cloned();
    if text("dtype")? != expected["dtype"].as_str().unwrap() || shape != Some(plain(&expected["shape"])) {
        return Err(format!("{} {shape:?}, not {}", text("dtype")?, expected["shape"]));
    }
    let bytes = found.get("value").and_then(Value::as_bytes).ok_or("a tensor without bytes")?;
    let found: Vec<f64> = match text("dtype")? {
        "<f4" => bytes.as_chunks().0.iter().map(|x| f64::from(f32::from_le_bytes(*x))).collect(),
        "<i8" => bytes.as_chunks().0.iter().map(|x| i64::from_le_bytes(*x) as f64).collect(),
        "<i4" => bytes.as_chunks().0.iter().map(|x| f64::from(i32::from_le_bytes(*x))).collect(),
        "|u1" => bytes.iter().map(|x| f64::from(*x)).collect(),
        other => return Err(format!("no {other} comes out")),
    };
    same(&found, &numbers(elements), tolerance)
}

fn same_value(found: &Value, expected: &Toml, tolerance: f64) -> Result<(), String> {
    let otherwise = || Err(format!("{found:?}, not {expected}"));
    match (found, expected) {
        (Value::List(items), Toml::Array(all)) if items.len() == all.len() => {
            items.iter().zip(all).try_for_each(|(item, one)| same_value(item, one, tolerance))
        }
        (Value::Map(found), Toml::Table(table)) => table.iter().try_for_each(|(key, one)| {
            same_value(found.get(key).unwrap_or(&Value::Nil), one, tolerance).map_err(|error| format!("{key}: {error}"))
        }),
        (found, Toml::String(text)) if found.as_str() == Some(text) => Ok(()),
        (found, Toml::Float(_) | Toml::Integer(_))
            if found.as_f64().is_some_and(|x| (x - number(expected)).abs() <= tolerance) =>
        {
            Ok(())
        }
        _ => otherwise(),
    }
}

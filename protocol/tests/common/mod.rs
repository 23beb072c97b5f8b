//! What several test programs share: tagged JSON, and comparing values in which NaN is equal to itself.

#![allow(dead_code, reason = "each test program uses its own part of this")]

use std::path::PathBuf;

use millwork_protocol::{Bytes, Map, Value};
use serde_json::Value as Json;

pub(crate) fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name].iter().collect()
}

pub(crate) fn json_fixture(name: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(fixture(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The value that tagged JSON stands for: see `fixtures/README.md`.
pub(crate) fn untag(json: Json) -> Value {
    let Json::Object(map) = json else {
        return match json {
            Json::Array(items) => Value::List(items.into_iter().map(untag).collect()),
            scalar => Value::from(scalar),
        };
    };
    if map.len() == 1 {
        let tagged = |tag: &str| map.get(tag).and_then(Json::as_str);
        if let Some(hex) = tagged("$bytes") {
            return Value::Bytes(unhex(hex));
        } else if let Some(float) = tagged("$float") {
            return Value::Float(float.parse().unwrap());
        } else if let Some(int) = tagged("$int") {
            return Value::Int(int.parse().unwrap());
        }
    }
    Value::Map(map.into_iter().map(|(key, value)| (key, untag(value))).collect())
}

pub(crate) fn unhex(hex: &str) -> Bytes {
    let digits = |i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect::<Vec<u8>>().into()
}

/// Whether two values are the same: NaN is equal to itself, 0 is not -0, the order of keys does not count.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    let in_map = |a: &Map, b: &Map| a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)));
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => a.len() == b.len() && in_map(a, b),
        (a, b) => a == b,
    }
}

/// The examples of a fixture of messages: each one's JSON and its data.
pub(crate) fn examples(name: &str) -> Vec<(Json, Map)> {
    let data = |json: &Json| untag(json["data"].clone()).into_map().unwrap();
    json_fixture(name).into_iter().map(|json| (json.clone(), data(&json))).collect()
}

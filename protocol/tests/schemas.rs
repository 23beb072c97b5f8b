//! The schemas in `schema/` are those of the types, and every example, ours and written by our types, keeps to them
//! and to the schema that the host publishes.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test program: clippy spares only the functions that are tests"
)]

mod common;
#[path = "common/validator.rs"]
mod validator;

use std::path::PathBuf;

use common::{examples, same};
use millwork_protocol::codec::decode;
use millwork_protocol::message::{DataKind, FRAMES, REQUESTS};
use millwork_protocol::{Frame, Limits, Map, Value, map, schema};
use serde_json::Value as Json;
use validator::violation;

const UPDATE: &str = "MILLWORK_UPDATE_SCHEMAS";

#[test]
fn the_files_are_up_to_date() {
    for schema::SchemaFile { name, make } in schema::FILES {
        let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "schema", name].iter().collect();
        let fresh = serde_json::to_string_pretty(make().as_value()).unwrap() + "\n";
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == fresh,
            "{} is out of date: run `{UPDATE}=1 cargo test -p millwork-protocol --test schemas` and commit it",
            path.display()
        );
    }
}

/// The payload as it would be read from the wire, as JSON.
fn sent(kind: &str, data: &Map) -> Json {
    decode(&Frame::message(kind, Some("r1"), data).to_payload(), &Limits::default()).unwrap().to_json()
}

fn assert_valid(schema: &Json, at: &Json, value: &Json, what: &str) {
    if let Some(why) = violation(schema, at, value) {
        panic!("{what}: {why}");
    }
}

/// Reads and writes `data`, which has to be what it was.
fn round_trip(kind: DataKind, data: &Map, what: &str) -> Map {
    let again = (kind.normalise)(data.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(same(&again.clone().into(), &data.clone().into()), "{what}:\n  {data:?}\n  {again:?}");
    again
}

#[test]
fn every_request_has_an_example_that_keeps_to_its_schema() {
    let schema = schema::requests().to_value();
    let examples = examples("requests.json");
    for request in REQUESTS {
        let mut found = 0;
        for (_, data) in examples.iter().filter(|(json, _)| json["type"] == request.kind) {
            let again = round_trip(request.data, data, request.kind);
            assert_valid(&schema, &schema, &sent(request.kind, &again), request.kind);
            found += 1;
        }
        assert!(found > 0, "no example of {}", request.kind);
    }
}

#[test]
fn every_frame_keeps_to_our_schema_and_to_the_hosts() {
    let frames = schema::frames().to_value();
    let answers = schema::answers().to_value();
    let host: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "tests", "peers", "bridge-frames.schema.json"].iter().collect();
    let host: Json = serde_json::from_str(&std::fs::read_to_string(host).unwrap()).unwrap();
    let host_kinds: Vec<&Json> =
        host["oneOf"].as_array().unwrap().iter().map(|frame| &frame["properties"]["type"]["const"]).collect();

    let mut missing: Vec<(&str, &str)> = Vec::new();
    for request in REQUESTS.iter().filter(|request| request.kind != "discover") {
        missing.extend(request.answer.map(|_| (request.kind, "result")));
        missing.extend(request.chunk.map(|_| (request.kind, "chunk")));
    }
    for (json, data) in examples("frames.json") {
        let kind = json["type"].as_str().unwrap();
        let what = format!("{kind} {}", json["request"]);
        let frame = FRAMES.iter().find(|frame| frame.kind == kind).unwrap();
        let of_request = || {
            let request = REQUESTS.iter().find(|request| json["request"] == request.kind).unwrap();
            missing.retain(|gap| *gap != (request.kind, kind));
            let data = if kind == "chunk" { request.chunk } else { request.answer };
            assert_valid(&answers, &answers["properties"][request.kind]["properties"][kind], &json["data"], &what);
            data.unwrap_or_else(|| panic!("{what} is not expected"))
        };
        let again = round_trip(frame.data.unwrap_or_else(of_request), &data, &what);
        assert_valid(&frames, &frames, &sent(kind, &again), &what);
        if host_kinds.iter().any(|known| *known == kind) {
            assert_valid(&host, &host, &sent(kind, &again), &what);
        }
    }
    assert_eq!(missing, [], "these have no example");
}

#[test]
fn the_hosts_schema_finds_what_it_forbids() {
    // The comparison above means something only if a frame that breaks the rules is caught.
    let host: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "tests", "peers", "bridge-frames.schema.json"].iter().collect();
    let host: Json = serde_json::from_str(&std::fs::read_to_string(host).unwrap()).unwrap();
    let nil_traceback = sent("error", &map! { "error" => "no", "traceback" => Value::Nil });
    assert!(violation(&host, &host, &nil_traceback).is_some());
    let mut extra_key = sent("error", &map! { "error" => "no" });
    assert_eq!(violation(&host, &host, &extra_key), None);
    extra_key["kind"] = "failed".into();
    assert!(violation(&host, &host, &extra_key).is_some());
}

//! Frames that other encoders wrote are read as the contract says.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test program: clippy spares only the functions that are tests"
)]

mod common;

use common::{fixture, json_fixture, same, untag};
use millwork_protocol::codec::decode;
use millwork_protocol::message::{FRAMES, REQUESTS};
use millwork_protocol::{Bytes, Envelope, FrameEvent, FrameReader, Limits, Request, Value};

fn payloads(name: &str) -> Vec<Bytes> {
    let mut reader = FrameReader::new(1 << 20);
    let bytes = std::fs::read(fixture(name)).unwrap();
    reader.space().extend_from_slice(&bytes);
    let frames = std::iter::from_fn(|| reader.next_event()).map(|event| match event {
        FrameEvent::Frame(payload) => payload,
        other => panic!("{other:?}"),
    });
    let frames = frames.collect();
    assert!(!reader.is_mid_frame());
    frames
}

fn check(name: &str) {
    let limits = Limits::default();
    let frames = payloads(&format!("{name}.bin"));
    let cases = json_fixture(&format!("{name}.json"));
    assert_eq!(frames.len(), cases.len());
    let mut requests = 0;
    for (payload, case) in frames.iter().zip(cases) {
        let label = case["name"].as_str().unwrap().to_owned();
        let expected = untag(case["value"].clone());
        let read = decode(payload, &limits).unwrap_or_else(|error| panic!("{name}, {label}: {error}"));
        assert!(same(&read, &expected), "{name}, {label}:\n  read     {read:?}\n  expected {expected:?}");

        let Some(kind) = expected.get("type").and_then(|kind| kind.as_str()) else { continue };
        requests += 1;
        let envelope = Envelope::peek(payload).unwrap();
        assert_eq!((envelope.kind, envelope.request_id), (Some(kind), Some("r1")), "{name}");
        let data = envelope.decode_data(payload, &limits).unwrap();
        let request = Request::from_map(kind, data).unwrap_or_else(|error| panic!("{name}, {label}: {error}"));
        assert!(!matches!(request, Request::Unknown { .. }), "{name}, {label} is not known");
        assert!(same(&request.into_map().into(), expected.get("data").unwrap()), "{name}, {label} lost something");
    }
    assert_eq!(requests, json_fixture("requests.json").len());
}

#[test]
fn python_msgpack() {
    check("python");
}

#[test]
fn msgpackr() {
    check("msgpackr");
}

#[test]
fn msgpack_javascript() {
    check("msgpack-javascript");
}

/// What `read` has lost of `sent`: nothing but keys that were nil, false or empty, which mean the same when absent.
fn lost(sent: &Value, read: &Value, path: &str) -> Option<String> {
    match (sent, read) {
        (Value::Map(sent), Value::Map(read)) => sent.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            let empty = match value {
                Value::Nil | Value::Bool(false) => true,
                Value::List(items) => items.is_empty(),
                _ => false,
            };
            match read.get(key) {
                Some(read) => lost(value, read, &path),
                None => (!empty).then_some(path),
            }
        }),
        (Value::List(sent), Value::List(read)) if sent.len() == read.len() => {
            sent.iter().zip(read).enumerate().find_map(|(i, (sent, read))| lost(sent, read, &format!("{path}[{i}]")))
        }
        (sent, read) => (!same(sent, read)).then(|| path.to_owned()),
    }
}

#[test]
fn what_the_python_worker_answers() {
    let limits = Limits::default();
    let frames = payloads("nodetool.bin");
    let cases = json_fixture("nodetool.json");
    assert_eq!(frames.len(), cases.len());
    for (payload, case) in frames.iter().zip(cases) {
        let envelope = Envelope::peek(payload).unwrap();
        let kind = envelope.kind.unwrap();
        assert_eq!(case["type"], kind);
        let data = envelope.decode_data(payload, &limits).unwrap();
        let of_request = || {
            let request = REQUESTS.iter().find(|request| case["request"] == request.kind)?;
            if kind == "chunk" { request.chunk } else { request.answer }
        };
        let frame = FRAMES.iter().find(|frame| frame.kind == kind).unwrap();
        let read = frame.data.or_else(of_request).unwrap();
        let again = (read.normalise)(data.clone()).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(lost(&data.into(), &again.into(), "data"), None, "{case}");
    }
}

//! JSON Schemas of all messages, generated from their types. The files in `schema/` are these, and a test keeps them so.
//!
//! A schema describes what this crate writes. Reading is more forgiving: nil for "not given", floats for whole
//! numbers, older spellings. Bytes have no form in JSON, so their schema takes anything.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value as Json, json};

use crate::Map;
use crate::message::convert::unwrapped;
use crate::message::{DataKind, FRAMES, REQUESTS};

/// One file of `schema/`.
#[derive(Debug, Clone, Copy)]
pub struct SchemaFile {
    /// Its name.
    pub name: &'static str,
    /// What stands in it.
    pub make: fn() -> Schema,
}

/// The files of `schema/`.
pub const FILES: [SchemaFile; 3] = [
    SchemaFile { name: "requests.json", make: requests },
    SchemaFile { name: "frames.json", make: frames },
    SchemaFile { name: "answers.json", make: answers },
];

/// What a host sends: the whole payload of every request.
#[must_use]
pub fn requests() -> Schema {
    document("Requests of the bridge protocol, as whole payloads", |generator| {
        let one = |kind: &crate::message::RequestKind| {
            // A request whose data may be empty may also leave it out.
            let required: &[&str] =
                if (kind.data.normalise)(Map::new()).is_ok() { &["type"] } else { &["type", "data"] };
            let mut payload = payload(kind.kind, kind.doc, required, (kind.data.schema)(generator).to_value());
            payload["$comment"] = format!("since version {}", kind.since).into();
            payload
        };
        ("oneOf", REQUESTS.iter().map(one).collect())
    })
}

/// What a worker sends: the whole payload of every frame. What stands in a `result` or a `chunk` is in [`answers`].
#[must_use]
pub fn frames() -> Schema {
    document("Frames from a worker, as whole payloads", |generator| {
        let one = |frame: &crate::message::FrameKind| {
            let any = || json!({ "type": "object", "description": "See answers.json, by the request." });
            let data = frame.data.map_or_else(any, |data| (data.schema)(generator).to_value());
            payload(frame.kind, frame.doc, &["type", "request_id", "data"], data)
        };
        ("oneOf", FRAMES.iter().map(one).collect())
    })
}

/// The data of the terminal frame and of the chunks of every request, by its `type`.
#[must_use]
pub fn answers() -> Schema {
    document("What the frames that answer a request carry in data, by the type of the request", |generator| {
        let mut kinds = serde_json::Map::new();
        for request in REQUESTS {
            let mut parts = serde_json::Map::new();
            let mut part = |name: &str, data: Option<DataKind>| {
                if let Some(data) = data {
                    parts.insert(name.to_owned(), (data.schema)(generator).to_value());
                }
            };
            part("result", request.answer);
            part("chunk", request.chunk);
            kinds.insert(request.kind.to_owned(), json!({ "properties": parts }));
        }
        ("properties", Json::Object(kinds))
    })
}

fn document(title: &str, body: impl FnOnce(&mut SchemaGenerator) -> (&'static str, Json)) -> Schema {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let (keyword, body) = body(&mut generator);
    let mut definitions = generator.take_definitions(true);
    definitions.sort_keys();
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        keyword: body,
        "$defs": definitions,
    })
}

fn payload(kind: &str, doc: &str, required: &[&str], data: Json) -> Json {
    json!({
        "type": "object",
        "description": unwrapped(doc),
        "properties": {
            "type": { "const": kind },
            "request_id": { "type": ["string", "null"] },
            "data": data,
        },
        "required": required,
    })
}

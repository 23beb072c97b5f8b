//! What every frame is held to, whichever check is running: it can be read, its type is known, it keeps to the schemas. Whom a
//! frame answers is judged in [`crate::worker`].

use std::collections::HashMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use millwork_protocol::codec::decode;
use millwork_protocol::limits::MAX_SAFE_INTEGER;
use millwork_protocol::message::FRAMES;
use millwork_protocol::{Bytes, Limits, Map, Value};
use serde_json::{Value as Json, json};

use crate::message::shorten;

/// The requirements that are checked with every frame, by what they are about.
pub(crate) mod rule {
    /// A payload is one MessagePack map.
    pub(crate) const ONE_MAP: &str = "FRM-001";
    /// A frame that has begun is finished.
    pub(crate) const WHOLE: &str = "FRM-002";
    /// Frames have a known `type`.
    pub(crate) const TYPE: &str = "ENV-001";
    /// Frames have a `request_id` and a map `data`.
    pub(crate) const KEYS: &str = "ENV-002";
    /// Frames keep to the host's schema.
    pub(crate) const HOST_SCHEMA: &str = "ENV-003";
    /// Frames carry ids that were sent.
    pub(crate) const KNOWN_ID: &str = "ENV-004";
    /// Nothing follows a terminal frame.
    pub(crate) const AFTER_THE_END: &str = "ENV-005";
    /// Answers have the shape that their request asks for.
    pub(crate) const ANSWER_SHAPE: &str = "ENV-006";
    /// Optional keys are left out, never nil.
    pub(crate) const NEVER_NIL: &str = "ENV-007";
    /// Only an error carries no id.
    pub(crate) const NIL_ID: &str = "ENV-008";
    /// No integer above 2^53.
    pub(crate) const SAFE_INTEGERS: &str = "ENC-001";
    /// stdout carries frames only.
    pub(crate) const FRAMES_ONLY: &str = "OUT-001";
}

/// A rule that a frame breaks, and how.
pub(crate) type Breach = (&'static str, String);

/// The outside of a frame, read.
pub(crate) struct Read {
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Map,
}

/// What is wrong with a frame that a worker has sent, apart from whom it answers; nothing where it keeps to the protocol and its
/// schemas.
#[must_use]
pub fn breach(payload: &Bytes) -> Option<String> {
    read(payload).1.map(|(rule, what)| format!("{what} (breaks {rule})"))
}

/// A nested frame would have to be deeper than any that a worker needs to be refused here.
fn limits() -> Limits {
    Limits { max_depth: 512, max_elements: 64 << 20, ..Limits::default() }
}

/// Reads a payload, and says what is wrong with it apart from whom it answers.
pub(crate) fn read(payload: &Bytes) -> (Option<Read>, Option<Breach>) {
    let mut envelope = match decode(payload, &limits()) {
        Ok(Value::Map(map)) => map,
        Ok(other) => {
            return (None, Some((rule::ONE_MAP, format!("a payload that is no map but {}", other.type_name()))));
        }
        Err(error) => return (None, Some((rule::ONE_MAP, format!("a payload that cannot be read: {error}")))),
    };
    let (kind, id) = (envelope.get("type").cloned(), envelope.get("request_id").cloned());
    let unsafe_integer = large_integer(&Value::Map(envelope.clone()));
    let data = envelope.swap_remove("data");
    let mut breach = None;
    match (&id, &data) {
        (None, _) => breach = Some((rule::KEYS, "a frame without `request_id`".to_owned())),
        (Some(Value::Nil | Value::Str(_)), Some(Value::Map(_))) => {}
        (Some(Value::Nil | Value::Str(_)), found) => {
            let found = found.as_ref().map_or("nothing", Value::type_name);
            breach = Some((rule::KEYS, format!("a frame whose `data` is no map but {found}")));
        }
        (Some(other), _) => {
            breach = Some((
                rule::KEYS,
                format!("a frame whose `request_id` is neither text nor nil but {}", other.type_name()),
            ));
        }
    }
    let kind = match kind {
        Some(Value::Str(kind)) => kind,
        other => {
            let found = other.as_ref().map_or("missing", Value::type_name);
            return (None, Some((rule::TYPE, format!("a frame whose `type` is {found}"))));
        }
    };
    if kind != "comfy.event" && !FRAMES.iter().any(|frame| frame.kind == kind) {
        breach = Some((rule::TYPE, format!("a frame of the unknown type {kind:?}")));
    }
    if let Some(integer) = unsafe_integer {
        breach = breach.or_else(|| Some((rule::SAFE_INTEGERS, format!("the integer {integer} in a `{kind}` frame"))));
    }
    let extra = envelope.keys().find(|key| !matches!(key.as_str(), "type" | "request_id"));
    if let Some(extra) = extra {
        breach = breach
            .or_else(|| Some((rule::HOST_SCHEMA, format!("a `{kind}` frame with the key {extra:?} beside its three"))));
    }
    let id = id.and_then(|id| id.as_str().map(str::to_owned));
    let data = data.and_then(Value::into_map).unwrap_or_default();
    let read = Read { kind, id, data };
    let breach = breach.or_else(|| nil_where_none_may_be(&read)).or_else(|| against_schemas(&read));
    (Some(read), breach)
}

fn large_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(i) => (i.unsigned_abs() > MAX_SAFE_INTEGER.unsigned_abs()).then_some(*i),
        Value::List(items) => items.iter().find_map(large_integer),
        Value::Map(map) => map.values().find_map(large_integer),
        _ => None,
    }
}

fn nil_where_none_may_be(read: &Read) -> Option<Breach> {
    let nil = |map: &Map, key: &str| map.get(key).is_some_and(Value::is_nil);
    let found = match read.kind.as_str() {
        "error" if nil(&read.data, "traceback") => "`traceback` of an error",
        "discover" => {
            let nodes = read.data.get("nodes").and_then(Value::as_list).unwrap_or_default();
            nodes
                .iter()
                .filter_map(Value::as_map)
                .any(|node| nil(node, "requires_vram_gb"))
                .then_some("`requires_vram_gb` of a node")?
        }
        _ => return None,
    };
    Some((rule::NEVER_NIL, format!("{found} is nil")))
}

static HOST: LazyLock<Option<(Validator, Vec<String>)>> = LazyLock::new(|| {
    let schema: Json = serde_json::from_str(include_str!("../../peers/bridge-frames.schema.json")).ok()?;
    let kinds = schema["oneOf"].as_array()?.iter().filter_map(|one| one["properties"]["type"]["const"].as_str());
    let kinds = kinds.map(str::to_owned).collect();
    Some((jsonschema::draft202012::new(&schema).ok()?, kinds))
});

static FRAME_DATA: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let schema: Json = serde_json::from_str(include_str!("../../../protocol/schema/frames.json")).unwrap_or_default();
    let frames = schema["oneOf"].as_array().cloned().unwrap_or_default();
    let validators = frames.iter().filter_map(|frame| {
        let properties = &frame["properties"];
        let one = json!({ "$defs": schema["$defs"], "allOf": [properties["data"]] });
        Some((properties["type"]["const"].as_str()?.to_owned(), jsonschema::draft202012::new(&one).ok()?))
    });
    validators.collect()
});

/// By request and type of the answer.
static ANSWERS: LazyLock<HashMap<(String, String), Validator>> = LazyLock::new(|| {
    let schema: Json = serde_json::from_str(include_str!("../../../protocol/schema/answers.json")).unwrap_or_default();
    let mut validators = HashMap::new();
    for (request, kinds) in schema["properties"].as_object().into_iter().flatten() {
        for (kind, rules) in kinds["properties"].as_object().into_iter().flatten() {
            let one = json!({ "$defs": schema["$defs"], "allOf": [rules] });
            if let Ok(validator) = jsonschema::draft202012::new(&one) {
                validators.insert((request.clone(), kind.clone()), validator);
            }
        }
    }
    validators
});

fn against_schemas(read: &Read) -> Option<Breach> {
    let data = Value::Map(read.data.clone()).to_json();
    if let Some(why) = FRAME_DATA.get(&read.kind).and_then(|validator| violation(validator, &data)) {
        return Some((rule::ANSWER_SHAPE, format!("a `{}` frame: {why}", read.kind)));
    }
    let (host, kinds) = HOST.as_ref()?;
    if !kinds.contains(&read.kind) {
        return None;
    }
    // The one frame that the schema's id does not cover: an answer that no id can be given.
    let id = read.id.as_deref().filter(|id| !id.is_empty()).unwrap_or("nil");
    let why = violation(host, &json!({ "type": read.kind, "request_id": id, "data": data }))?;
    Some((rule::HOST_SCHEMA, format!("a `{}` frame: {why}", read.kind)))
}

/// What is wrong with the answer to a request of this type.
pub(crate) fn answer(request: &str, kind: &str, data: &Map) -> Option<Breach> {
    let validator = ANSWERS.get(&(request.to_owned(), kind.to_owned()))?;
    let why = violation(validator, &Value::Map(data.clone()).to_json())?;
    Some((rule::ANSWER_SHAPE, format!("the `{kind}` of `{request}`: {why}")))
}

fn violation(validator: &Validator, value: &Json) -> Option<String> {
    let error = validator.iter_errors(value).next()?;
    let at = error.instance_path().to_string();
    let place = if at.is_empty() { String::new() } else { format!(" at {at}") };
    Some(format!("{}{place}", shorten(&error.to_string(), 200)))
}

#[cfg(test)]
mod tests {
    use millwork_protocol::{Frame, map};

    use super::*;

    fn breach(kind: &str, id: Option<&str>, data: Map) -> Option<&'static str> {
        read(&Frame::message(kind, id, &data).to_payload()).1.map(|(rule, _)| rule)
    }

    #[test]
    fn each_rule_is_found_and_only_it() {
        assert!(HOST.is_some() && FRAME_DATA.len() == FRAMES.len() && ANSWERS.len() > 20);
        assert_eq!(breach("error", Some("a"), map! { "error" => "no" }), None);
        assert_eq!(breach("error", None, map! { "error" => "no" }), None);
        assert_eq!(
            breach("error", Some("a"), map! { "error" => "no", "traceback" => Value::Nil }),
            Some(rule::NEVER_NIL)
        );
        assert_eq!(breach("error", Some("a"), map! {}), Some(rule::ANSWER_SHAPE));
        assert_eq!(breach("answer", Some("a"), map! {}), Some(rule::TYPE));
        // Our encoder does not write such an integer.
        let mut payload = Frame::message("result", Some("a"), &map! { "n" => 1.0 }).to_payload().to_vec();
        let at = payload.len() - 9;
        payload[at] = 0xd3;
        assert_eq!(read(&payload.into()).1.map(|b| b.0), Some(rule::SAFE_INTEGERS));
        assert_eq!(read(&Bytes::from_static(&[0x93, 1, 2, 3])).1.map(|b| b.0), Some(rule::ONE_MAP));
        assert_eq!(read(&Bytes::from_static(&[0xc1])).1.map(|b| b.0), Some(rule::ONE_MAP));
        let ok = map! { "outputs" => map! {}, "blobs" => map! {} };
        assert!(answer("execute", "result", &ok).is_none());
        assert!(answer("execute", "result", &map! { "outputs" => 3 }).is_some());
    }
}

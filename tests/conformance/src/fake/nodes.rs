//! The three nodes of a scripted worker, and the answers to everything that is not `execute`. All of it is correct.

use std::time::Duration;

use millwork_protocol::message::{DiscoverData, LoadError, StatusData};
use millwork_protocol::{
    Bytes, Limits, Map, NodeMetadata, OutputSlot, PROTOCOL_VERSION, PropertyMetadata, TypeMetadata, Value, map,
};

use super::call::{CANCELLED, Call};

/// The answer to `discover`.
pub(super) fn discover() -> Map {
    DiscoverData::new(all(), Vec::new()).into_map()
}

/// The same with what did not load.
pub(super) fn discover_with(load_errors: Vec<LoadError>) -> Map {
    DiscoverData::new(all(), load_errors).into_map()
}

fn all() -> Vec<NodeMetadata> {
    let field = |name: &str, ty, default: Value| PropertyMetadata {
        name: name.to_owned(),
        ty,
        default: Some(default),
        ..PropertyMetadata::default()
    };
    let node = |name: &str, description: &str, properties, ty| NodeMetadata {
        node_type: format!("fake.{name}"),
        title: name.to_owned(),
        description: description.to_owned(),
        properties,
        outputs: vec![OutputSlot { name: "output".to_owned(), ty, ..OutputSlot::default() }],
        ..NodeMetadata::default()
    };
    let ms = || field("ms", TypeMetadata::int(), Value::Int(0));
    let echo = field("value", TypeMetadata::any().optional(), Value::Nil);
    let count = field("n", TypeMetadata::int(), Value::Int(3));
    vec![
        node("Echo", "Gives back what it is given.", vec![echo], TypeMetadata::any()),
        node("Sleep", "Waits, and can be cancelled.", vec![ms()], TypeMetadata::int()),
        NodeMetadata {
            is_streaming_output: true,
            ..node("Stream", "Counts from 0 to n - 1.", vec![count, ms()], TypeMetadata::int())
        },
    ]
}

/// The data of the result for every message that is neither `discover`, `execute` nor `cancel`.
pub(super) fn plain_answer(kind: &str, data: &Map, limits: &Limits) -> Result<Map, String> {
    let nothing = Vec::<Value>::new;
    let job_id = || data.get("job_id").cloned().unwrap_or_default();
    Ok(match kind {
        "worker.status" => StatusData {
            protocol_version: PROTOCOL_VERSION,
            node_count: all().len() as u64,
            namespaces: vec!["fake".to_owned()],
            transport: "stdio".to_owned(),
            max_frame_size: limits.max_frame as u64,
            ..StatusData::default()
        }
        .into_map(),
        "provider.list" => map! { "providers" => nothing() },
        "models.list_cached" => map! { "models" => nothing() },
        "models.delete" => map! { "deleted" => false },
        "models.evict" => map! { "evicted" => nothing() },
        "job.start" => map! { "job_id" => job_id(), "started" => true },
        "job.end" => map! { "job_id" => job_id(), "released_nodes" => nothing(), "known" => false },
        "execute" | "execute.stream" | "discover" => return Err(format!("{kind}: request_id must be text")),
        _ => return Err(format!("Unknown message type: {kind}")),
    })
}

/// Runs the node of a call: the data of its result, or the text of its error.
pub(super) fn run(call: &Call) -> Result<Map, String> {
    let node_type = call.data.get("node_type").and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str, default: i64| match call.data.get("fields").and_then(|fields| fields.get(name)) {
        None | Some(Value::Nil) => Ok(default),
        Some(value) => {
            value.as_i64().filter(|n| *n >= 0).ok_or_else(|| format!("field `{name}`: expected int of 0 or more"))
        }
    };
    let pause = |ms: i64| match call.stop.wait(Duration::from_millis(ms.unsigned_abs())) {
        true => Err(CANCELLED.to_owned()),
        false => Ok(()),
    };
    match node_type {
        "fake.Echo" => Ok(echo(call)),
        "fake.Sleep" => {
            let ms = number("ms", 0)?;
            pause(ms)?;
            Ok(outputs(ms))
        }
        "fake.Stream" => {
            let (n, ms) = (number("n", 3)?, number("ms", 0)?);
            for i in 0..n {
                pause(ms)?;
                if call.kind == "execute.stream" {
                    call.send("chunk", &outputs(i));
                }
            }
            // A stream's result is empty; asked for as a whole, the last value is the result.
            if call.kind == "execute.stream" { Ok(empty()) } else { Ok(outputs(n - 1)) }
        }
        _ => Err(format!("Unknown node type: {node_type}")),
    }
}

fn echo(call: &Call) -> Map {
    let of = |key: &str| call.data.get(key).and_then(|map| map.get("value"));
    match of("blobs").and_then(|blob| blob.clone().into_bytes()) {
        Some(blob) => with_blob(blob),
        None => outputs(of("fields").cloned().unwrap_or_default()),
    }
}

fn outputs(value: impl Into<Value>) -> Map {
    map! { "outputs" => map! { "output" => value.into() }, "blobs" => Map::new() }
}

/// A result with nothing in it.
pub(super) fn empty() -> Map {
    map! { "outputs" => Map::new(), "blobs" => Map::new() }
}

/// A result with one blob, which its output refers to.
pub(super) fn with_blob(blob: Bytes) -> Map {
    let reference = map! { "type" => "asset", "uri" => "blob://output" };
    map! { "outputs" => map! { "output" => reference }, "blobs" => map! { "output" => blob } }
}

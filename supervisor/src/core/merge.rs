//! Several workers' answers as one. Plain functions over decoded data.

use millwork_protocol::message::{ErrorData, ErrorKind};
use millwork_protocol::{Map, PROTOCOL_VERSION, Value, map};

use super::Outcome;
use super::policy::Millis;
use super::routing::Inventory;
use super::state::Worker;

/// Merges the answers to a message that went to every worker. An error counts only where nobody answered well.
pub(super) fn answers(kind: &str, providers: &[Value], answers: impl Iterator<Item = Outcome>) -> Outcome {
    if kind == "provider.list" {
        return Ok(map! { "providers" => providers.to_vec() });
    }
    let mut merged: Option<Map> = None;
    let mut error = None;
    for answer in answers {
        match (answer, &mut merged) {
            (Ok(first), None) => merged = Some(first),
            (Ok(next), Some(merged)) => combine(merged, next),
            (Err(e), _) => error = error.or(Some(e)),
        }
    }
    match (merged, error) {
        (Some(merged), _) => Ok(merged),
        (None, Some(error)) => Err(error),
        (None, None) if kind == "models.list_cached" => Ok(map! { "models" => Vec::<Value>::new() }),
        (None, None) => Err(Box::new(ErrorData::new(ErrorKind::Unavailable, format!("{kind}: no worker is ready")))),
    }
}

/// Adds an answer to those before: lists are joined without repeats, numbers summed, booleans or-ed; else the first stays.
fn combine(merged: &mut Map, next: Map) {
    for (key, value) in next {
        match (merged.get_mut(&key), value) {
            (None, value) => drop(merged.insert(key, value)),
            (Some(Value::List(all)), Value::List(items)) => union(all, items),
            (Some(Value::Bool(any)), Value::Bool(one)) => *any |= one,
            (Some(sum), value) => {
                if let (Some(a), Some(b)) = (sum.as_f64(), value.as_f64()) {
                    *sum = match (&*sum, &value) {
                        (Value::Int(a), Value::Int(b)) => Value::Int(a.saturating_add(*b)),
                        _ => Value::Float(a + b),
                    };
                }
            }
        }
    }
}

fn union(all: &mut Vec<Value>, items: Vec<Value>) {
    for item in items {
        if !all.contains(&item) {
            all.push(item);
        }
    }
}

/// The fleet's `worker.status`.
pub(super) fn status(
    workers: &[&Map],
    inventory: &Inventory,
    max_frame: usize,
    rows: Vec<Map>,
    dropped_frames: u64,
) -> Map {
    let least =
        |key: &str, start: i64| workers.iter().filter_map(|status| status.get(key)?.as_i64()).fold(start, i64::min);
    let list = |key: &str| {
        let mut all = Vec::new();
        for items in workers.iter().filter_map(|status| status.get(key)?.as_list()) {
            union(&mut all, items.to_vec());
        }
        all
    };
    let program = |name: &str| {
        let is_enabled = |value: &&Value| value.get("enabled").and_then(Value::as_bool) == Some(true);
        let mut all = workers.iter().filter_map(|status| status.get(name));
        let found = all.clone().find(is_enabled).or_else(|| all.next());
        found.cloned().unwrap_or_else(|| Value::Map(map! { "enabled" => false }))
    };
    let mut extensions = Map::new();
    for (key, value) in workers.iter().filter_map(|status| status.get("extensions")?.as_map()).flatten() {
        extensions.entry(key.clone()).or_insert_with(|| value.clone());
    }
    // Each worker speaks for its own nodes.
    let mut idempotent = Vec::new();
    for names in workers.iter().filter_map(|status| status.get("extensions")?.get("idempotent_nodes")?.as_list()) {
        union(&mut idempotent, names.to_vec());
    }
    if !idempotent.is_empty() {
        extensions.insert("idempotent_nodes".to_owned(), idempotent.into());
    }
    let supervisor =
        map! { "version" => env!("CARGO_PKG_VERSION"), "workers" => rows, "dropped_frames" => dropped_frames };
    extensions.insert("supervisor".to_owned(), supervisor.into());
    map! {
        "protocol_version" => least("protocol_version", PROTOCOL_VERSION.into()),
        "node_count" => inventory.node_count(),
        "provider_count" => inventory.provider_list.len(),
        "namespaces" => list("namespaces"),
        "load_errors" => inventory.load_errors.clone(),
        "transport" => "stdio",
        "max_frame_size" => least("max_frame_size", i64::try_from(max_frame).unwrap_or(i64::MAX)),
        "comfy" => program("comfy"),
        "blender" => program("blender"),
        "model_prepare_backends" => list("model_prepare_backends"),
        "extensions" => extensions,
    }
}

/// One worker's line in the supervisor's part of the status.
pub(super) fn worker_row(worker: &Worker, in_flight: usize, queued: usize, now: Millis) -> Map {
    let mut row = map! {
        "name" => worker.name.as_str(),
        "state" => worker.state.as_str(),
        "in_flight" => in_flight,
        "queued" => queued,
        "requests" => worker.figures.requests,
        "errors" => worker.figures.errors,
        "restarts" => worker.restarts,
    };
    for (key, thousandths) in [("p50_ms", 500), ("p99_ms", 990)] {
        if let Some(ms) = worker.figures.recent(now, thousandths) {
            row.insert(key.to_owned(), ms.into());
        }
    }
    if worker.state.is_alive() {
        row.insert("uptime_s".to_owned(), Value::Float(now.saturating_sub(worker.started_at) as f64 / 1000.0));
    }
    if let Some(pid) = worker.pid {
        row.insert("pid".to_owned(), pid.into());
    }
    if !worker.bounds.is_empty() {
        row.insert("bounds".to_owned(), worker.bounds.as_str().into());
    }
    if let Some(bytes) = worker.rss_bytes.filter(|_| worker.state.is_alive()) {
        row.insert("rss_bytes".to_owned(), bytes.into());
    }
    if let Some(error) = &worker.last_error {
        row.insert("last_error".to_owned(), error.as_str().into());
    }
    row
}

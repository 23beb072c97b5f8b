//! ERR: what a worker says when something is wrong.

use millwork_protocol::{Map, Value, map};

use super::common::{echo_blob, error_names, found, json, node, nothing_more, number_node};
use crate::check::{Check, Outcome, ensure, not_applicable};
use crate::message::Message;
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("ERR-001", |w| {
        for (request, answer) in errors(w)? {
            let text = error_for(&request, &answer)?;
            ensure!(!text.trim().is_empty(), "the text of the error is empty where it is asked for {request}");
        }
        Ok(())
    }),
    Check::new("ERR-002", |w| optional(w, "traceback", |value| value.as_str().is_some())),
    Check::new("ERR-003", |w| {
        optional(w, "kind", |value| value.as_str().is_some_and(|kind| !kind.is_empty()))?;
        optional(w, "retryable", |value| value.as_bool().is_some())
    }),
    Check::new("ERR-004", |w| {
        w.node("test.Fail")?;
        let answer = w.execute("test.Fail", map! { "message" => "the disk is full of cats" })?;
        error_names(&answer, "the disk is full of cats")
    }),
    Check::new("ERR-005", |w| {
        w.node("test.Panic")?;
        let answer = w.execute("test.Panic", map! { "message" => "index out of cats" })?;
        error_names(&answer, "index out of cats")
    }),
    Check::new("ERR-006", |w| {
        let (node_type, field, _) = number_node(w)?;
        let answer = w.execute(node_type, map! { field => "no number" })?;
        let text = answer.expect_error()?;
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == field);
        ensure!(words, "the error does not name the field `{field}`: {text:?}");
        Ok(())
    }),
    Check::new("ERR-007", |w| {
        let answer = w.call("execute", map! { "fields" => map! {} })?;
        error_names(&answer, "node_type")
    }),
    Check::new("ERR-008", |w| {
        w.node("test.Echo")?;
        let answer = w.call("execute", map! { "node_type" => "test.Echo", "fields" => vec![1] })?;
        error_names(&answer, "fields")
    }),
    Check::new("ERR-009", |w| {
        w.node("test.Echo")?;
        let answer = w.call("execute", echo_blob(5))?;
        error_names(&answer, "value")
    }),
    Check::new("ERR-010", |w| {
        w.node("test.Fail")?;
        let message = "böse é漢字🎉 \"quoted\" \\ <b>";
        let answer = w.execute("test.Fail", map! { "message" => message })?;
        let text = answer.expect_error()?;
        ensure!(text.contains(message), "the message {message:?} came as {text:?}");
        Ok(())
    }),
    Check::new("ERR-011", |w| {
        errors(w)?;
        nothing_more(w)
    }),
    Check::new("ERR-012", |w| {
        let status = w.call("worker.status", map! {})?;
        let errors = status.data.get("load_errors").and_then(Value::as_list).unwrap_or_default();
        let text = |error: &Value, key| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let broken = errors.iter().find(|error| text(error, "module") == "test.Broken");
        let broken = broken.ok_or_else(|| not_applicable("the worker has no load error for a node test.Broken"))?;
        let answer = w.execute("test.Broken", map! {})?;
        error_names(&answer, &text(broken, "error"))
    }),
    Check::new("ERR-030", |w| absent_program(w, "comfy")),
    Check::new("ERR-031", |w| absent_program(w, "blender")),
];

/// Requests that are wrong in several ways, as one says them, and the answers.
fn errors(w: &mut Worker) -> Outcome<Vec<(String, Message)>> {
    let mut requests: Vec<(&str, Map)> = vec![
        ("execute", node("no.such.Node", map! {})),
        ("execute", map! {}),
        ("acme.dance", map! {}),
        ("provider.dance", map! {}),
        ("provider.models", map! { "provider" => "no-such-provider", "model_type" => "language" }),
    ];
    let nodes = [("test.Fail", map! {}), ("test.Panic", map! {}), ("test.Sleep", map! { "ms" => "no number" })];
    requests.extend(
        nodes
            .into_iter()
            .filter(|(name, _)| w.node(name).is_ok())
            .map(|(name, fields)| ("execute", node(name, fields))),
    );
    let said = |kind: &str, data: &Map| format!("{kind} with {}", json(&Value::Map(data.clone())));
    requests.into_iter().map(|(kind, data)| Ok((said(kind, &data), w.call(kind, data)?))).collect()
}

/// The text of the error that this has to be.
fn error_for<'a>(request: &str, answer: &'a Message) -> Outcome<&'a str> {
    answer.expect_error().map_err(|stop| stop.reworded(|what| format!("{what} to {request}")))
}

fn optional(w: &mut Worker, key: &str, fits: fn(&Value) -> bool) -> Outcome {
    for (request, answer) in errors(w)? {
        error_for(&request, &answer)?;
        let value = answer.data.get(key);
        ensure!(value.is_none_or(fits), "`{key}` of the error to {request} is {}", found(value));
    }
    Ok(())
}

fn absent_program(w: &mut Worker, program: &str) -> Outcome {
    let status = w.call("worker.status", map! {})?;
    let enabled = status.get(program)?.get("enabled").and_then(Value::as_bool);
    ensure!(enabled.is_some(), "`{program}` of worker.status does not say whether it is `enabled`");
    if enabled == Some(true) {
        return Err(not_applicable(format!("the worker can reach {program}")));
    }
    let answer = w.call(&format!("{program}.dance"), map! {})?;
    error_names(&answer, program)
}

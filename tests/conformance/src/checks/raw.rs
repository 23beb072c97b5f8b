//! Payloads made byte by byte: every way in which a host may write MessagePack. No check stands here.

use millwork_protocol::{Map, Value};

use crate::check::Outcome;
use crate::worker::Worker;

/// `{type, request_id, data}` with `data` as it is given.
pub(super) fn request(kind: &str, id: &str, data: &[u8]) -> Vec<u8> {
    [&[0x83], &text("type")[..], &text(kind), &text("request_id"), &text(id), &text("data"), data].concat()
}

/// `{type, request_id}`, with the id as it is given.
pub(super) fn with_id(kind: &str, id: &[u8]) -> Vec<u8> {
    [&[0x82], &text("type")[..], &text(kind), &text("request_id"), id].concat()
}

/// A short text, as every encoder writes it.
pub(super) fn text(text: &str) -> Vec<u8> {
    match u8::try_from(text.len()) {
        Ok(len @ 0..32) => [&[0xa0 | len], text.as_bytes()].concat(),
        Ok(len) => [&[0xd9, len], text.as_bytes()].concat(),
        Err(_) => sized(0xda, 2, text.as_bytes()),
    }
}

/// A token with a length of so many bytes, and what follows.
pub(super) fn sized(token: u8, width: usize, bytes: &[u8]) -> Vec<u8> {
    counted(token, width, bytes.len(), bytes)
}

/// A token with a count of so many bytes, and what follows.
pub(super) fn counted(token: u8, width: usize, count: usize, bytes: &[u8]) -> Vec<u8> {
    let count = (count as u64).to_be_bytes();
    [&[token], count.get(8 - width..).unwrap_or_default(), bytes].concat()
}

/// The data of an `execute` of a node with one field, whose value is as it is given.
pub(super) fn execute(node: &str, field: &str, value: &[u8]) -> Vec<u8> {
    let fields = [&[0x81], &text(field)[..], value].concat();
    [&[0x82], &text("node_type")[..], &text(node), &text("fields"), &fields].concat()
}

/// Sends a value in these bytes through `test.Echo`, and gives what comes back.
pub(super) fn echo(w: &mut Worker, value: &[u8]) -> Outcome<Value> {
    w.node("test.Echo")?;
    let id = format!("{}/raw", w.session().current().to_lowercase());
    w.send_payload(request("execute", &id, &execute("test.Echo", "value", value)));
    let answer = w.terminal(&id)?;
    answer.expect_kind("result")?;
    let outputs = answer.get("outputs")?;
    Ok(outputs.get("output").cloned().unwrap_or_default())
}

/// Sends a payload, and waits for the answer to this id, whatever it is.
pub(super) fn answer_to(w: &mut Worker, id: &str, payload: Vec<u8>) -> Outcome<crate::message::Message> {
    w.send_payload(payload);
    w.terminal(id)
}

/// The texts under a key of each of these maps.
pub(super) fn texts<'a>(maps: impl IntoIterator<Item = &'a Map>, key: &str) -> Vec<String> {
    let texts = maps.into_iter().filter_map(|map| map.get(key).and_then(Value::as_str));
    texts.map(str::to_owned).collect()
}

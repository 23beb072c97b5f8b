//! What checks of several areas need: requests, values to send, and what to say of an answer. No check stands here.

use millwork_protocol::codec::Encoder;
use millwork_protocol::{Bytes, Map, Value, map};

use crate::check::{Outcome, ensure, fail, not_applicable};
use crate::message::Message;
use crate::random::Random;
use crate::validate::rule;
use crate::worker::Worker;

/// The data of an `execute`.
pub(super) fn node(node_type: &str, fields: Map) -> Map {
    map! { "node_type" => node_type, "fields" => fields }
}

/// The same with one more key.
pub(super) fn with(mut data: Map, key: &str, value: impl Into<Value>) -> Map {
    data.insert(key.to_owned(), value.into());
    data
}

/// The data of an `execute` that runs `test.Echo` with a blob.
pub(super) fn echo_blob(blob: impl Into<Value>) -> Map {
    with(node("test.Echo", map! {}), "blobs", map! { "value" => blob.into() })
}

/// Gives back `value` through `test.Echo`.
pub(super) fn echo(w: &mut Worker, value: impl Into<Value>) -> Outcome<Message> {
    w.node("test.Echo")?;
    w.execute("test.Echo", map! { "value" => value.into() })
}

/// Runs `test.Echo` with `value`, and holds what it gives to it.
pub(super) fn echoes(w: &mut Worker, value: impl Into<Value>) -> Outcome {
    let value = value.into();
    let answer = echo(w, value.clone())?;
    let given = answer.output("output")?;
    ensure!(*given == value, "test.Echo was given {} and answered {}", json(&value), json(given));
    Ok(())
}

/// Whether a number output is that number, whole or float.
pub(super) fn is_number(answer: &Message, slot: &str, number: f64) -> Outcome {
    let given = answer.output(slot)?;
    ensure!(given.as_f64() == Some(number), "the output `{slot}` is {} where {number} was due", json(given));
    Ok(())
}

/// A key of `data` that is a map.
pub(super) fn map_in<'a>(message: &'a Message, key: &str) -> Outcome<&'a Map> {
    let value = message.get(key)?;
    value.as_map().ok_or_else(|| fail(format!("`{key}` of a `{}` is no map but {}", message.kind, value.type_name())))
}

/// A key of `data` that is a list.
pub(super) fn list_in<'a>(message: &'a Message, key: &str) -> Outcome<&'a [Value]> {
    let value = message.get(key)?;
    value.as_list().ok_or_else(|| fail(format!("`{key}` of a `{}` is no list but {}", message.kind, value.type_name())))
}

/// What stands under a key, or that nothing does.
pub(super) fn found(value: Option<&Value>) -> String {
    value.map_or_else(|| "missing".to_owned(), json)
}

/// An id as one says it: nil where there is none.
pub(super) fn id_text(id: Option<&str>) -> String {
    id.map_or_else(|| "nil".to_owned(), |id| format!("{id:?}"))
}

/// Bytes in hexadecimal, shortened.
pub(super) fn hex(bytes: &[u8]) -> String {
    let text = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    if text.is_empty() { "of no bytes".to_owned() } else { crate::message::shorten(&text, 90) }
}

/// A value as JSON, shortened.
pub(super) fn json(value: &Value) -> String {
    crate::message::shorten(&value.to_json().to_string(), 200)
}

/// The answer is an error whose text has `part` in it, upper or lower case.
pub(super) fn error_names(answer: &Message, part: &str) -> Outcome {
    let text = answer.expect_error()?;
    ensure!(text.to_lowercase().contains(&part.to_lowercase()), "the error does not name {part:?}: {text:?}");
    Ok(())
}

/// Listens for a moment: nothing more comes for requests that have had their end.
pub(super) fn nothing_more(w: &mut Worker) -> Outcome {
    let time = w.session().seconds(0.1);
    let more = w.listen(time);
    if let Some(message) = more.first() {
        return Err(fail(format!(
            "a `{}` frame for {} came, and nothing was due",
            message.kind,
            id_text(message.id.as_deref())
        )));
    }
    nothing_followed(w)
}

/// No frame during this check was for a request that had had its terminal frame.
pub(super) fn nothing_followed(w: &Worker) -> Outcome {
    let during = w.session().current();
    let late = w.session().violations(rule::AFTER_THE_END).into_iter().find(|late| late.during == during);
    late.map_or(Ok(()), |late| Err(fail(late.what)))
}

/// A node of ours with one number field: its type, the field, and the default that `discover` lists.
pub(super) fn number_node(w: &Worker) -> Outcome<(&'static str, &'static str, Option<f64>)> {
    let candidates = [("test.Progress", "n"), ("test.Sleep", "ms"), ("test.Add", "a"), ("test.Stream", "n")];
    let found = candidates.into_iter().find_map(|(node, field)| Some((node, field, w.node(node).ok()?)));
    let (node, field, metadata) = found
        .ok_or_else(|| not_applicable("the worker has none of test.Progress, test.Sleep, test.Add, test.Stream"))?;
    let properties = metadata.get("properties").and_then(Value::as_list).unwrap_or_default();
    let property = properties.iter().find(|property| property.get("name").and_then(Value::as_str) == Some(field));
    Ok((node, field, property.and_then(|property| property.get("default")).and_then(Value::as_f64)))
}

/// So many bytes of every value, which differ by `seed`.
pub(super) fn noise(len: usize, seed: u64) -> Bytes {
    Random::new(seed).bytes(len)
}

/// Two blobs are the same; if not, where they part.
pub(super) fn same_bytes(given: &[u8], sent: &[u8]) -> Outcome {
    ensure!(given.len() == sent.len(), "{} bytes were sent and {} came back", sent.len(), given.len());
    let at = given.iter().zip(sent).position(|(a, b)| a != b);
    ensure!(at.is_none(), "the bytes that came back differ from those sent, first at {}", at.unwrap_or_default());
    Ok(())
}

/// Sends a blob through `test.Echo`, and holds what comes back to it.
pub(super) fn blob_returns(w: &mut Worker, blob: &Bytes) -> Outcome {
    w.node("test.Echo")?;
    let answer = w.call("execute", echo_blob(blob.clone()))?;
    same_bytes(answer.blob("output")?, blob)
}

/// A whole message as a payload, for envelopes that [`Worker::send`] does not write.
pub(super) fn payload(message: Map) -> Bytes {
    let mut encoder = Encoder::default();
    encoder.value(&Value::Map(message));
    encoder.into_bytes()
}

//! STR: answers that come bit by bit.

use millwork_protocol::{Map, Value, map};

use super::common::{error_names, json, map_in, node, nothing_followed, nothing_more, with};
use crate::check::{Check, Outcome, ensure, fail};
use crate::message::Message;
use crate::worker::Worker;

/// More chunks than a worker makes before it sees a cancel.
const ENDLESS: u32 = 50_000_000;

pub(super) const CHECKS: &[Check] = &[
    Check::new("STR-001", |w| {
        let frames = stream(w, map! { "n" => 3 })?;
        ends_empty(&frames)
    }),
    Check::new("STR-002", |w| {
        for chunk in chunks(&stream(w, map! { "n" => 3 })?) {
            map_in(chunk, "outputs")?;
            map_in(chunk, "blobs")?;
        }
        Ok(())
    }),
    Check::new("STR-003", |w| {
        let frames = stream(w, map! { "n" => 1000 })?;
        counts_up(chunks(&frames), 1000)
    }),
    Check::new("STR-004", |w| {
        let frames = stream(w, map! { "n" => 0 })?;
        ensure!(chunks(&frames).next().is_none(), "a stream of nothing has a chunk");
        ends_empty(&frames)
    }),
    Check::fresh("STR-005", |w| {
        let id = endless(w)?;
        w.next_of(&id)?.expect_kind("chunk")?;
        w.cancel(&id);
        w.terminal(&id)?;
        nothing_more(w)?;
        w.is_well()
    }),
    Check::fresh("STR-006", |w| {
        let id = endless(w)?;
        w.next_of(&id)
            .map_err(|stop| stop.cause("The chunks seem to be kept until the node has ended."))?
            .expect_kind("chunk")?;
        w.cancel(&id);
        w.terminal(&id).map(|_| ())
    }),
    Check::new("STR-007", |w| {
        w.node("test.Echo")?;
        let id = w.send("execute.stream", node("test.Echo", map! { "value" => 7 }));
        let frames = w.frames(&id)?;
        ends_empty(&frames)
    }),
    Check::new("STR-008", |w| {
        w.node("test.Echo")?;
        let id = w.send("execute.stream", node("test.Echo", map! { "value" => 7 }));
        let frames = w.frames(&id)?;
        let mut chunks = chunks(&frames);
        let chunk = chunks.next().ok_or_else(|| {
            fail("no chunk came, and the outputs of the node are lost")
                .cause("The result of a stream is empty, so what the node gave has to be in a chunk.")
        })?;
        ensure!(chunk.output("output")?.as_i64() == Some(7), "the chunk holds {}", crate::message::text(&chunk.data));
        ensure!(chunks.next().is_none(), "a node that does not stream gave more than one chunk");
        Ok(())
    }),
    Check::new("STR-009", |w| {
        let answer = w.call("execute.stream", node("no.such.Node", map! {}))?;
        error_names(&answer, "Unknown node type: no.such.Node")
    }),
    Check::new("STR-010", |w| {
        w.node("test.Stream")?;
        let one = w.send("execute.stream", node("test.Stream", map! { "n" => 300 }));
        let two = w.send("execute.stream", node("test.Stream", map! { "n" => 200 }));
        let (one, two) = (w.frames(&one)?, w.frames(&two)?);
        counts_up(chunks(&one), 300)?;
        counts_up(chunks(&two), 200)
    }),
    Check::new("STR-011", |w| {
        let metadata = w.node("test.Stream")?;
        let outputs = metadata.get("outputs").and_then(Value::as_list).unwrap_or_default();
        if !outputs.iter().any(|output| output.get("name").and_then(Value::as_str) == Some("blob")) {
            return Err(crate::check::not_applicable("the worker's test.Stream has no output `blob`"));
        }
        let frames = stream(w, map! { "n" => 3, "bytes" => 5000 })?;
        for chunk in chunks(&frames) {
            let len = chunk.blob("blob")?.len();
            ensure!(len == 5000, "a blob of 5000 bytes was due, and one of {len} came");
            let reference = chunk.output("blob")?;
            let uri = reference.get("uri").and_then(Value::as_str).unwrap_or_default();
            ensure!(uri.starts_with("blob://"), "the output `blob` is no reference to a blob: {}", json(reference));
        }
        Ok(())
    }),
    Check::new("STR-012", |w| {
        let frames = stream(w, map! { "n" => "no number" })?;
        ensure!(chunks(&frames).next().is_none(), "chunks came though a field is wrong");
        last(&frames)?.expect_error().map(|_| ())
    }),
    Check::fresh("STR-013", |w| {
        let id = endless(w)?;
        w.next_of(&id)?.expect_kind("chunk")?;
        w.is_well()?;
        w.cancel(&id);
        w.terminal(&id)?;
        nothing_followed(w)
    }),
];

fn stream(w: &mut Worker, fields: Map) -> Outcome<Vec<Message>> {
    w.node("test.Stream")?;
    let id = w.send("execute.stream", node("test.Stream", fields));
    w.frames(&id)
}

/// A stream that only a cancel ends.
pub(super) fn endless(w: &mut Worker) -> Outcome<String> {
    w.node("test.Stream")?;
    Ok(w.send("execute.stream", with(node("test.Stream", map! { "n" => ENDLESS }), "secrets", map! {})))
}

fn chunks(frames: &[Message]) -> impl Iterator<Item = &Message> {
    frames.iter().filter(|frame| frame.kind == "chunk")
}

fn last(frames: &[Message]) -> Outcome<&Message> {
    frames.last().ok_or_else(|| fail("no frame came"))
}

fn ends_empty(frames: &[Message]) -> Outcome {
    let end = last(frames)?.expect_kind("result")?;
    for key in ["outputs", "blobs"] {
        let map = map_in(end, key)?;
        ensure!(map.is_empty(), "`{key}` of a stream's result is not empty: {}", crate::message::text(map));
    }
    Ok(())
}

/// The chunks of `test.Stream` are 0, 1, … n-1.
pub(super) fn counts_up<'a>(chunks: impl Iterator<Item = &'a Message>, n: i64) -> Outcome {
    let mut due = 0;
    for chunk in chunks {
        let given = chunk.output("output")?;
        ensure!(given.as_i64() == Some(due), "chunk {due} of the stream holds {}", json(given));
        due += 1;
    }
    ensure!(due == n, "{due} of {n} chunks came");
    Ok(())
}

//! BLB 050 and on: blobs in chunks, `chunked-v1`.

use millwork_protocol::{Bytes, Value, map};
use sha2::{Digest, Sha256};

use super::common::{echo_blob, found, json, map_in, node, noise, nothing_followed, nothing_more, same_bytes, with};
use crate::check::{Check, Outcome, ensure, fail};
use crate::message::Message;
use crate::worker::Worker;

const CHUNK_SIZE: &str = "NODETOOL_BRIDGE_BLOB_CHUNK_SIZE";
const FRAME_SIZE: &str = "NODETOOL_BRIDGE_MAX_FRAME_SIZE";
const MIB: usize = 1 << 20;

pub(super) const CHECKS: &[Check] = &[
    Check::new("BLB-050", |w| {
        let frames = chunked(w, noise(3 * MIB / 2, 50))?;
        let kinds: Vec<&str> =
            frames.iter().map(|frame| frame.kind.as_str()).filter(|kind| *kind != "progress").collect();
        let in_order = kinds.len() >= 4
            && kinds.first() == Some(&"blob.start")
            && kinds[1..kinds.len() - 2].iter().all(|kind| *kind == "blob.chunk")
            && kinds[kinds.len() - 2..] == ["blob.end", "result"];
        ensure!(in_order, "the frames came in this order: {}", kinds.join(", "));
        let blobs = frames.last().map(|end| map_in(end, "blobs")).transpose()?;
        ensure!(blobs.is_some_and(|blobs| blobs.is_empty()), "the result still has blobs of its own");
        Ok(())
    }),
    Check::new("BLB-051", |w| {
        let frames = chunked(w, noise(MIB + 1, 51))?;
        let blob = put_together(&frames)?;
        for kind in ["blob.start", "blob.end"] {
            let size = one(&frames, kind)?.data.get("size");
            let fits = size.and_then(Value::as_i64) == i64::try_from(blob.len()).ok();
            ensure!(fits, "`size` of {kind} is {}, and {} bytes came", found(size), blob.len());
        }
        same_bytes(&blob, &noise(MIB + 1, 51))
    }),
    Check::new("BLB-052", |w| {
        let frames = chunked(w, noise(MIB + 1, 52))?;
        ensure_digest(&frames, &noise(MIB + 1, 52))
    }),
    Check::new("BLB-053", |w| {
        let frames = chunked(w, noise(5 * MIB / 2, 53))?;
        put_together(&frames).map(|_| ())
    }),
    Check::launch("BLB-054", |session| {
        session.node("test.Echo")?;
        let mut w = session.start_with(|launch| launch.env(CHUNK_SIZE, "4096"))?;
        let frames = chunked(&mut w, noise(50_000, 54))?;
        none_larger(&frames, 4096)?;
        same_bytes(&put_together(&frames)?, &noise(50_000, 54))
    }),
    Check::new("BLB-055", |w| {
        for frame in chunked(w, noise(MIB + 1, 55))?.iter().filter(|frame| frame.kind.starts_with("blob.")) {
            let name = frame.get("name")?;
            ensure!(
                name.as_str() == Some("output"),
                "`name` of {} is {}, not the slot `output`",
                frame.kind,
                json(name)
            );
        }
        Ok(())
    }),
    Check::new("BLB-056", |w| {
        let frames = chunked(w, Bytes::new())?;
        let chunk = frames.iter().filter(|frame| frame.kind == "blob.chunk").find_map(|frame| bytes_of(frame).ok());
        ensure!(chunk.is_none_or(<[u8]>::is_empty), "a blob of no bytes has a chunk with some");
        one(&frames, "blob.start")?;
        ensure_digest(&frames, b"")
    }),
    Check::new("BLB-057", |w| {
        w.node("test.Echo")?;
        let id = w.send("execute", echo_blob(noise(3 * MIB, 57)));
        let frames = w.frames(&id)?;
        let odd = frames.iter().find(|frame| frame.kind.starts_with("blob."));
        ensure!(
            odd.is_none(),
            "a `{}` frame came, and the request did not ask for chunks",
            odd.map_or("", |odd| &odd.kind)
        );
        Ok(())
    }),
    Check::new("BLB-058", |w| {
        w.node("test.Echo")?;
        let answer = w.call("execute", with(echo_blob(noise(100, 58)), "blob_transfer", "chunked-v99"))?;
        same_bytes(answer.blob("output")?, &noise(100, 58))
    }),
    Check::new("BLB-059", |w| {
        w.node("test.Echo")?;
        let blobs: Vec<Bytes> = (0..6).map(|i| noise(MIB + i, 59 + i as u64)).collect();
        let ids: Vec<_> = blobs.iter().map(|blob| w.send("execute", asked(blob.clone()))).collect();
        for (id, blob) in ids.iter().zip(&blobs) {
            let frames = w.frames(id)?;
            same_bytes(&put_together(&frames)?, blob)?;
            ensure_digest(&frames, blob)?;
        }
        Ok(())
    }),
    Check::new("BLB-060", |w| {
        let (node_type, data) = if w.node("test.BigBlob").is_ok() {
            ("test.BigBlob", node("test.BigBlob", map! { "bytes" => 24 * MIB }))
        } else {
            ("test.Echo", echo_blob(noise(24 * MIB, 60)))
        };
        w.node(node_type)?;
        let id = w.send("execute", with(data, "blob_transfer", "chunked-v1"));
        let first = w.next_of(&id)?;
        w.cancel(&id);
        if !first.is_terminal() {
            w.terminal(&id)?;
        }
        w.is_well()?;
        nothing_more(w)?;
        nothing_followed(w)
    }),
    Check::new("BLB-061", |w| none_larger(&chunked(w, noise(5 * MIB / 2, 61))?, MIB)),
    Check::new("BLB-062", |w| {
        let frames = chunked(w, noise(MIB + 1, 62))?;
        let answer = frames.last().ok_or_else(|| fail("no frame came"))?;
        let reference = answer.output("output")?;
        let uri = reference.get("uri").and_then(Value::as_str).unwrap_or_default();
        ensure!(uri.starts_with("blob://"), "the output is no reference to a blob: {}", json(reference));
        Ok(())
    }),
    Check::new("BLB-063", |w| {
        super::providers::test_provider(w, "text_to_image")?;
        let data = map! {
            "provider" => "test", "params" => map! { "model" => "test-image", "prompt" => "a" }, "blob_transfer" => "chunked-v1"
        };
        let id = w.send("provider.text_to_image", data);
        let frames = w.frames(&id)?;
        let blob = put_together(&frames)?;
        ensure!(!blob.is_empty(), "the picture came outside of chunks, or not at all");
        ensure_digest(&frames, &blob)
    }),
    Check::launch("BLB-064", |session| {
        session.node("test.BigBlob")?;
        let mut w = session.start_with(|launch| launch.env(FRAME_SIZE, "262144"))?;
        let data = with(node("test.BigBlob", map! { "bytes" => MIB }), "blob_transfer", "chunked-v1");
        let id = w.send("execute", data);
        let frames = w.frames(&id)?;
        frames.last().map_or(Ok(()), |end| end.expect_kind("result").map(|_| ()))?;
        none_larger(&frames, 131_072)?;
        let len = put_together(&frames)?.len();
        ensure!(len == MIB, "a blob of {MIB} bytes was due, and one of {len} came");
        Ok(())
    }),
    Check::new("BLB-065", |w| {
        let empty = Bytes::new();
        let uploads = [
            ("blob.start", map! { "name" => "value", "size" => 3 }),
            ("blob.chunk", map! { "name" => "value", "offset" => 0, "bytes" => empty }),
            ("blob.end", map! { "name" => "value", "size" => 3, "sha256" => "00" }),
        ];
        for (kind, data) in uploads {
            let answer = w.call(kind, data)?;
            let text = answer.expect_error()?;
            ensure!(text.contains(kind), "the error does not name the type {kind}: {text:?}");
        }
        w.is_well()
    }),
];

fn asked(blob: Bytes) -> millwork_protocol::Map {
    with(echo_blob(blob), "blob_transfer", "chunked-v1")
}

/// Sends a blob through `test.Echo` and takes it back in chunks: every frame of the request.
fn chunked(w: &mut Worker, blob: Bytes) -> Outcome<Vec<Message>> {
    w.node("test.Echo")?;
    let id = w.send("execute", asked(blob));
    let frames = w.frames(&id)?;
    frames.last().map_or(Ok(()), |end| end.expect_kind("result").map(|_| ()))?;
    Ok(frames)
}

fn one<'a>(frames: &'a [Message], kind: &str) -> Outcome<&'a Message> {
    let mut found = frames.iter().filter(|frame| frame.kind == kind);
    match (found.next(), found.next()) {
        (Some(frame), None) => Ok(frame),
        (None, _) => Err(fail(format!("no `{kind}` came"))
            .cause("The worker does not send blobs in chunks although the request asks for it.")),
        (Some(_), Some(_)) => Err(fail(format!("more than one `{kind}` came for one blob"))),
    }
}

fn bytes_of(chunk: &Message) -> Outcome<&[u8]> {
    match chunk.get("bytes")? {
        Value::Bytes(bytes) => Ok(bytes),
        other => Err(fail(format!("`bytes` of a blob.chunk is {}", other.type_name()))),
    }
}

/// The blob that the chunks are, each where the one before it ends.
fn put_together(frames: &[Message]) -> Outcome<Vec<u8>> {
    one(frames, "blob.start")?;
    one(frames, "blob.end")?;
    let mut blob = Vec::new();
    for chunk in frames.iter().filter(|frame| frame.kind == "blob.chunk") {
        let offset = chunk.data.get("offset");
        let fits = offset.and_then(Value::as_i64) == i64::try_from(blob.len()).ok();
        ensure!(fits, "the `offset` of a chunk is {} where {} is due", found(offset), blob.len());
        blob.extend_from_slice(bytes_of(chunk)?);
    }
    Ok(blob)
}

fn none_larger(frames: &[Message], limit: usize) -> Outcome {
    one(frames, "blob.start")?;
    for chunk in frames.iter().filter(|frame| frame.kind == "blob.chunk") {
        let len = bytes_of(chunk)?.len();
        ensure!(len <= limit, "a chunk has {len} bytes, and {limit} is the most");
    }
    Ok(())
}

fn ensure_digest(frames: &[Message], blob: &[u8]) -> Outcome {
    let due: String = Sha256::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect();
    let given = one(frames, "blob.end")?.get("sha256")?;
    if given.as_str().is_none() {
        return Err(not_a_digest(given));
    }
    ensure!(given.as_str() == Some(due.as_str()), "`sha256` is {}, and the bytes have {due}", json(given));
    Ok(())
}

fn not_a_digest(given: &Value) -> crate::check::Stop {
    fail(format!("`sha256` is no text but {}", given.type_name()))
}

//! BLB 001 to 049: bytes in and out, within one frame. In chunks they are in [`super::chunked`].

use millwork_protocol::{Bytes, READY_LINE, Value, map};

use super::common::{blob_returns, echo, echo_blob, found, is_number, json, map_in, node, noise, same_bytes, with};
use crate::check::{Check, Outcome, ensure, fail};
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("BLB-001", |w| blob_returns(w, &Bytes::from_static(b"abc"))),
    Check::new("BLB-002", |w| {
        w.node("test.Echo")?;
        let answer = w.call("execute", echo_blob(noise(100, 1)))?;
        let reference = answer.output("output")?;
        let text = |key| reference.get(key).and_then(Value::as_str).unwrap_or_default();
        ensure!(text("uri").starts_with("blob://"), "the output is no reference to a blob: {}", json(reference));
        ensure!(!text("type").is_empty(), "the reference has no `type`: {}", json(reference));
        answer.blob("output").map(|_| ())
    }),
    Check::new("BLB-003", |w| blob_returns(w, &Bytes::new())),
    Check::new("BLB-004", |w| blob_returns(w, &noise(64 << 10, 4))),
    Check::new("BLB-005", |w| blob_returns(w, &noise(16 << 20, 5))),
    Check::new("BLB-006", |w| {
        let (blobs, references) = listed(w)?;
        ensure!(references.len() == blobs.len(), "{} blobs became {} references", blobs.len(), references.len());
        for (reference, blob) in references.iter().zip(&blobs) {
            same_bytes(inline(reference)?, blob)?;
        }
        Ok(())
    }),
    Check::new("BLB-007", |w| {
        let (_, references) = listed(w)?;
        for reference in &references {
            let uri = reference.get("uri");
            let is_empty = uri.and_then(Value::as_str) == Some("");
            ensure!(is_empty, "the `uri` of a reference inside a list is {}: {}", found(uri), json(reference));
            inline(reference)?;
        }
        Ok(())
    }),
    Check::new("BLB-008", |w| {
        let bytes = noise(300, 8);
        let picture = map! { "type" => "image", "uri" => "", "data" => bytes.clone() };
        let answer = echo(w, map! { "picture" => picture })?;
        let given = answer.output("output")?.get("picture").cloned().unwrap_or_default();
        same_bytes(inline(&given)?, &bytes)
    }),
    Check::new("BLB-009", |w| {
        let bytes = noise(40, 9);
        let answer = echo(w, Value::List(vec![bytes.clone().into(), map! { "deep" => bytes.clone() }.into()]))?;
        let given = answer.output("output")?;
        let items = given.as_list().unwrap_or_default();
        let both = [items.first().cloned(), items.get(1).and_then(|map| map.get("deep")).cloned()];
        for item in both {
            match item {
                Some(Value::Bytes(back)) => same_bytes(&back, &bytes)?,
                other => return Err(fail(format!("bytes came back as {}", json(&other.unwrap_or_default())))),
            }
        }
        Ok(())
    }),
    Check::new("BLB-010", |w| {
        w.node("test.Echo")?;
        let data = with(node("test.Echo", map! { "value" => 7 }), "blobs", map! { "value" => noise(50, 10) });
        let answer = w.call("execute", data)?;
        same_bytes(answer.blob("output")?, &noise(50, 10))
    }),
    Check::new("BLB-011", |w| {
        w.node("test.Echo")?;
        let data = with(node("test.Echo", map! { "value" => 7 }), "blobs", map! { "retired_field" => noise(50, 11) });
        let answer = w.call("execute", data)?;
        is_number(&answer, "output", 7.0)
    }),
    Check::new("BLB-012", |w| {
        w.node("test.Echo")?;
        for odd in [Value::from(5), Value::from(true), map! { "a" => 1 }.into(), Value::List(vec![5.into()])] {
            w.call("execute", echo_blob(odd))?.expect_error()?;
        }
        w.is_well()
    }),
    Check::new("BLB-013", |w| {
        let answer = echo(w, 7)?;
        let blobs = map_in(&answer, "blobs")?;
        ensure!(
            blobs.is_empty(),
            "`blobs` of a result without files holds {}",
            blobs.keys().cloned().collect::<Vec<_>>().join(", ")
        );
        Ok(())
    }),
    Check::new("BLB-014", |w| {
        let mut bytes = format!("\n{READY_LINE}\n\r\n").into_bytes();
        bytes.extend((0..=255).cycle().take(1024));
        bytes.extend([0, 0, 0, 1, 0x80, 0xff, 0xff, 0xff, 0xff]);
        blob_returns(w, &bytes.into())
    }),
    Check::new("BLB-015", |w| {
        w.node("test.Echo")?;
        // Bytes that are text as well: a writer that guesses makes `str` of them.
        let answer = w.call("execute", echo_blob(Bytes::from_static(b"plain text")))?;
        same_bytes(answer.blob("output")?, b"plain text")
    }),
    Check::new("BLB-016", |w| {
        w.node("test.Echo")?;
        let blobs: Vec<Bytes> = (0..8).map(|i| noise(100_000 + i, i as u64)).collect();
        let ids: Vec<_> = blobs.iter().map(|blob| w.send("execute", echo_blob(blob.clone()))).collect();
        for (id, blob) in ids.iter().zip(&blobs) {
            let answer = w.terminal(id)?;
            same_bytes(answer.blob("output")?, blob)?;
        }
        Ok(())
    }),
];

/// A list of blobs, and the references that `test.Echo` makes of them.
fn listed(w: &mut Worker) -> Outcome<(Vec<Bytes>, Vec<Value>)> {
    w.node("test.Echo")?;
    let blobs: Vec<Bytes> = (0..3).map(|i| noise(10 + i, i as u64)).collect();
    let answer = w.call("execute", echo_blob(blobs.clone()))?;
    let output = answer.output("output")?;
    let references = output.as_list().ok_or_else(|| fail(format!("a list of blobs became {}", json(output))))?;
    Ok((blobs, references.to_vec()))
}

/// The bytes that a reference carries itself.
fn inline(reference: &Value) -> Outcome<&[u8]> {
    match reference.get("data") {
        Some(Value::Bytes(bytes)) => Ok(bytes),
        _ => Err(fail(format!("a reference inside a list or a map has no bytes in `data`: {}", json(reference)))
            .cause("Only the blobs of whole outputs travel in `blobs`; what is nested carries its own bytes.")),
    }
}

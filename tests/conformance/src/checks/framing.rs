//! Framing.

use millwork_protocol::{Bytes, Frame, Map, Value, map};

use crate::check::{Because, Check, Outcome, ensure};
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::standing("FRM-001", traffic),
    Check::standing("FRM-002", traffic),
    Check::new("FRM-003", |w| {
        w.expect_request("worker.status", "bytewise");
        for byte in status("bytewise") {
            w.raw(vec![byte]);
        }
        w.terminal("bytewise")
            .because("A read that gives fewer bytes than were asked for seems to be taken as the whole.")?;
        Ok(())
    }),
    Check::new("FRM-004", |w| {
        let ids: Vec<String> = (0..20).map(|n| format!("together-{n}")).collect();
        ids.iter().for_each(|id| w.expect_request("worker.status", id));
        let all: Vec<u8> = ids.iter().flat_map(|id| status(id)).collect();
        w.raw(all);
        for id in &ids {
            w.terminal(id).because("Bytes behind the first frame of a read seem to be lost.")?;
        }
        Ok(())
    }),
    Check::new("FRM-005", |w| padded(w, 1 << 20)),
    Check::new("FRM-006", |w| padded(w, 16 << 20)),
    Check::new("FRM-007", |w| {
        w.expect_request("worker.status", "apart");
        let frame = status("apart");
        let (header, payload) = frame.split_at(4);
        w.raw(header.to_vec());
        ensure!(w.wait_written(w.session().patience()), "it does not read its stdin");
        // Long enough that a reader has seen the header alone.
        ensure!(w.listen(w.session().seconds(0.1)).is_empty(), "it answered a header without a payload");
        w.raw(payload.to_vec());
        w.terminal("apart").map(|_| ())
    }),
    Check::new("FRM-008", |w| {
        w.pause_reading(true);
        let ids: Vec<String> = (0..300).map(|_| w.send("worker.status", Map::new())).collect();
        // It may wait for us now, or have answered all: both are fine.
        let _ = w.wait_written(w.session().seconds(0.3));
        w.pause_reading(false);
        for id in &ids {
            w.terminal(id).because("An answer that does not fit into the pipe seems to be dropped.")?;
        }
        Ok(())
    }),
];

fn status(id: &str) -> Vec<u8> {
    Frame::message("worker.status", Some(id), &Map::new()).to_bytes().to_vec()
}

/// A request with so many bytes beside what it needs.
fn padded(w: &mut Worker, bytes: usize) -> Outcome {
    let pad = Value::Bytes(Bytes::from(vec![0x55; bytes]));
    let answer = w
        .call("worker.status", map! { "pad" => pad })
        .because("A frame larger than one read, or than the pipe, is not put together.")?;
    answer.expect_kind("result").map(|_| ())
}

/// A little of everything, for the rules that hold for every frame.
pub(super) fn traffic(w: &mut Worker) -> Outcome {
    w.call("discover", Map::new())?;
    w.call("worker.status", Map::new())?;
    w.call("no.such.request", Map::new())?;
    w.execute("no.such.Node", Map::new())?;
    for (node, kind, fields) in [
        ("test.Echo", "execute", map! { "value" => map! { "a" => vec![1, 2], "b" => "text", "c" => Value::Nil } }),
        ("test.Progress", "execute", map! { "n" => 3 }),
        ("test.Fail", "execute", Map::new()),
        ("test.Stream", "execute.stream", map! { "n" => 3 }),
    ] {
        if w.node(node).is_ok() {
            w.call(kind, map! { "node_type" => node, "fields" => fields })?;
        }
    }
    Ok(())
}

//! CON: many requests at once, and hosts that are slow to read.

use millwork_protocol::{Bytes, Frame, Map, map};

use super::common::{echo_blob, found, id_text, is_number, json, node, noise, nothing_more, same_bytes};
use super::stream::counts_up;
use crate::check::{Because, Check, Outcome, ensure};
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("CON-001", |w| {
        w.node("test.Echo")?;
        let values: Vec<Map> = (0..32_usize).map(|i| map! { "number" => i, "pad" => "x".repeat(i * 997) }).collect();
        let ids: Vec<_> = values
            .iter()
            .map(|value| w.send("execute", node("test.Echo", map! { "value" => value.clone() })))
            .collect();
        for (id, value) in ids.iter().zip(&values) {
            let answer = w.terminal(id)?;
            let given = answer.output("output")?;
            ensure!(given.as_map() == Some(value), "{id:?} has the answer {}", json(given));
        }
        Ok(())
    }),
    Check::new("CON-002", |w| {
        w.node("test.Echo")?;
        let blobs: Vec<Bytes> = (0..32).map(|i| noise(50_000 + i, i as u64)).collect();
        let ids: Vec<_> = blobs.iter().map(|blob| w.send("execute", echo_blob(blob.clone()))).collect();
        for (id, blob) in ids.iter().zip(&blobs) {
            let answer = w.terminal(id)?;
            same_bytes(answer.blob("output")?, blob)?;
        }
        Ok(())
    }),
    Check::new("CON-003", |w| {
        w.node("test.Echo")?;
        let slow = sleep(w, 1000)?;
        let quick = w.send("execute", node("test.Echo", map! { "value" => 1 }));
        let first = w.next()?;
        ensure!(
            first.id.as_deref() == Some(quick.as_str()), "the answer to {} came first", id_text(first.id.as_deref());
            "Requests seem to be served one after the other."
        );
        w.terminal(&slow).map(|_| ())
    }),
    Check::new("CON-004", |w| {
        let slow = sleep(w, 1000)?;
        let status = w.call("worker.status", map! {})?;
        let discover = w.call("discover", map! {})?;
        let end = w.terminal(&slow)?;
        let before = status.at < end.at && discover.at < end.at;
        ensure!(before, "`worker.status` and `discover` were answered only when the node had ended");
        Ok(())
    }),
    Check::new("CON-005", |w| {
        w.node("test.Echo")?;
        w.pause_reading(true);
        let value = |i: usize| map! { "value" => map! { "number" => i, "pad" => "y".repeat(4096) } };
        let ids: Vec<_> = (0..300).map(|i| w.send("execute", node("test.Echo", value(i)))).collect();
        std::thread::sleep(w.session().seconds(0.3));
        w.pause_reading(false);
        for (i, id) in ids.iter().enumerate() {
            let answer = w.terminal(id).because("What does not fit into the pipe seems to be dropped.")?;
            let number = answer.output("output")?.get("number");
            let own = number.and_then(millwork_protocol::Value::as_i64) == i64::try_from(i).ok();
            ensure!(own, "the answer to request {i} holds the number {}", found(number));
        }
        Ok(())
    }),
    Check::new("CON-006", |w| {
        w.node("test.Stream")?;
        w.pause_reading(true);
        let id = w.send("execute.stream", node("test.Stream", map! { "n" => 4000 }));
        std::thread::sleep(w.session().seconds(0.3));
        w.pause_reading(false);
        let frames = w.frames(&id)?;
        counts_up(frames.iter().filter(|frame| frame.kind == "chunk"), 4000)
            .because("What does not fit into the pipe seems to be dropped.")
    }),
    Check::new("CON-007", |w| {
        let ids: Vec<String> = (0..200).map(|i| format!("con-007/{i}")).collect();
        let mut bytes = Vec::new();
        for id in &ids {
            w.expect_request("worker.status", id);
            bytes.extend_from_slice(&Frame::message("worker.status", Some(id), &Map::new()).to_bytes());
        }
        w.raw(bytes);
        for id in &ids {
            w.terminal(id)?.expect_kind("result")?;
        }
        nothing_more(w)
    }),
    Check::new("CON-008", |w| {
        w.node("test.Spin")?;
        let id = w.send("execute", node("test.Spin", map! { "ms" => 800 }));
        let status = w.call("worker.status", map! {})?;
        let end = w.terminal(&id)?;
        ensure!(
            status.at < end.at, "`worker.status` was answered only when the node had ended";
            "Nodes seem to run on the thread that reads requests."
        );
        Ok(())
    }),
    Check::new("CON-009", |w| {
        w.node("test.Echo")?;
        for round in 0..20 {
            let ids: Vec<_> =
                (0..50).map(|i| w.send("execute", node("test.Echo", map! { "value" => round * 50 + i }))).collect();
            for (id, i) in ids.iter().zip(0..) {
                let answer = w.terminal(id)?;
                is_number(&answer, "output", f64::from(round * 50 + i))?;
            }
        }
        nothing_more(w)
    }),
    Check::new("CON-010", |w| {
        let begun = std::time::Instant::now();
        let ids = (0..8).map(|_| sleep(w, 300)).collect::<Outcome<Vec<_>>>()?;
        for id in &ids {
            w.terminal(id)?.expect_kind("result")?;
        }
        let took = begun.elapsed().as_millis();
        ensure!(took < 1500, "8 nodes that each wait 300 ms took {took} ms together");
        Ok(())
    }),
];

fn sleep(w: &mut Worker, ms: u32) -> Outcome<String> {
    w.node("test.Sleep")?;
    Ok(w.send("execute", node("test.Sleep", map! { "ms" => ms })))
}

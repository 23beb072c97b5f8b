//! RUN: who and what a request is part of.

use millwork_protocol::{Map, Value, map};

use super::common::{is_number, node, with};
use crate::check::{Check, Outcome, ensure};
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("RUN-001", |w| {
        runs_as(
            w,
            map! { "node_id" => "n1", "job_id" => "j1", "workflow_id" => "w1", "user_id" => "u1", "requires_vram_gb" => 0.5 },
        )
    }),
    Check::new("RUN-002", |w| {
        let odd = map! {
            "node_id" => 5, "job_id" => vec![1], "workflow_id" => map! { "a" => 1 }, "user_id" => true,
            "requires_vram_gb" => "much"
        };
        runs_as(w, odd)
    }),
    Check::new("RUN-003", |w| {
        let keys = ["node_id", "job_id", "workflow_id", "user_id", "requires_vram_gb"];
        runs_as(w, keys.into_iter().map(|key| (key.to_owned(), Value::Nil)).collect())
    }),
    Check::new("RUN-004", |w| {
        for text in ["", "é漢字🎉\n\u{0}", &"x".repeat(10_000), "../../etc"] {
            runs_as(w, map! { "node_id" => text, "job_id" => text, "workflow_id" => text, "user_id" => text })?;
        }
        Ok(())
    }),
    Check::new("RUN-005", |w| {
        w.node("test.Stream")?;
        let data = with(with(node("test.Stream", map! { "n" => 3 }), "node_id", "n1"), "job_id", 5);
        let id = w.send("execute.stream", data);
        let frames = w.frames(&id)?;
        let end = frames.last().map(|end| end.expect_kind("result")).transpose()?;
        ensure!(end.is_some() && frames.len() >= 4, "{} frames came for a stream of 3 chunks", frames.len());
        Ok(())
    }),
    Check::new("RUN-006", |w| {
        w.node("test.Echo")?;
        let request =
            |i: i32| with(with(node("test.Echo", map! { "value" => i }), "node_id", "same"), "job_id", "same");
        let ids: Vec<_> = (0..8).map(|i| w.send("execute", request(i))).collect();
        for (id, i) in ids.iter().zip(0..) {
            let answer = w.terminal(id)?;
            is_number(&answer, "output", f64::from(i))?;
        }
        Ok(())
    }),
];

fn runs_as(w: &mut Worker, identity: Map) -> Outcome {
    w.node("test.Echo")?;
    let mut data = node("test.Echo", map! { "value" => 7 });
    data.extend(identity);
    let answer = w.call("execute", data)?;
    is_number(&answer, "output", 7.0)
}

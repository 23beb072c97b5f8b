//! PRG: what a request tells while it runs.

use millwork_protocol::{Value, map};

use super::common::{id_text, json, node, nothing_more};
use crate::check::{Check, Outcome, ensure, fail, not_applicable};
use crate::message::Message;
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("PRG-001", |w| {
        w.node("test.Progress")?;
        let id = w.send("execute", node("test.Progress", map! { "n" => 3 }));
        let mut seen = 0;
        loop {
            let frame = w.next()?;
            if frame.kind == "progress" {
                ensure!(
                    frame.id.as_deref() == Some(id.as_str()),
                    "a progress of {id:?} has the id {}",
                    id_text(frame.id.as_deref())
                );
                seen += 1;
            }
            if frame.is_terminal() {
                ensure!(seen > 0, "no progress came before the result");
                return Ok(());
            }
        }
    }),
    Check::new("PRG-002", |w| {
        for frame in progress(w, 3)? {
            for key in ["progress", "total"] {
                let number = frame.get(key)?;
                ensure!(number.as_f64().is_some_and(f64::is_finite), "`{key}` is no number but {}", json(number));
            }
        }
        Ok(())
    }),
    Check::new("PRG-003", |w| {
        progress(w, 500)?;
        nothing_more(w)
    }),
    Check::new("PRG-004", |w| {
        let steps = progress(w, 200)?.iter().map(step).collect::<Outcome<Vec<_>>>()?;
        let back = steps.windows(2).find(|pair| pair[1] < pair[0]);
        match back {
            Some(back) => Err(fail(format!("the progress goes back, from {} to {}", back[0], back[1]))),
            None => Ok(()),
        }
    }),
    Check::new("PRG-005", |w| {
        let frames = progress(w, 1000)?;
        let last = frames.last().map(step).transpose()?;
        ensure!(last == Some(1000.0), "the last progress before the result is {} of 1000", last.unwrap_or_default());
        Ok(())
    }),
    Check::new("PRG-006", |w| {
        w.node("test.Progress")?;
        let sizes = [3_i64, 50, 7, 20];
        let ids: Vec<_> = sizes.iter().map(|n| w.send("execute", node("test.Progress", map! { "n" => *n }))).collect();
        for (id, n) in ids.iter().zip(sizes) {
            for frame in w.frames(id)?.iter().filter(|frame| frame.kind == "progress") {
                let total = frame.get("total")?;
                ensure!(
                    total.as_i64() == Some(n),
                    "a progress of the request with {n} steps has a total of {}",
                    json(total)
                );
            }
        }
        Ok(())
    }),
    Check::new("PRG-007", |w| {
        let nil = progress(w, 3)?.iter().any(|frame| frame.data.get("message").is_some_and(Value::is_nil));
        ensure!(!nil, "`message` of a progress is nil; a key without a value is left out");
        Ok(())
    }),
    Check::new("PRG-008", |w| {
        w.node("test.Spin")?;
        let id = w.send("execute", node("test.Spin", map! { "ms" => 400 }));
        let frames = w.frames(&id)?;
        let (Some(first), Some(last)) = (frames.iter().find(|frame| frame.kind == "progress"), frames.last()) else {
            return Err(not_applicable("the worker's test.Spin sends no progress before it spins"));
        };
        let between = last.at.saturating_duration_since(first.at);
        ensure!(
            between.as_millis() >= 100,
            "the progress came {} ms before the result of a node that takes 400 ms after it", between.as_millis();
            "Progress seems to be kept until the node has ended."
        );
        Ok(())
    }),
];

/// The progress frames of `test.Progress`, at least one.
fn progress(w: &mut Worker, n: u32) -> Outcome<Vec<Message>> {
    w.node("test.Progress")?;
    let id = w.send("execute", node("test.Progress", map! { "n" => n }));
    let mut frames = w.frames(&id)?;
    frames.pop().ok_or_else(|| fail("no frame came"))?.expect_kind("result")?;
    frames.retain(|frame| frame.kind == "progress");
    ensure!(!frames.is_empty(), "test.Progress with n = {n} sent no progress");
    Ok(frames)
}

fn step(frame: &Message) -> Outcome<f64> {
    let step = frame.get("progress")?;
    step.as_f64().ok_or_else(|| fail(format!("`progress` is no number but {}", json(step))))
}

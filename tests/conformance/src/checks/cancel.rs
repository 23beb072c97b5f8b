//! CAN: ending a request before its time.

use millwork_protocol::{Bytes, Frame, Map, Value, map};

use super::common::{echoes, is_number, node, nothing_followed, nothing_more, payload};
use crate::check::{Because, Check, Outcome, ensure};
use crate::message::Message;
use crate::worker::Worker;

/// Longer than any check waits, in milliseconds.
const LONG: u32 = 600_000;

pub(super) const CHECKS: &[Check] = &[
    // An id that stays without an answer leaves the worker unsettled in the eyes of the suite.
    Check::fresh("CAN-001", |w| {
        w.expect_id("nobody-asked-this");
        w.cancel("nobody-asked-this");
        w.is_well()?;
        nothing_more(w)
    }),
    Check::new("CAN-002", |w| {
        let id = w.send("worker.status", map! {});
        w.terminal(&id)?;
        w.cancel(&id);
        w.is_well()?;
        nothing_more(w)
    }),
    Check::new("CAN-003", |w| {
        let id = sleep(w, LONG)?;
        w.is_well()?;
        w.cancel(&id);
        w.terminal(&id)?;
        nothing_more(w)
    }),
    Check::new("CAN-004", |w| {
        let id = sleep(w, LONG)?;
        w.is_well()?;
        w.cancel(&id);
        w.terminal(&id).because("The cancel does not reach a node that already runs.").map(|_| ())
    }),
    Check::new("CAN-005", |w| {
        w.node("test.Sleep")?;
        w.expect_id("at-once");
        let request = Frame::message("execute", Some("at-once"), &node("test.Sleep", map! { "ms" => LONG })).to_bytes();
        let cancel = Frame::message("cancel", Some("at-once"), &Map::new()).to_bytes();
        w.raw(Bytes::from([&request[..], &cancel[..]].concat()));
        w.terminal("at-once").because("A cancel that is read before its request has begun seems to be lost.")?;
        nothing_more(w)
    }),
    Check::new("CAN-006", |w| {
        let ids = (0..64).map(|_| sleep(w, LONG)).collect::<Outcome<Vec<_>>>()?;
        w.is_well()?;
        ids.iter().for_each(|id| w.cancel(id));
        for id in &ids {
            w.terminal(id).because("A cancel seems to reach only what runs, not what waits in a queue.")?;
        }
        nothing_more(w)
    }),
    Check::new("CAN-007", |w| {
        let id = sleep(w, LONG)?;
        w.is_well()?;
        (0..3).for_each(|_| w.cancel(&id));
        w.terminal(&id)?;
        w.cancel(&id);
        w.is_well()?;
        nothing_more(w)
    }),
    Check::new("CAN-008", races).limit(60),
    Check::new("CAN-009", |w| {
        let (kept, cancelled) = (sleep(w, 300)?, sleep(w, LONG)?);
        w.is_well()?;
        w.cancel(&cancelled);
        let ended = w.terminal(&cancelled)?;
        is_cancelled_or_error(&ended)?;
        let answer = w.terminal(&kept)?;
        is_number(&answer, "output", 300.0)
    }),
    Check::new("CAN-010", |w| {
        let forms = [
            map! { "type" => "cancel" },
            map! { "type" => "cancel", "data" => Value::Nil },
            map! { "type" => "cancel", "data" => map! { "reason" => "the user", "deep" => map! { "x" => 1 } } },
        ];
        for mut form in forms {
            let id = sleep(w, LONG)?;
            w.is_well()?;
            form.insert("request_id".to_owned(), Value::from(id.as_str()));
            w.send_payload(payload(form));
            w.terminal(&id)?;
        }
        nothing_more(w)
    }),
    Check::new("CAN-011", |w| {
        for id in [Value::Nil, 5.into(), Value::List(Vec::new())] {
            w.send_payload(payload(map! { "type" => "cancel", "request_id" => id, "data" => map! {} }));
        }
        w.is_well()?;
        nothing_more(w)
    }),
    Check::new("CAN-012", |w| {
        w.node("test.Sleep")?;
        w.send_as("worker.status", "reused", map! {});
        w.terminal("reused")?;
        w.cancel("reused");
        w.send_as("execute", "reused", node("test.Sleep", map! { "ms" => 50 }));
        let answer = w.terminal("reused")?;
        answer.expect_kind("result").because("A cancel for an id that had ended is kept, and ends the next one.")?;
        echoes_where_possible(w)
    }),
    Check::new("CAN-013", |w| {
        let id = sleep(w, LONG)?;
        w.is_well()?;
        w.cancel(&id);
        let answer = w.terminal(&id)?;
        let text = answer.expect_error()?.to_lowercase();
        ensure!(text.contains("cancel"), "the error of a cancelled request is {text:?}");
        Ok(())
    }),
    // A worker may end itself, or be ended, to stop such a node.
    Check::fresh("CAN-014", |w| {
        w.node("test.Spin")?;
        let id = w.send("execute", node("test.Spin", map! { "ms" => 700 }));
        let begun = w.next_of(&id)?;
        w.cancel(&id);
        if !begun.is_terminal() {
            w.terminal(&id)?;
        }
        nothing_more(w)
    }),
];

fn sleep(w: &mut Worker, ms: u32) -> Outcome<String> {
    w.node("test.Sleep")?;
    Ok(w.send("execute", node("test.Sleep", map! { "ms" => ms })))
}

fn is_cancelled_or_error(answer: &Message) -> Outcome {
    answer.expect_kind("error").map(|_| ())
}

fn echoes_where_possible(w: &mut Worker) -> Outcome {
    if w.node("test.Echo").is_ok() { echoes(w, 1) } else { w.is_well() }
}

/// Nodes that end by themselves at about the moment at which they are cancelled.
fn races(w: &mut Worker) -> Outcome {
    for round in 0..200_u64 {
        let id = sleep(w, u32::try_from(round % 5).unwrap_or_default())?;
        std::thread::sleep(std::time::Duration::from_micros(round % 7 * 700));
        w.cancel(&id);
        let answer = w.terminal(&id).because("A cancel that comes as the node ends seems to take its answer away.")?;
        ensure!(
            matches!(answer.kind.as_str(), "result" | "error"),
            "round {round}: a `{}` frame ended the request",
            answer.kind
        );
    }
    w.is_well()?;
    nothing_more(w)?;
    nothing_followed(w)
}

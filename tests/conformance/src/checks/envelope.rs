//! The envelope.

use millwork_protocol::{Map, map};

use super::framing::traffic;
use super::raw::{answer_to, request, text, with_id};
use crate::check::{Because, Check, Outcome, ensure};
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::standing("ENV-001", traffic),
    Check::standing("ENV-002", traffic),
    Check::standing("ENV-003", traffic),
    Check::standing("ENV-004", traffic),
    Check::standing("ENV-005", traffic),
    Check::standing("ENV-006", traffic),
    Check::standing("ENV-007", traffic),
    Check::standing("ENV-008", traffic),
    Check::new("ENV-009", |w| {
        let answer = answer_to(w, "no-data", with_id("worker.status", &text("no-data")))?;
        answer.expect_kind("result").map(|_| ()).because("`data` seems to be taken as required.")
    }),
    Check::new("ENV-010", |w| {
        let answer = answer_to(w, "nil-data", request("worker.status", "nil-data", &[0xc0]))?;
        answer.expect_kind("result").map(|_| ()).because("`data: nil` seems to be taken as a wrong type.")
    }),
    Check::new("ENV-011", |w| {
        let mut payload = request("worker.status", "more-keys", &[0x80]);
        payload[0] = 0x85;
        payload.extend([text("trace"), vec![0x91, 0x07], text("v"), vec![0xcb, 0x40, 0, 0, 0, 0, 0, 0, 0]].concat());
        answer_to(w, "more-keys", payload)?.expect_kind("result").map(|_| ())
    }),
    Check::new("ENV-012", |w| {
        let key_values = [
            [text("type"), text("worker.status")].concat(),
            [text("request_id"), text("any-order")].concat(),
            [text("data"), vec![0x80]].concat(),
        ];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let payload = order.iter().flat_map(|n| &key_values[*n]).copied();
            let answer = answer_to(w, "any-order", std::iter::once(0x83).chain(payload).collect())?;
            answer.expect_kind("result").because("The keys of the envelope seem to be read by position.")?;
        }
        Ok(())
    }),
    Check::new("ENV-013", |w| same_id(w, &"long".repeat(250))),
    Check::new("ENV-014", |w| {
        ["идентификатор", "编号 ①", "a b\tc\nd", "🦀", "0", "nil", "../..\u{0}", "\"'\\"]
            .iter()
            .try_for_each(|id| same_id(w, id))
    }),
    Check::new("ENV-015", |w| {
        for _ in 0..3 {
            w.send_as("worker.status", "again", Map::new());
            w.terminal("again")?
                .expect_kind("result")
                .because("An id seems to be refused for ever once it was used.")?;
        }
        Ok(())
    }),
    Check::new("ENV-016", |w| {
        w.answers("worker.status")?;
        w.send_payload(with_id("worker.status", &[0xc0]));
        w.next_without_id().map(|_| ())
    }),
];

/// The answer comes under exactly this id: one under another is seen as a frame that nobody asked for.
fn same_id(w: &mut Worker, id: &str) -> Outcome {
    w.send_as("worker.status", id, map! {});
    let answer = w.terminal(id).map_err(|stop| stop.reworded(|_| format!("no answer came under the id {id:?}")))?;
    ensure!(answer.kind == "result", "the request under {:?} was answered with `{}`", id, answer.kind);
    Ok(())
}

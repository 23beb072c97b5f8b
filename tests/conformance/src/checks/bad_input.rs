//! Bad input: a worker never dies of it.

use millwork_protocol::{Bytes, Frame, Map, Value, map};

use super::common::{hex, id_text};
use super::raw::{answer_to, counted, execute, request, sized, text, with_id};
use crate::check::{Because, Check, Outcome, ensure};
use crate::random::Random;
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("BAD-001", |w| {
        for payload in [&b"\xc1"[..], b"\xc1\xc1\xc1", b"\x83\xa4type", &[0xdf; 40]] {
            refused(w, payload)?;
        }
        w.is_well()
    }),
    Check::fresh("BAD-002", |w| {
        let whole =
            Frame::message("execute", Some("find-me"), &map! { "node_type" => "test.Add", "pad" => "x".repeat(40) });
        let payload = whole.to_payload();
        w.expect_id("find-me");
        w.send_payload(payload.slice(..payload.len() - 20));
        let answer = w.next()?;
        answer.expect_error()?;
        ensure!(
            answer.id.as_deref() == Some("find-me"), "the error came under the id {}", id_text(answer.id.as_deref());
            "The request id stands in the bytes before the break; without it the host waits for its limit."
        );
        w.is_well()
    }),
    // With a worker of its own: one that ends a moment after the answer must not end the next check's.
    Check::fresh("BAD-003", |w| {
        w.send_payload(vec![0x92, 1, 2]);
        let answer = w.next()?;
        let text = answer.expect_error()?;
        ensure!(text.starts_with("Expected a msgpack map"), "the error says {:?}", text);
        ensure!(answer.id.is_none(), "the error came under the id {}", id_text(answer.id.as_deref()));
        Ok(())
    }),
    Check::new("BAD-004", |w| {
        for payload in
            [&b"\x90"[..], b"\x07", b"\xa2hi", b"\xc0", b"\xc3", b"\xcb\x3f\xf8\0\0\0\0\0\0", b"\xc4\x01x", b"\xd4\0\0"]
        {
            refused(w, payload)?;
        }
        w.is_well()
    }),
    Check::new("BAD-005", |w| {
        refused(w, b"")?;
        w.is_well()
    }),
    Check::new("BAD-006", |w| {
        w.answers("worker.status")?;
        for id in [&[7][..], &[0xc3], &[0x91, 1], &[0x80], &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]] {
            w.send_payload(with_id("worker.status", id));
            w.next_without_id().because("An id of another type has to be taken as nil: the answer carries nil.")?;
        }
        w.is_well()
    }),
    Check::new("BAD-007", |w| {
        let answer = w.call("no.such.request", Map::new())?;
        let text = answer.expect_error()?;
        ensure!(text == "Unknown message type: no.such.request", "the error says {:?}", text);
        Ok(())
    }),
    Check::new("BAD-008", |w| {
        w.expect_id("typeless");
        let payload = [&[0x82], &text("request_id")[..], &text("typeless"), &text("data"), &[0x80]].concat();
        answer_to(w, "typeless", payload)?.expect_error().map(|_| ())
    }),
    Check::new("BAD-009", |w| {
        for kind in [&[5][..], &[0xc0], &[0x90], &[0x81, 1, 2]] {
            let payload = [&[0x82], &text("type")[..], kind, &text("request_id"), &text("mistyped")].concat();
            answer_to(w, "mistyped", payload)?.expect_error()?;
        }
        Ok(())
    }),
    Check::fresh("BAD-010", |w| survives(w, [request("worker.status", "behind", &[0x80]), vec![0xc0, 0x07]].concat())),
    Check::fresh("BAD-011", |w| {
        let twice = [&[0x82], &text("a")[..], &[1], &text("a"), &[2]].concat();
        survives(w, request("worker.status", "twice", &twice))?;
        let mut payload = request("worker.status", "twice", &[0x80]);
        payload[0] = 0x84;
        payload.extend([text("type"), text("worker.status")].concat());
        survives(w, payload)
    }),
    Check::fresh("BAD-012", |w| {
        let nested = [vec![0x91; 100_000], vec![0xc0]].concat();
        survives(w, request("execute", "deep", &execute("test.Echo", "value", &nested)))
    }),
    Check::fresh("BAD-013", |w| {
        let nested = [b"\x81\xa1k".repeat(100_000), vec![0xc0]].concat();
        survives(w, request("execute", "deep", &execute("test.Echo", "value", &nested)))
    }),
    Check::fresh("BAD-014", |w| claim(w, 0xdd)),
    Check::fresh("BAD-015", |w| claim(w, 0xdf)),
    Check::fresh("BAD-016", |w| [0xdb, 0xc6, 0xc9].iter().try_for_each(|token| claim(w, *token))),
    Check::new("BAD-017", |w| {
        let data = [vec![0x91], text("test.Echo")].concat();
        answer_to(w, "list", request("execute", "list", &data))?.expect_error().map(|_| ())
    }),
    Check::new("BAD-018", |w| {
        w.call("execute", Map::new())?.expect_error()?;
        w.call("execute", map! { "node_type" => 5 })?.expect_error()?;
        w.call("execute", map! { "node_type" => Value::Nil })?.expect_error().map(|_| ())
    }),
    Check::new("BAD-019", |w| {
        w.node("test.Echo")?;
        w.call("execute", map! { "node_type" => "test.Echo", "fields" => 3 })?.expect_error().map(|_| ())
    }),
    Check::fresh("BAD-020", |w| cut_off(w, b"\0\0")),
    Check::fresh("BAD-021", |w| cut_off(w, b"\0\0\0\x40\x83\xa4type")),
    Check::fresh("BAD-022", |w| {
        w.expect_any_id();
        let mut random = Random::new(0x5eed);
        for _ in 0..100 {
            let len = random.below(200);
            w.send_payload(random.bytes(len));
        }
        w.is_well()
    }),
    Check::fresh("BAD-023", |w| {
        w.expect_any_id();
        let payload =
            [&[0x82], &text("type")[..], &sized(0xd9, 1, b"\xff\xfe"), &text("request_id"), &text("r")].concat();
        survives(w, payload)
    }),
    Check::new("BAD-024", |w| {
        w.raw(Frame::message("cancel", None, &Map::new()).to_bytes());
        w.is_well()
    }),
    Check::fresh("BAD-025", |w| {
        let keys = [&[0x84], &[1, 2][..], &[0xc0, 3], &[0xcb, 0x40, 0, 0, 0, 0, 0, 0, 0, 4], &[0x90, 5]].concat();
        survives(w, request("worker.status", "keys", &keys))?;
        survives(w, keys)
    }),
    Check::fresh("BAD-026", |w| {
        w.expect_any_id();
        w.raw(Bytes::from_static(b"Traceback (most recent call last):\n  File \"host.py\", line 1\n"));
        w.close_stdin();
        w.exit(w.session().patience())
            .because("It waits for the rest of a frame that the text seems to announce.")
            .map(|_| ())
    }),
];

/// An error under nil, or under whatever id can be read.
fn refused(w: &mut Worker, payload: &[u8]) -> Outcome {
    w.send_payload(payload.to_vec());
    let answer =
        w.next().map_err(|stop| stop.reworded(|_| format!("no answer came to the payload {}", hex(payload))))?;
    answer.expect_error().map(|_| ())
}

/// Whatever it answers, it goes on serving.
fn survives(w: &mut Worker, payload: Vec<u8>) -> Outcome {
    w.expect_any_id();
    w.send_payload(payload);
    w.is_well()
}

/// A value that claims to be far larger than the frame that it stands in.
fn claim(w: &mut Worker, token: u8) -> Outcome {
    let value = counted(token, 4, u32::MAX as usize, &[1, 2, 3]);
    survives(w, request("execute", "claim", &execute("test.Echo", "value", &value)))
}

/// Input that ends inside a frame is an end like any other.
fn cut_off(w: &mut Worker, bytes: &'static [u8]) -> Outcome {
    w.is_well()?;
    w.raw(Bytes::from_static(bytes));
    w.close_stdin();
    let status = w.exit(w.session().patience())?;
    ensure!(status.code() == Some(0), "it ended with {}", crate::peer::exit_text(status));
    Ok(())
}

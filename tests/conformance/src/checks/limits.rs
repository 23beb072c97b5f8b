//! Limits.

use millwork_protocol::limits::MAX_FRAME_ENV;
use millwork_protocol::{Bytes, Map, Value, map};

use super::common::found;
use super::raw::{request, text};
use crate::check::{Because, Check, Outcome, ensure};
use crate::message::Message;
use crate::session::Session;
use crate::worker::{Worker, whole};

/// Small enough that every check is quick, large enough for any `discover`.
const LIMIT: usize = 4 << 20;

pub(super) const CHECKS: &[Check] = &[
    Check::launch("LIM-001", |session| {
        let mut w = limited(session)?;
        let answer = w.call("worker.status", Map::new())?;
        let reported = whole(&answer.data, "max_frame_size");
        ensure!(
            reported == Some(LIMIT as i64),
            "with {}={}, max_frame_size is {}",
            MAX_FRAME_ENV,
            LIMIT,
            found(answer.data.get("max_frame_size"))
        );
        Ok(())
    }),
    Check::launch("LIM-002", |session| {
        let mut w = limited(session)?;
        let answer = oversized(&mut w)?;
        let text = answer.expect_error()?;
        let (claimed, limit) = ((LIMIT + 1).to_string(), LIMIT.to_string());
        ensure!(
            has(text, &claimed) && has(text, &limit),
            "the error does not name {} and {}: {:?}",
            claimed,
            limit,
            text
        );
        Ok(())
    }),
    Check::launch("LIM-003", |session| {
        session.node("test.Sleep")?;
        let mut w = limited(session)?;
        let id = w.send("execute", map! { "node_type" => "test.Sleep", "fields" => map! { "ms" => 300 } });
        w.expect_any_id();
        w.raw(Bytes::from(too_large()));
        w.terminal(&id).because("What is in flight seems to be dropped where it should be drained.").map(|_| ())
    }),
    Check::launch("LIM-004", |session| {
        let mut w = limited(session)?;
        oversized(&mut w)?;
        // It may have found the next frame again, as it knows how much to pass over; else it has to go.
        let id = w.send("worker.status", Map::new());
        if w.terminal(&id).is_ok() {
            return Ok(());
        }
        w.exit(session.patience()).because("It neither serves nor ends: its host waits for ever.").map(|_| ())
    }),
    Check::launch("LIM-005", |session| {
        let mut w = limited(session)?;
        let mut payload = request("worker.status", "exact", &[]);
        // {pad: bytes}, with a header of 32 bits.
        payload.extend([&[0x81], &text("pad")[..], &[0xc6]].concat());
        let room = LIMIT - payload.len() - 4;
        payload.extend((room as u32).to_be_bytes());
        payload.resize(LIMIT, 0x55);
        w.send_payload(payload);
        w.terminal("exact")?.expect_kind("result").map(|_| ())
    }),
    Check::launch("LIM-006", |session| {
        let mut w = limited(session)?;
        let text = too_large_answer(&mut w)?.expect_error()?.to_owned();
        ensure!(!text.is_empty(), "the error says nothing");
        Ok(())
    }),
    Check::launch("LIM-007", |session| {
        let mut w = limited(session)?;
        too_large_answer(&mut w)?;
        w.is_well()
    }),
    Check::launch("LIM-008", |session| {
        let mut w = limited(session)?;
        let answer = too_large_answer(&mut w)?;
        ensure!(
            answer.payload.len() <= LIMIT,
            "a frame of {} bytes came, with a limit of {}",
            answer.payload.len(),
            LIMIT
        );
        Ok(())
    }),
    Check::launch("LIM-009", |session| {
        let mut w = session.start()?;
        w.is_well()?;
        let before = memory(w.pid());
        w.raw((256u32 << 20).to_be_bytes().to_vec());
        w.raw(vec![0; 1 << 20]);
        ensure!(w.wait_written(session.patience()), "it does not read its stdin");
        let grown = memory(w.pid()).saturating_sub(before);
        ensure!(
            grown < 64 << 20, "256 MiB were claimed, 1 MiB came, and it took {} MiB", grown >> 20;
            "It reserves what a length claims, before it comes."
        );
        Ok(())
    }),
];

fn limited(session: &Session) -> Outcome<Worker> {
    session.start_with(|launch| launch.env(MAX_FRAME_ENV, LIMIT.to_string()))
}

/// A whole frame, one byte above the limit.
fn too_large() -> Vec<u8> {
    let mut bytes = ((LIMIT + 1) as u32).to_be_bytes().to_vec();
    bytes.resize(LIMIT + 5, 0x55);
    bytes
}

fn oversized(w: &mut Worker) -> Outcome<Message> {
    w.expect_any_id();
    w.raw(Bytes::from(too_large()));
    w.next().because("A length above the limit seems to end it without a word.")
}

/// Asks for an answer of 6 MiB with requests below the limit.
fn too_large_answer(w: &mut Worker) -> Outcome<Message> {
    w.node("test.BigBlob")?;
    w.execute("test.BigBlob", map! { "bytes" => Value::from(LIMIT * 3 / 2) })
        .because("An answer that fits in no frame seems to be dropped, or to end the worker.")
}

/// Whether this number stands in the text, also with separators of thousands.
fn has(text: &str, number: &str) -> bool {
    text.replace([',', '_', '\'', '\u{202f}', '\u{a0}'], "").contains(number)
}

/// The resident memory of a process, in bytes; nothing where the system does not tell.
fn memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use millwork_protocol::Frame;

    use super::*;

    #[test]
    fn the_frame_above_the_limit_is_whole() {
        assert_eq!(Frame::forward(Bytes::from(vec![0x55; LIMIT + 1])).to_bytes(), too_large());
    }
}

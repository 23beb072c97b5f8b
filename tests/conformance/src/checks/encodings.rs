//! Every encoding that a host may use.

use millwork_protocol::{Bytes, Value, map};

use super::common::{hex, json};
use super::framing::traffic;
use super::raw::{answer_to, counted, echo, execute, request, sized, text, with_id};
use crate::check::{Because, Check, Outcome, ensure};
use crate::message::Message;
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::standing("ENC-001", traffic),
    Check::new("ENC-002", |w| envelope_header(w, &[0xde, 0, 3])),
    Check::new("ENC-003", |w| envelope_header(w, &[0xdf, 0, 0, 0, 3])),
    Check::new("ENC-004", |w| {
        for (token, width) in [(0xd9, 1), (0xda, 2), (0xdb, 4)] {
            let long = |text: &str| sized(token, width, text.as_bytes());
            let parts =
                [long("type"), long("worker.status"), long("request_id"), long("wide"), long("data"), vec![0x80]];
            let payload = [vec![0x83], parts.concat()].concat();
            answer_to(w, "wide", payload)?.expect_kind("result")?;
        }
        Ok(())
    }),
    Check::new("ENC-005", |w| {
        let entry = [text("k"), vec![7]].concat();
        for value in [counted(0xde, 2, 1, &entry), counted(0xdf, 4, 1, &entry)] {
            gives(w, &value, &map! { "k" => 7 }.into())?;
        }
        Ok(())
    }),
    Check::new("ENC-006", |w| {
        for value in [counted(0xdc, 2, 2, &[1, 2]), counted(0xdd, 4, 2, &[1, 2])] {
            gives(w, &value, &vec![1, 2].into())?;
        }
        Ok(())
    }),
    Check::new("ENC-007", |w| int_field(w, &[&[0xcb], &3f64.to_be_bytes()[..]].concat())),
    Check::new("ENC-008", |w| int_field(w, &[&[0xca], &3f32.to_be_bytes()[..]].concat())),
    Check::new("ENC-009", |w| {
        let answer = run(w, "test.Add", "a", &[3])?;
        ensure!(answer.output("output")?.as_f64() == Some(3.0), "3 as a float is {}", json(answer.output("output")?));
        Ok(())
    }),
    Check::new("ENC-010", |w| {
        let cases: [(&[u8], i64); 13] = [
            (&[0x05], 5),
            (&[0xff], -1),
            (&[0xcc, 200], 200),
            (&[0xcd, 0, 9], 9),
            (&[0xce, 0, 0, 1, 0], 256),
            (&[0xcf, 0, 0, 0, 0, 0, 0, 0, 4], 4),
            (&[0xd0, 0x80], -128),
            (&[0xd0, 3], 3),
            (&[0xd1, 0xff, 0xfe], -2),
            (&[0xd2, 0xff, 0xff, 0xff, 0xfd], -3),
            (&[0xd2, 0, 0, 0, 6], 6),
            (&[0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc], -4),
            (&[0xd3, 0, 0, 0, 0, 0, 0, 0, 8], 8),
        ];
        cases.iter().try_for_each(|(bytes, number)| is_number(w, bytes, *number as f64))
    }),
    Check::new("ENC-011", |w| {
        let number = (1u64 << 40) + 7;
        for bytes in [
            [&[0xcf], &number.to_be_bytes()[..]].concat(),
            [&[0xd3], &number.to_be_bytes()[..]].concat(),
            [&[0xcb], &(number as f64).to_be_bytes()[..]].concat(),
        ] {
            is_number(w, &bytes, number as f64).because("Only 32 bits of an integer seem to be kept.")?;
        }
        Ok(())
    }),
    Check::new("ENC-012", |w| {
        w.node("test.Echo")?;
        for (id, bytes) in [
            ("u64", [&[0xcf], &u64::MAX.to_be_bytes()[..]].concat()),
            ("i64", [&[0xd3], &i64::MIN.to_be_bytes()[..]].concat()),
            ("2^53+1", [&[0xcf], &((1u64 << 53) + 1).to_be_bytes()[..]].concat()),
        ] {
            answer_to(w, id, request("execute", id, &execute("test.Echo", "value", &bytes)))?;
        }
        Ok(())
    }),
    Check::new("ENC-013", |w| text_blob(w, b"bytes as text")),
    Check::new("ENC-014", |w| text_blob(w, b"\xff\xfe\x00\x80")),
    Check::new("ENC-015", |w| {
        gives(w, &[0xd4, 0, 0], &Value::Nil)?;
        gives(w, &[0xc7, 1, 0, 0], &Value::Nil)?;
        gives(w, &[0x92, 1, 0xd4, 0, 0], &vec![Value::Int(1), Value::Nil].into())
    }),
    Check::new("ENC-016", |w| {
        let answer = run(w, "test.Add", "b", &[0xd4, 0, 0])?;
        ensure!(answer.output("output")?.as_f64() == Some(0.0), "0 + 0 is {}", json(answer.output("output")?));
        Ok(())
    }),
    Check::new("ENC-017", |w| {
        let answer = answer_to(w, "undefined", request("worker.status", "undefined", &[0xd4, 0, 0]))?;
        answer.expect_kind("result").map(|_| ())
    }),
    Check::new("ENC-018", |w| {
        let second = 1_700_000_000u32.to_be_bytes();
        let wide = [&[0xd7, 0xff], &[0, 0, 0, 4][..], &second].concat();
        let widest = [&[0xc7, 12, 0xff], &[0, 0, 0, 5][..], &[0, 0, 0, 0], &second].concat();
        for value in [[&[0xd6, 0xff], &second[..]].concat(), wide, widest] {
            echo(w, &value)?;
        }
        Ok(())
    }),
    Check::new("ENC-019", |w| {
        for (token, len) in [(0xd4, 1), (0xd5, 2), (0xd6, 4), (0xd7, 8), (0xd8, 16)] {
            gives(w, &[vec![token, 42], vec![9; len]].concat(), &Value::Nil)?;
        }
        gives(w, &[0xc7, 3, 42, 1, 2, 3], &Value::Nil)?;
        gives(w, &[0xc8, 0, 3, 0x85, 1, 2, 3], &Value::Nil)?;
        gives(w, &[0xc9, 0, 0, 0, 3, 100, 1, 2, 3], &Value::Nil)
    }),
    Check::new("ENC-020", |w| {
        for (token, width) in [(0xc4, 1), (0xc5, 2), (0xc6, 4)] {
            gives(w, &sized(token, width, b"\x00\x01\xff"), &Bytes::from_static(b"\x00\x01\xff").into())?;
        }
        Ok(())
    }),
    Check::new("ENC-021", |w| {
        is_number(w, &[&[0xcb], &0.1f64.to_be_bytes()[..]].concat(), 0.1)?;
        is_number(w, &[&[0xca], &1.5f32.to_be_bytes()[..]].concat(), 1.5)
    }),
    Check::new("ENC-022", |w| {
        gives(w, &[0xc3], &true.into())?;
        gives(w, &[0xc2], &false.into())?;
        gives(w, &[0xc0], &Value::Nil)?;
        gives(w, &[0xa0], &"".into())?;
        gives(w, &[0x90], &Value::List(Vec::new()))?;
        gives(w, &[0x80], &map! {}.into())
    }),
    Check::new("ENC-023", |w| {
        w.answers("worker.status")?;
        w.send_payload(with_id("worker.status", &[0xd4, 0, 0]));
        w.next_without_id().map(|_| ())
    }),
];

/// `worker.status` under another header than the shortest.
fn envelope_header(w: &mut Worker, header: &[u8]) -> Outcome {
    let payload = [header, &request("worker.status", "header", &[0x80])[1..]].concat();
    let answer = answer_to(w, "header", payload)
        .because("The payload seems to be recognised by the first byte that one encoder writes.")?;
    answer.expect_kind("result").map(|_| ())
}

/// `test.Echo` gives back this value for these bytes.
fn gives(w: &mut Worker, bytes: &[u8], value: &Value) -> Outcome {
    let given = echo(w, bytes)?;
    ensure!(given == *value, "the bytes {} came back as {}, not {}", hex(bytes), json(&given), json(value));
    Ok(())
}

fn is_number(w: &mut Worker, bytes: &[u8], number: f64) -> Outcome {
    let given = echo(w, bytes)?;
    ensure!(given.as_f64() == Some(number), "{} in the bytes {} came back as {}", number, hex(bytes), json(&given));
    Ok(())
}

fn run(w: &mut Worker, node: &str, field: &str, value: &[u8]) -> Outcome<Message> {
    w.node(node)?;
    answer_to(w, "field", request("execute", "field", &execute(node, field, value)))
}

/// A field of type int takes this.
fn int_field(w: &mut Worker, value: &[u8]) -> Outcome {
    let answer = run(w, "test.Progress", "n", value)?;
    ensure!(
        answer.kind == "result", "the field `n` of test.Progress is refused: {:?}", answer.error().unwrap_or_default();
        "JavaScript has no integers: a host may write every number as a float."
    );
    Ok(())
}

/// A blob whose bytes come with the header of a text.
fn text_blob(w: &mut Worker, bytes: &'static [u8]) -> Outcome {
    w.node("test.Echo")?;
    let blobs = [&[0x81], &text("value")[..], &sized(0xd9, 1, bytes)].concat();
    let keys = [text("node_type"), text("test.Echo"), text("fields"), vec![0x80], text("blobs"), blobs].concat();
    let answer = answer_to(w, "blob", request("execute", "blob", &[vec![0x83], keys].concat()))?;
    let given = answer.blob("output").because("Old encoders write bytes as text: a blob is bytes in either.")?;
    ensure!(given == bytes, "the blob {} came back as {}", hex(bytes), hex(given));
    Ok(())
}

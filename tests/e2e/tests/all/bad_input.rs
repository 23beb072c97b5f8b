//! Promise 4: bad input never ends a worker. The table of the wire contract, line by line.

use millwork_e2e::descendants::{marked, memory};
use millwork_e2e::{Bytes, Frame, Map, PATIENCE, Peer, Program, Request, Value, map, within};

fn refusal(peer: &mut Peer, payload: &[u8]) -> (Option<String>, String) {
    peer.payload(payload);
    let answer = peer.recv();
    (answer.id.clone(), answer.error().to_owned())
}

/// Promise 4: a payload that is not MessagePack.
#[test]
fn p04_what_is_not_messagepack_is_refused() {
    for program in Program::BOTH {
        let mut peer = program.start();
        for payload in [&b""[..], b"\xc1", b"\xc1\xc1\xc1", b"hello, worker", b"\x83\xa4type", &[0xff; 1000]] {
            let (id, text) = refusal(&mut peer, payload);
            assert_eq!(id, None, "{payload:?}: {text}");
            assert!(!text.is_empty());
            peer.is_well();
        }
    }
}

/// Promise 4: the id of a broken payload is salvaged where it can be read.
#[test]
fn p04_the_id_of_a_broken_payload_is_salvaged() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let whole = Frame::message("execute", Some("find-me"), &map! { "node_type" => "test.Add" }).to_payload();
        let (id, text) = refusal(&mut peer, &whole[..whole.len() - 3]);
        assert_eq!(id.as_deref(), Some("find-me"), "{text}");
        // The id after the broken part.
        let broken = [&b"\x83\xa4type\xc1\xaarequest_id\xa5after\xa4data\x80"[..]].concat();
        let (id, text) = refusal(&mut peer, &broken);
        assert_eq!(id.as_deref(), Some("after"), "{text}");
        peer.is_well();
    }
}

/// Promise 4: MessagePack that is no map is named by its type.
#[test]
fn p04_what_is_no_map_is_named() {
    let payloads: [(&[u8], &str); 6] = [
        (b"\x92\x01\x02", "list"),
        (b"\x07", "int"),
        (b"\xa2hi", "str"),
        (b"\xc0", "nil"),
        (b"\xc3", "bool"),
        (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", "float"),
    ];
    for program in Program::BOTH {
        let mut peer = program.start();
        for (payload, name) in payloads {
            let (id, text) = refusal(&mut peer, payload);
            assert_eq!((id, text), (None, format!("Expected a msgpack map, got {name}")));
        }
        peer.is_well();
    }
}

/// Promise 4: an id that is not text counts as nil, and the request is served.
#[test]
fn p04_an_id_that_is_no_text_counts_as_nil() {
    for program in Program::BOTH {
        let mut peer = program.start();
        // {type: "worker.status", request_id: 7}: `data` may be absent too.
        peer.payload(b"\x82\xa4type\xadworker.status\xaarequest_id\x07");
        let answer = peer.recv();
        assert_eq!((answer.kind.as_str(), answer.id), ("result", None));
        // {type: "nope", request_id: nil, data: nil}
        peer.payload(b"\x83\xa4type\xa4nope\xaarequest_id\xc0\xa4data\xc0");
        let answer = peer.recv();
        assert_eq!((answer.error(), &answer.id), ("Unknown message type: nope", &None));
        // No type at all, or one that is no text.
        for payload in [&b"\x81\xaarequest_id\xa1a"[..], b"\x82\xa4type\x05\xaarequest_id\xa1a"] {
            peer.payload(payload);
            let answer = peer.recv();
            assert_eq!(answer.id.as_deref(), Some("a"));
            assert!(answer.error().contains("type"), "{answer:?}");
            peer.is_well();
            // The same id again, on purpose.
            peer.send("worker.status", "a", Map::new());
            assert_eq!(peer.recv().kind, "result");
            peer.send_more("cancel", "a", Map::new());
            peer.is_well();
            peer.forget("a");
        }
    }
}

/// Promise 4: `data` of another type, and fields of another type, are errors of that request.
#[test]
fn p04_mistyped_data_is_an_error_of_its_request() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let mistyped = [
            map! { "node_type" => 5 },
            map! {},
            map! { "node_type" => "test.Add", "fields" => 3 },
            map! { "node_type" => "test.Add", "blobs" => vec![1, 2] },
            map! { "node_type" => "test.Add", "fields" => map! { "a" => "a word" } },
            map! { "node_type" => "test.Sleep", "fields" => map! { "ms" => Value::List(Vec::new()) } },
            map! { "node_type" => "test.Sleep", "fields" => map! { "ms" => -5 } },
        ];
        for data in mistyped {
            let answer = peer.ask("execute", data.clone());
            assert_eq!(answer.kind, "error", "{data:?}");
            assert!(!answer.error().is_empty(), "{data:?}");
        }
        let named = peer.execute(Request::node("test.Add").field("a", "a word"));
        assert!(named.error().contains("`a`"), "a wrong value is named by its field: {named:?}");
        // {type: "execute", request_id: "l", data: []}
        peer.payload(b"\x83\xa4type\xa7execute\xaarequest_id\xa1l\xa4data\x90");
        let answer = peer.recv();
        assert_eq!(answer.id.as_deref(), Some("l"));
        assert_eq!(answer.error_kind(), "invalid_input", "{answer:?}");
        // Run identity of a wrong type is passed over, as nil and unknown fields are.
        let fine = Request::node("test.Add").field("a", 1).field("b", Value::Nil).field("retired", "x");
        let fine = fine.with("node_id", 5).with("job_id", Value::List(Vec::new())).with("user_id", Value::Nil);
        assert_eq!(peer.execute(fine).output("output"), &Value::Float(1.0));
        peer.is_well();
    }
}

/// Promise 4: a frame above the maximum is answered with both numbers and passed over; the next one is served.
#[test]
fn p04_an_oversized_frame_is_skipped_and_answered() {
    for program in Program::BOTH {
        let mut peer = program.launch().env("NODETOOL_BRIDGE_MAX_FRAME_SIZE", "200000").start().ready();
        let large = Request::node("test.Echo").blob("value", Bytes::from(vec![7; 250_000]));
        let frame = Frame::message("execute", Some("large"), &large.into());
        peer.raw(&frame.to_bytes());
        let answer = peer.recv();
        let text = answer.error();
        assert!(text.contains("200000") && text.contains(&frame.payload_len().to_string()), "{text}");
        peer.is_well();
        // The other direction: an answer that fits in no frame is an error of its request.
        let answer = peer.execute(Request::node("test.BigBlob").field("bytes", 250_000));
        assert_eq!(answer.error_kind(), "too_large");
        peer.is_well();
    }
}

/// Promise 4: text instead of frames is said to be that; the worker ends, since no frame can be found again.
#[test]
fn p04_text_on_the_stream_ends_it_with_a_reason() {
    let mut peer = Program::Worker.start();
    peer.raw(b"Traceback (most recent call last):\n  File \"host.py\", line 1\n");
    let answer = peer.recv();
    assert!(answer.error().contains("Traceback"), "{answer:?}");
    assert!(peer.rest().is_empty());
    assert!(peer.exit(PATIENCE).is_some());
}

/// Promise 4: the same, as the supervisor says it. Its host is told the length that the text was taken for.
#[test]
fn p04_text_on_the_supervisors_stream_is_answered() {
    let mut peer = Program::Supervisor.start();
    peer.raw(b"Traceback (most recent call last):\n  File \"host.py\", line 1\n");
    assert_eq!(peer.recv().error_kind(), "too_large");
    peer.close();
    assert!(peer.rest().is_empty());
    assert!(peer.exit(PATIENCE).is_some());
}

/// Promise 4: input that ends inside a frame is an end like any other.
#[test]
fn p04_a_truncated_frame_then_the_end_is_a_clean_exit() {
    for program in Program::BOTH {
        for cut in [1, 3, 4, 20] {
            let mut peer = program.start();
            let frame = Frame::message("execute", Some("cut"), &Request::node("test.Add").into()).to_bytes();
            peer.raw(&frame[..cut]);
            peer.close();
            assert!(peer.rest().is_empty());
            assert_eq!(peer.exit(PATIENCE).and_then(|status| status.code()), Some(0), "cut at {cut}");
        }
    }
}

/// Promise 4: a header that claims 256 MiB costs no memory until the bytes come.
#[test]
fn p04_memory_grows_with_bytes_and_not_with_a_claim() {
    for program in Program::BOTH {
        let mut peer = program.start();
        peer.is_well();
        let all = |key: &str| marked(peer.mark()).iter().filter_map(|p| memory(p.pid, key)).sum::<u64>();
        let before = all("VmHWM");
        peer.raw(&(256u32 << 20).to_be_bytes());
        peer.raw(&[0; 100_000]);
        // The bytes have been read once the pipe takes more than it can hold.
        let writer = peer.raw_meanwhile(vec![0; 2 << 20]);
        assert!(within(PATIENCE, || writer.is_finished()));
        let grown = all("VmHWM").saturating_sub(before);
        assert!(grown < 16 << 20, "{program:?} took {grown} bytes for 2 MiB that came");
        peer.close();
        assert!(peer.exit(PATIENCE).is_some_and(|status| status.success()));
    }
}

/// Promise 4: payloads that are small and mean much: deep nesting, and counts that are never kept.
#[test]
fn p04_bombs_are_refused() {
    // {type: "execute", request_id: "bomb", data: {node_type: "test.Echo", fields: {value: …}}}
    let around = |bomb: &[u8]| {
        let head = b"\x83\xa4type\xa7execute\xaarequest_id\xa4bomb\xa4data\x82\xa9node_type\xa9test.Echo\xa6fields\x81\xa5value";
        [&head[..], bomb].concat()
    };
    let deep: Vec<u8> = std::iter::repeat_n(0x91, 1_000_000).chain([0xc0]).collect();
    let deep_maps: Vec<u8> = std::iter::repeat_n([0x81, 0xa1, b'k'], 300_000).flatten().chain([0xc0]).collect();
    // A list of as many as the header can say, and none of them there.
    let claimed = [&b"\xdd\xff\xff\xff\xff"[..], &[0xc0; 100]].concat();
    let claimed_map = [&b"\xdf\xff\xff\xff\xff"[..], &[0xc0; 100]].concat();
    let claimed_bytes = b"\xc6\xff\xff\xff\xffabc".to_vec();
    // Twenty million empty maps in twenty megabytes.
    let wide = [&b"\xdd\x01\x31\x2d\x00"[..], &vec![0x80; 20_000_000]].concat();
    for program in Program::BOTH {
        let mut peer = program.start();
        for (name, bomb) in [
            ("deep", &deep),
            ("deep maps", &deep_maps),
            ("claimed", &claimed),
            ("claimed map", &claimed_map),
            ("claimed bytes", &claimed_bytes),
            ("wide", &wide),
        ] {
            peer.payload(&around(bomb));
            let answer = peer.recv();
            assert_eq!(answer.id.as_deref(), Some("bomb"), "{name}");
            assert_eq!(answer.kind, "error", "{name}");
            peer.forget("bomb");
            peer.is_well();
        }
        for process in marked(peer.mark()) {
            let most = memory(process.pid, "VmHWM").unwrap_or_default();
            assert!(most < 512 << 20, "{} took {most} bytes", process.command);
        }
    }
}

/// Promise 4: what JavaScript's encoders write is understood: extension types as nil, floats that are integers.
#[test]
fn p04_extension_types_are_nil() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let head =
            b"\x83\xa4type\xa7execute\xaarequest_id\xa1x\xa4data\x82\xa9node_type\xa9test.Echo\xa6fields\x81\xa5value";
        // A list of: undefined, a timestamp, an unknown extension, 3.0.
        let value = b"\x94\xd4\x00\x00\xd6\xff\x00\x00\x00\x00\xc7\x02\x63ab\xcb\x40\x08\x00\x00\x00\x00\x00\x00";
        peer.payload(&[&head[..], value].concat());
        let answer = peer.recv();
        let [a, b, c, d] = answer.output("output").as_list().unwrap() else { panic!("{answer:?}") };
        assert!(a.is_nil() && b.is_nil() && c.is_nil());
        assert_eq!(d.as_i64(), Some(3));
    }
}

/// Promise 4: bytes that mean nothing, for a while; then the stream ends. Nothing but errors, and no crash.
#[test]
fn p04_noise_never_crashes() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let mut state = 1u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        for _ in 0..300 {
            let payload: Vec<u8> = (0..next() % 200).map(|_| next() as u8).collect();
            peer.payload(&payload);
        }
        peer.send("worker.status", "last", Map::new());
        loop {
            let answer = peer.recv_any();
            if answer.id.as_deref() == Some("last") {
                assert_eq!(answer.kind, "result");
                break;
            }
            assert_eq!(answer.kind, "error", "{answer:?}");
        }
        peer.is_well();
    }
}

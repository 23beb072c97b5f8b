//! What holds for any value, any split of a stream, and any bytes.

#![allow(clippy::unwrap_used, reason = "a test program: clippy spares only the functions that are tests")]

mod common;

use common::{examples, same};
use millwork_protocol::codec::{DecodeError, Encoder, decode};
use millwork_protocol::limits::MAX_SAFE_INTEGER;
use millwork_protocol::message::{FRAMES, REQUESTS};
use millwork_protocol::{Bytes, Envelope, EnvelopeError, Frame, FrameEvent, FrameReader, Limits, Map, Request, Value};
use proptest::collection::vec;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-300i64..300).prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        text().prop_map(Value::Str),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())),
        // Around the sizes from which bytes are slices of the frame and pieces of their own.
        (4000usize..9000).prop_map(|len| Value::Bytes(vec![7; len].into())),
    ]
}

/// Keys that messages have, so that their parsers are reached, and others.
fn key() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "type",
        "request_id",
        "data",
        "node_type",
        "fields",
        "blobs",
        "secrets",
        "provider",
        "params",
        "messages",
        "content",
        "model",
        "prompt",
        "text",
        "job_id",
        "repo_id",
        "status",
        "nodes",
        "properties",
        "name",
        "error",
    ];
    prop_oneof![proptest::sample::select(KNOWN).prop_map(str::to_owned), text()]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::List),
            vec((key(), inner), 0..20).prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

fn a_map() -> impl Strategy<Value = Map> {
    vec((key(), value()), 0..8).prop_map(|entries| entries.into_iter().collect())
}

fn encoded(value: &Value) -> Bytes {
    let mut encoder = Encoder::default();
    encoder.value(value);
    encoder.into_bytes()
}

/// Bytes that are nearly MessagePack: a value that was cut, or had bytes changed.
fn damaged() -> impl Strategy<Value = Bytes> {
    (value(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), any::<prop::sample::Index>()).prop_map(
        |(value, changes, end)| {
            let mut bytes = encoded(&value).to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(end.index(2 * bytes.len()) + 1);
            bytes.into()
        },
    )
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..300).prop_map(Bytes::from), damaged()]
}

/// What a value is read back as: the one mapping that writing makes.
fn written(value: &Value) -> Value {
    match value {
        Value::Int(i) if i.unsigned_abs() > MAX_SAFE_INTEGER as u64 => Value::Float(*i as f64),
        Value::List(items) => Value::List(items.iter().map(written).collect()),
        Value::Map(map) => Value::Map(map.iter().map(|(key, value)| (key.clone(), written(value))).collect()),
        other => other.clone(),
    }
}

/// Whether an error is one that peeking passes over, and only decoding looks into.
fn passed_over(error: &DecodeError) -> bool {
    matches!(error, DecodeError::BadKey { .. } | DecodeError::TooDeep { .. })
}

/// Gives `stream` to a reader in pieces of these sizes, over and over.
fn events(max: usize, mut stream: &[u8], sizes: &[usize]) -> (Vec<FrameEvent>, bool) {
    let mut reader = FrameReader::new(max);
    let mut events = Vec::new();
    for size in sizes.iter().cycle() {
        let space = reader.space();
        let n = (space.capacity() - space.len()).min(*size).min(stream.len());
        space.extend_from_slice(&stream[..n]);
        stream = &stream[n..];
        events.extend(std::iter::from_fn(|| reader.next_event()));
        if stream.is_empty() {
            break;
        }
    }
    (events, reader.is_mid_frame())
}

proptest! {
    #[test]
    fn any_value_comes_back(value in value()) {
        let read = decode(&encoded(&value), &Limits::default()).unwrap();
        prop_assert!(same(&read, &written(&value)), "{read:?}");
    }

    #[test]
    fn what_was_read_is_written_alike(bytes in any_bytes()) {
        if let Ok(value) = decode(&bytes, &Limits::default()) {
            let again = decode(&encoded(&value), &Limits::default()).unwrap();
            prop_assert!(same(&again, &written(&value)), "{value:?}\n{again:?}");
        }
    }

    #[test]
    fn any_split_gives_the_same_frames(
        payloads in vec(prop_oneof![0usize..50, 4000usize..5000, 30_000usize..80_000, Just(1_500_000)], 0..5),
        sizes in vec(1usize..70_000, 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let payloads: Vec<Bytes> = payloads.iter().enumerate().map(|(i, len)| vec![i as u8 ^ 0x0a; *len].into()).collect();
        let stream: Vec<u8> = payloads.iter().flat_map(|p| Frame::forward(p.clone()).to_bytes()).collect();
        let expected: Vec<FrameEvent> = payloads.into_iter().map(FrameEvent::Frame).collect();
        let (all, mid_frame) = events(2_000_000, &stream, &sizes);
        prop_assert!(all == expected && !mid_frame);

        // Where the stream is cut off, the frames before it are there, and the reader knows of the rest.
        let cut = cut.index(stream.len() + 1);
        let (some, mid_frame) = events(2_000_000, &stream[..cut], &sizes);
        prop_assert!(expected.starts_with(&some));
        let whole: usize = some.iter().map(|e| match e { FrameEvent::Frame(p) => p.len() + 4, _ => 0 }).sum();
        prop_assert_eq!(mid_frame, cut > whole);
    }

    #[test]
    fn a_reader_takes_any_bytes(bytes in vec(any::<u8>(), 0..3000), max in 0usize..2000, sizes in vec(1usize..900, 1..9)) {
        let (split, mid_frame) = events(max, &bytes, &sizes);
        // A header that is cut off shows less of what follows, so heads are left out of the comparison.
        let shape = |events: &[FrameEvent]| -> Vec<(usize, Bytes)> {
            events.iter().map(|event| match event {
                FrameEvent::Frame(payload) => (0, payload.clone()),
                FrameEvent::Oversized { claimed: len, .. } | FrameEvent::NoMemory { len, .. } => (*len, Bytes::new()),
            }).collect()
        };
        let (whole, whole_mid_frame) = events(max, &bytes, &[usize::MAX]);
        prop_assert_eq!(shape(&split), shape(&whole));
        prop_assert_eq!(mid_frame, whole_mid_frame);
    }

    #[test]
    fn peek_agrees_with_decode(payload in a_map()) {
        let bytes = encoded(&Value::Map(payload));
        let limits = Limits::default();
        let read = decode(&bytes, &limits).unwrap().into_map().unwrap();
        let envelope = Envelope::peek(&bytes).unwrap();
        let text = |key: &str| read.get(key).and_then(Value::as_str);
        prop_assert_eq!(envelope.kind, text("type"));
        prop_assert_eq!(envelope.request_id, text("request_id").filter(|id| !id.is_empty()));
        let data = read.get("data");
        let inner = |key: &str| data.and_then(|data| data.get(key)).and_then(Value::as_str);
        prop_assert_eq!(envelope.data_texts(["node_type", "provider"]), [inner("node_type"), inner("provider")]);
        let decoded = envelope.decode_data(&bytes, &limits).map(Value::Map);
        match data {
            None | Some(Value::Nil) => prop_assert_eq!(decoded, Ok(Value::Map(Map::new()))),
            Some(data @ Value::Map(_)) => prop_assert!(same(&decoded.unwrap(), data)),
            Some(_) => prop_assert!(decoded.is_err()),
        }
    }

    #[test]
    fn peek_and_decode_refuse_the_same_bytes(bytes in any_bytes()) {
        let decoded = decode(&bytes, &Limits::default());
        match Envelope::peek(&bytes) {
            Ok(envelope) => {
                let _ = envelope.decode_data(&bytes, &Limits::default());
                let _ = envelope.data_texts(["node_type"]);
                prop_assert!(match &decoded {
                    Ok(value) => value.as_map().is_some(),
                    Err(error) => passed_over(error),
                }, "{decoded:?}");
            }
            Err(EnvelopeError::NotAMap { found }) => match decoded {
                Ok(value) => prop_assert_eq!(value.type_name(), found),
                Err(error) => {
                    prop_assert!(passed_over(&error), "{error}")
                }
            },
            Err(_) => prop_assert!(decoded.is_err(), "{decoded:?}"),
        }
    }

    #[test]
    fn messages_take_any_map(data in a_map()) {
        let kinds = REQUESTS.iter().flat_map(|r| [Some(r.data), r.answer, r.chunk]).chain(FRAMES.iter().map(|f| f.data));
        for kind in kinds.flatten() {
            // What was taken once is taken again, and comes out the same.
            if let Ok(once) = (kind.normalise)(data.clone()) {
                let twice = (kind.normalise)(once.clone()).unwrap();
                prop_assert!(same(&twice.into(), &once.into()));
            }
        }
        let unknown = Request::from_map("acme.unknown", data.clone()).unwrap();
        prop_assert!(same(&unknown.into_map().into(), &data.into()));
    }

    #[test]
    fn what_is_unknown_is_forwarded(extra in value()) {
        for (json, mut data) in examples("requests.json") {
            let request = REQUESTS.iter().find(|request| json["type"] == request.kind).unwrap();
            data.insert("x-acme".to_owned(), extra.clone());
            let kept = (request.data.normalise)(data.clone()).unwrap();
            prop_assert!(same(&kept.into(), &data.into()), "{}", request.kind);
        }
    }
}

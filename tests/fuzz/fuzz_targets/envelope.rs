//! Peeking at a payload and decoding it say the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millwork_protocol::codec::{DecodeError, decode};
use millwork_protocol::{Bytes, Envelope, EnvelopeError, Limits, Value};

fuzz_target!(|input: &[u8]| {
    let payload = Bytes::copy_from_slice(input);
    let limits = Limits::default();
    let decoded = decode(&payload, &limits);
    // Peeking passes over what only decoding looks into.
    let passed_over =
        matches!(decoded, Err(DecodeError::BadKey { .. } | DecodeError::TooDeep { .. } | DecodeError::TooMany { .. }));
    match Envelope::peek(&payload) {
        _ if passed_over => {}
        Ok(envelope) => {
            let value = decoded.expect("peeking took it");
            let text = |key: &str| value.get(key).and_then(Value::as_str);
            assert_eq!(envelope.kind, text("type"));
            assert_eq!(envelope.request_id, text("request_id").filter(|id| !id.is_empty()));
            let inner = value.get("data").and_then(|data| data.get("node_type")).and_then(Value::as_str);
            assert_eq!(envelope.data_texts(["node_type"]), [inner]);
            let has_data = matches!(value.get("data"), None | Some(Value::Nil | Value::Map(_)));
            assert_eq!(envelope.decode_data(&payload, &limits).is_ok(), has_data);
        }
        Err(EnvelopeError::NotAMap { found }) => assert_eq!(decoded.expect("peeking took it").type_name(), found),
        Err(_) => assert!(decoded.is_err()),
    }
});

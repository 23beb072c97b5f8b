//! What was read is read again from what is written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millwork_protocol::codec::{Encoder, decode};
use millwork_protocol::{Bytes, Limits, Value};

fuzz_target!(|input: &[u8]| {
    let limits = Limits::default();
    let Ok(value) = decode(&Bytes::copy_from_slice(input), &limits) else { return };
    let once = written(&value);
    let read = decode(&once, &limits).expect("what is written can be read");
    assert_eq!(written(&read), once);
});

fn written(value: &Value) -> Bytes {
    let mut encoder = Encoder::default();
    encoder.value(value);
    encoder.into_bytes()
}

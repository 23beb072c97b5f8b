//! Every message type takes any map or says why not, and what it took once it takes again, unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millwork_protocol::codec::{Encoder, decode};
use millwork_protocol::message::{DataKind, FRAMES, REQUESTS};
use millwork_protocol::{Bytes, Limits, Map, Value};

fuzz_target!(|input: (u8, &[u8])| {
    let (pick, bytes) = input;
    let Ok(Value::Map(data)) = decode(&Bytes::copy_from_slice(bytes), &Limits::default()) else { return };
    let kinds: Vec<DataKind> = REQUESTS
        .iter()
        .flat_map(|request| [Some(request.data), request.answer, request.chunk])
        .chain(FRAMES.iter().map(|frame| frame.data))
        .flatten()
        .collect();
    let kind = kinds[usize::from(pick) % kinds.len()];
    let Ok(once) = (kind.normalise)(data) else { return };
    let twice = (kind.normalise)(once.clone()).expect("what is written can be read");
    assert_eq!(written(&twice), written(&once));
});

fn written(map: &Map) -> Bytes {
    let mut encoder = Encoder::default();
    encoder.entries(map);
    encoder.into_bytes()
}

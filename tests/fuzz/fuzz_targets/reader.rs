//! Any split of a stream gives the same frames.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millwork_protocol::{FrameEvent, FrameReader};

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (max, step, stream) = input;
    assert_eq!(frames(max, stream, usize::from(step).max(1)), frames(max, stream, stream.len().max(1)));
});

/// The frames, and the claims of those that were too large.
fn frames(max: u16, stream: &[u8], step: usize) -> (Vec<FrameEvent>, Vec<usize>, bool) {
    let mut reader = FrameReader::new(max.into());
    let (mut frames, mut oversized) = (Vec::new(), Vec::new());
    for piece in stream.chunks(step) {
        reader.space().extend_from_slice(piece);
        while let Some(event) = reader.next_event() {
            match event {
                FrameEvent::Oversized { claimed, .. } => oversized.push(claimed),
                frame => frames.push(frame),
            }
        }
    }
    (frames, oversized, reader.is_mid_frame())
}

//! Blobs in chunks that do not add up. The blob is what `fake.Echo` was given, or 3 MB that it makes up.

use millwork_protocol::{Bytes, Map, Value, map};

use super::super::call::Call;
use super::super::scenario::{Scenario, Twist};
use crate::digest::sha256_hex;

const CHUNK: usize = 1 << 20;

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "blob-bad-digest",
        "Sends a blob in chunks, complete, with the SHA-256 of something else.",
        "Compares the digest and fails the request: these are not the bytes that the worker meant.",
        Twist::Request(|call| {
            let blob = blob(call);
            chunks(call, &blob, usize::MAX);
            end(call, blob.len(), &sha256_hex(b"something else"));
        }),
    ),
    Scenario::new(
        "blob-missing-chunk",
        "Sends a blob in chunks and leaves out the last.",
        "Counts, finds fewer bytes than announced, and fails the request.",
        Twist::Request(|call| {
            let blob = blob(call);
            chunks(call, &blob, blob.len().saturating_sub(1) / CHUNK);
            end(call, blob.len(), &sha256_hex(&blob));
        }),
    ),
    Scenario::new(
        "blob-wrong-size",
        "Sends a blob in chunks, complete, and ends it with another size than it began with.",
        "Fails the request; which of the two sizes is right does not matter.",
        Twist::Request(|call| {
            let blob = blob(call);
            chunks(call, &blob, usize::MAX);
            end(call, blob.len() + 1, &sha256_hex(&blob));
        }),
    ),
    Scenario::new(
        "blob-out-of-order",
        "Sends a blob in chunks, the last one first.",
        "Fails the request, or puts the bytes where their offsets say; it never just appends them.",
        Twist::Request(|call| {
            let blob = blob(call);
            call.blob_start("output", blob.len());
            for (index, chunk) in blob.chunks(CHUNK).enumerate().rev() {
                call.blob_chunk("output", index * CHUNK, &blob.slice_ref(chunk));
            }
            end(call, blob.len(), &sha256_hex(&blob));
        }),
    ),
    Scenario::new(
        "blob-without-end",
        "Sends a blob in chunks and its result, without blob.end.",
        "Fails the request: a blob without its end has no digest to hold it to.",
        Twist::Request(|call| {
            chunks(call, &blob(call), usize::MAX);
            result(call);
        }),
    ),
    Scenario::new(
        "blob-without-start",
        "Sends a chunk of a blob that it never began, then a result.",
        "Fails the request, or drops the chunk.",
        Twist::Request(|call| {
            call.blob_chunk("output", 0, &Bytes::from_static(b"bytes"));
            result(call);
        }),
    ),
    Scenario::new(
        "blob-endless",
        "Begins a blob of 10 bytes and sends 64 MB of it.",
        "Stops taking it in where it exceeds what was announced, and fails the request.",
        Twist::Request(|call| {
            let chunk = Bytes::from(vec![0; CHUNK]);
            call.blob_start("output", 10);
            (0..64).for_each(|index| call.blob_chunk("output", index * CHUNK, &chunk));
            end(call, 10, &sha256_hex(&[0; 10]));
        }),
    ),
];

/// What the request sent as its blob; otherwise something that takes a few chunks.
fn blob(call: &Call) -> Bytes {
    let sent = call.data.get("blobs").and_then(|blobs| blobs.get("value")).and_then(|blob| blob.clone().into_bytes());
    sent.filter(|blob| blob.len() > CHUNK).unwrap_or_else(|| (0..3 * CHUNK).map(|i| (i % 251) as u8).collect())
}

/// The blob's start and its chunks, so many at the most.
fn chunks(call: &Call, blob: &Bytes, most: usize) {
    call.blob_start("output", blob.len());
    for (index, chunk) in blob.chunks(CHUNK).enumerate().take(most) {
        call.blob_chunk("output", index * CHUNK, &blob.slice_ref(chunk));
    }
}

fn end(call: &Call, size: usize, sha256: &str) {
    call.blob_end("output", size, sha256);
    result(call);
}

/// The result that refers to the blob.
fn result(call: &Call) {
    let reference = map! { "type" => "asset", "uri" => "blob://output" };
    let outputs: Value = map! { "output" => reference }.into();
    call.send("result", &map! { "outputs" => outputs, "blobs" => Map::new() });
}

//! Frames that are none: torn, oversized, empty, unreadable, without what a frame needs.

use std::process;
use std::thread;
use std::time::Duration;

use millwork_protocol::{Bytes, Value, map};

use super::super::call::Call;
use super::super::scenario::{Scenario, Twist};

/// Below the limit of 256 MiB.
const PROMISED: u32 = 200 << 20;

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "text-in-the-middle",
        "Prints a line to stdout while a request runs, then answers it as if nothing had happened.",
        "Ends the worker with an error that quotes the line; the answer behind it is lost, since nothing says where it begins.",
        Twist::Request(|call| {
            call.worker.out.raw(b"DEBUG: x = 42\n");
            call.answer();
        }),
    ),
    Scenario::new(
        "torn-frame",
        "Writes half of an answer and no more, and lives on.",
        "Is not held up by it elsewhere, and ends the worker when the time limit of the request is over.",
        Twist::Request(|call| call.worker.out.raw(&half(call))),
    ),
    Scenario::new(
        "torn-frame-then-exit",
        "Writes half of an answer and exits with status 0.",
        "Throws the half away, answers the request with an error and starts the worker again.",
        Twist::Request(|call| {
            call.worker.out.raw(&half(call));
            process::exit(0);
        }),
    ),
    Scenario::new(
        "byte-by-byte",
        "Writes its answer in single bytes with a millisecond between them.",
        "Puts the frame together; it uses no processor time to speak of and leaves other workers alone.",
        Twist::Request(|call| {
            for byte in call.terminal().to_bytes() {
                call.worker.out.raw(&[byte]);
                thread::sleep(Duration::from_millis(1));
            }
        }),
    ),
    Scenario::new(
        "oversized-frame",
        "Announces a frame of 4294967295 bytes, more than any host takes, and sends a few of them.",
        "Refuses it by its length alone, with an error that names the length and the limit, and ends the worker.",
        Twist::Request(|call| {
            call.worker.out.raw(&u32::MAX.to_be_bytes());
            call.worker.out.raw(&[0x83; 1024]);
        }),
    ),
    Scenario::new(
        "promised-length",
        "Announces a frame of 200 MB, which is within the limit, and sends 1 KB of it.",
        "Takes memory for what has come, not for what was announced, and ends the worker when the request's time is over.",
        Twist::Request(|call| {
            call.worker.out.raw(&PROMISED.to_be_bytes());
            call.worker.out.raw(&[0x83; 1024]);
        }),
    ),
    Scenario::new(
        "zero-length-frame",
        "Sends a frame of length 0 in the place of its answer.",
        "Takes it as a frame that cannot be read, ends the worker and says so; it does not wait for a payload.",
        Twist::Request(|call| call.worker.out.payload(&Bytes::new())),
    ),
    Scenario::new(
        "no-messagepack",
        "Sends its answer as a frame of JSON.",
        "Says that the frame is no MessagePack, and ends the worker; it does not die of it.",
        Twist::Request(|call| {
            call.worker.out.payload(&Bytes::from_static(br#"{"type": "result", "data": {}}"#));
        }),
    ),
    Scenario::new(
        "no-map",
        "Sends its answer as a list in the place of a map.",
        "Says that a frame must be a map, and ends the worker; it does not die of it.",
        Twist::Request(|call| call.worker.out.value(vec!["result", &*call.id])),
    ),
    Scenario::new(
        "type-missing",
        "Sends a frame without a type for a request, then its answer.",
        "Passes over it.",
        Twist::Request(|call| {
            call.worker.out.value(map! { "request_id" => &*call.id, "data" => map! { "progress" => 1 } });
            call.answer();
        }),
    ),
    Scenario::new(
        "type-unknown",
        "Sends a frame of a type that does not exist for a request, then its answer.",
        "Passes over it: newer workers may know more types.",
        Twist::Request(|call| {
            call.send("telemetry", &map! { "load" => 0.5 });
            call.answer();
        }),
    ),
    Scenario::new(
        "unknown-keys",
        "Adds keys that nobody knows to the envelope and to the data of its answer.",
        "Passes over them.",
        Twist::Request(|call| {
            let data = map! {
                "outputs" => map! { "output" => "with more" },
                "blobs" => map! {},
                "took_ms" => 3,
            };
            let envelope = map! {
                "version" => 7, "data" => data, "request_id" => &*call.id, "trace" => Value::Nil, "type" => "result",
            };
            call.worker.out.value(envelope);
        }),
    ),
];

fn half(call: &Call) -> Bytes {
    let frame = call.terminal().to_bytes();
    frame.slice(..frame.len() / 2)
}

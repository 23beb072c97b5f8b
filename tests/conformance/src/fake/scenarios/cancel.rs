//! Cancel, and the end of the worker's life.

use std::time::Duration;

use millwork_protocol::map;

use super::super::call::CANCELLED;
use super::super::scenario::{Scenario, Twist};

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "late-frames-after-cancel",
        "Waits for a cancel, ends its request as cancelled, and goes on sending progress and chunks for it.",
        "Drops what comes after the terminal frame, also where the id is about to be used again.",
        Twist::Request(|call| {
            call.stop.wait_for_it();
            call.error(CANCELLED);
            for i in 0..50 {
                call.progress(i, 50);
                call.send("chunk", &map! { "outputs" => map! { "output" => i }, "blobs" => map! {} });
            }
        }),
    ),
    Scenario::new(
        "result-after-cancel",
        "Waits for a cancel, and ends its request with a result all the same.",
        "Takes the result: a cancel and a result may cross, and each request has one terminal frame.",
        Twist::Request(|call| {
            call.stop.wait_for_it();
            call.send("result", &map! { "outputs" => map! { "output" => "done already" }, "blobs" => map! {} });
        }),
    ),
    Scenario::new(
        "slow-cancel",
        "Takes half a second from a cancel to the end of its request.",
        "Waits a few seconds before it loses its patience.",
        Twist::Request(|call| {
            call.stop.wait_for_it();
            std::thread::sleep(Duration::from_millis(500));
            call.error(CANCELLED);
        }),
    ),
    Scenario::new(
        "ignores-cancel",
        "Never ends a request, whether it is cancelled or not.",
        "Gives a cancel a few seconds, then ends the process, answers for it, and starts the next.",
        // The worker itself is well: it answers others, and ends with its input.
        Twist::Request(|_| super::super::worker::forever()),
    ),
    Scenario::new(
        "ignores-sigterm",
        "Ends neither by the end of its input nor by SIGTERM, though it answers requests until then.",
        "Gives it a moment after SIGTERM, then sends SIGKILL; its own end is not held up.",
        Twist::IgnoreEverything,
    ),
    Scenario::new(
        "outlives-its-input",
        "Does not end when its input does. SIGTERM ends it.",
        "Sends SIGTERM soon after closing the pipe.",
        Twist::IgnoreEnd,
    ),
];

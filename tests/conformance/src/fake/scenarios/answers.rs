//! Answers that come twice, too early, to the wrong question, or not at all. Every frame by itself is a good one.

use millwork_protocol::{Value, map};

use super::super::nodes;
use super::super::scenario::{Scenario, Twist};

/// Enough to fill every pipe and queue that is not bounded.
const FLOOD: u32 = 100_000;

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "terminal-twice",
        "Sends its result two times.",
        "Takes the first and drops the second; whoever asked sees one.",
        Twist::Request(|call| {
            let frame = call.terminal().to_bytes();
            call.worker.out.raw(&[&frame[..], &frame[..]].concat());
        }),
    ),
    Scenario::new(
        "result-then-error",
        "Sends its result, then an error for the same request.",
        "Takes the result: the first terminal frame is the answer.",
        Twist::Request(|call| {
            call.answer();
            call.error("it went wrong after all");
        }),
    ),
    Scenario::new(
        "progress-after-result",
        "Sends its result, then progress for the same request.",
        "Drops the progress: nothing follows a terminal frame.",
        Twist::Request(|call| {
            call.answer();
            call.progress(1, 2);
            call.progress(2, 2);
        }),
    ),
    Scenario::new(
        "terminal-missing",
        "Sends progress up to the end and never a result.",
        "Has a time limit for each request, cancels it then, and ends the worker if that does not help either.",
        Twist::Request(|call| (1..=3).for_each(|i| call.progress(i, 3))),
    ),
    Scenario::new(
        "stream-without-end",
        "Sends three chunks and never the frame that ends the stream.",
        "As with a missing result: the time limit counts for a stream too.",
        Twist::Request(|call| {
            for i in 0..3 {
                call.send("chunk", &map! { "outputs" => map! { "output" => i }, "blobs" => map! {} });
            }
        }),
    ),
    Scenario::new(
        "chunk-after-end",
        "Ends its stream and sends one more chunk.",
        "Drops the chunk.",
        Twist::Request(|call| {
            call.send("result", &nodes::empty());
            call.send("chunk", &map! { "outputs" => map! { "output" => 1 }, "blobs" => map! {} });
        }),
    ),
    Scenario::new(
        "id-missing",
        "Sends its result without a request_id.",
        "Cannot know whose it is and drops it; the request ends by its time limit. It never guesses, not even with one in flight.",
        Twist::Request(|call| {
            let frame = call.terminal().to_payload();
            let data = frame_data(&frame);
            call.worker.out.value(map! { "type" => "result", "request_id" => Value::Nil, "data" => data });
        }),
    ),
    Scenario::new(
        "id-as-number",
        "Sends its result under a number in the place of the text that it was asked with.",
        "Takes it as an answer without an id and drops it.",
        Twist::Request(|call| {
            let frame = call.terminal().to_payload();
            let data = frame_data(&frame);
            call.worker.out.value(map! { "type" => "result", "request_id" => 1.0, "data" => data });
        }),
    ),
    Scenario::new(
        "unknown-ids",
        "Sends progress, a result and an error for requests that nobody made, then its answer.",
        "Drops them; the request gets its own answer.",
        Twist::Request(|call| {
            let out = &call.worker.out;
            out.send("progress", Some("nobody-1"), &map! { "progress" => 1, "total" => 2 });
            out.send("result", Some("nobody-2"), &nodes::empty());
            out.error(Some("nobody-3"), "an error of nobody's");
            out.error(None, "an error without an id");
            call.answer();
        }),
    ),
    Scenario::new(
        "progress-flood",
        "Sends 100000 progress frames as fast as it can, then its result.",
        "Shows the newest and stays responsive; its memory does not grow with their number, and the result comes through.",
        Twist::Request(|call| {
            (1..=FLOOD).for_each(|i| call.progress(i, FLOOD));
            call.answer();
        }),
    ),
    Scenario::new(
        "progress-odd",
        "Sends progress that goes backwards, beyond its total, and is not a number at all, then its result.",
        "Shows what can be shown and passes over the rest; progress never decides how a request ends.",
        Twist::Request(|call| {
            call.progress(9, 10);
            call.progress(3, 10);
            call.progress(11, 10);
            call.progress(1, 0);
            call.send("progress", &map! { "progress" => "half", "total" => f64::NAN });
            call.odd("progress", Value::Nil);
            call.answer();
        }),
    ),
    Scenario::new(
        "result-no-map",
        "Sends a result whose data is text.",
        "Reports an answer that cannot be understood, for this request alone.",
        Twist::Request(|call| call.odd("result", "done")),
    ),
    Scenario::new(
        "result-without-outputs",
        "Sends a result with neither outputs nor blobs.",
        "Takes it as a result without outputs.",
        Twist::Request(|call| call.send("result", &map! {})),
    ),
];

fn frame_data(payload: &millwork_protocol::Bytes) -> Value {
    let decoded = millwork_protocol::codec::decode(payload, &millwork_protocol::Limits::default());
    decoded.ok().and_then(|value| value.get("data").cloned()).unwrap_or_default()
}

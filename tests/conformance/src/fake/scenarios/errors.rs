//! Error frames that do not say what an error frame says.

use millwork_protocol::codec::Encoder;
use millwork_protocol::{Bytes, Value, map};

use super::super::scenario::{Scenario, Twist};

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "error-without-text",
        "Sends an error frame whose data is empty.",
        "Ends the request with an error of its own words: that the worker failed and did not say why.",
        Twist::Request(|call| call.send("error", &map! {})),
    ),
    Scenario::new(
        "error-no-text",
        "Sends an error frame whose `error` is a map.",
        "Ends the request with an error; it shows the map as best it can, or says that there was no text.",
        Twist::Request(|call| call.send("error", &map! { "error" => map! { "code" => 7, "text" => "no" } })),
    ),
    Scenario::new(
        "error-not-utf8",
        "Sends an error frame whose text is not UTF-8.",
        "Ends the request with an error; what cannot be read of the text is replaced, and nothing crashes.",
        Twist::Request(|call| {
            let mut encoder = Encoder::default();
            encoder.map(3);
            encoder.str("type");
            encoder.str("error");
            encoder.str("request_id");
            encoder.str(&call.id);
            encoder.str("data");
            encoder.map(1);
            encoder.str("error");
            // A str of 9 bytes: Latin-1, as an old C library words it.
            encoder.raw(&Bytes::from_static(b"\xa9caf\xe9 ferm"));
            call.worker.out.payload(&encoder.into_bytes());
        }),
    ),
    Scenario::new(
        "error-null-traceback",
        "Sends an error frame with nil for its traceback, where the key should be left out.",
        "Shows the error; nil means that there is no traceback.",
        Twist::Request(|call| {
            call.send("error", &map! { "error" => "division by zero", "traceback" => Value::Nil });
        }),
    ),
    Scenario::new(
        "error-huge",
        "Sends an error whose text is 4 MB long.",
        "Ends the request with it and shows a part.",
        Twist::Request(|call| call.error(&"it went wrong, again. ".repeat(200_000))),
    ),
];

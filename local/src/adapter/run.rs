//! One run of an adapter: its request on standard input, its events line by line, its result or why there is none.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use millwork_worker::child::Command;
use millwork_worker::prelude::*;
use serde::Deserialize;
use serde_json::Value as Json;

use super::Adapter;

/// Media travels by file: lines of text have this much room, all together.
const MOST_OUTPUT: usize = 16 << 20;
/// What is shown of a line that is no event.
const SHOWN: usize = 200;

/// A line of its output.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: serde_json::Map<String, Json>,
}

/// Runs the program; gives the data of its result.
pub(super) fn run(adapter: &Adapter, request: Json, folder: &Path, limit: Duration, cx: &Context) -> Result<Map> {
    let command = Command::new(&adapter.program)
        .args(&adapter.args)
        .folder(folder)
        // What libraries write on the way is gone with the folder.
        .variable("TMPDIR", folder)
        .stdin(format!("{request}\n"))
        .limit(limit)
        .most_output(MOST_OUTPUT);
    let mut outcome = None;
    let finished = command.lines(cx.cancel_token(), |line| {
        if line.iter().all(u8::is_ascii_whitespace) {
            return ControlFlow::Continue(());
        }
        let event: Event = match serde_json::from_slice(line) {
            Ok(event) => event,
            Err(_) => {
                let shown = String::from_utf8_lossy(line.get(..SHOWN).unwrap_or(line)).into_owned();
                let text = format!(
                    "wrote a line that is no JSON object {{type, data}}: {shown:?} (logs go to standard error)"
                );
                outcome = Some(Err(adapter.wrong(&text)));
                return ControlFlow::Break(());
            }
        };
        match event.kind.as_str() {
            "progress" => {
                tell(&event.data, cx);
                return ControlFlow::Continue(());
            }
            "result" => outcome = Some(Ok(event.data)),
            "error" => {
                let text = event.data.get("error").and_then(Json::as_str).unwrap_or("gives no reason");
                outcome = Some(Err(adapter.wrong(&format!("failed: {text}"))));
            }
            other => outcome = Some(Err(adapter.wrong(&format!("wrote an event of the unknown type {other:?}")))),
        }
        ControlFlow::Break(())
    });
    let finished = finished.map_err(|error| error.into_error().context(format!("the adapter {:?}", adapter.id)))?;
    match outcome {
        Some(outcome) => Ok(outcome?.into_iter().map(|(name, value)| (name, Value::from(value))).collect()),
        None => {
            let last = finished.stderr.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
            Err(adapter.wrong(&format!("ended with {} and without a result{last}", finished.how)))
        }
    }
}

fn tell(data: &serde_json::Map<String, Json>, cx: &Context) {
    let number = |name: &str| data.get(name).and_then(Json::as_f64);
    let (done, total) = (number("progress").unwrap_or(0.0), number("total").unwrap_or(0.0));
    match data.get("message").and_then(Json::as_str) {
        Some(message) => cx.progress_message(done, total, message),
        None => cx.progress(done, total),
    }
}

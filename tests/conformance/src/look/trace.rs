//! A timeline that trace viewers open (Perfetto, `chrome://tracing`): a bar for each request, a mark for each frame in it.
//!
//! The JSON array format, of which viewers do not insist on the end: a session that was cut off can be opened too.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use millwork_protocol::Value;
use serde_json::{Value as Json, json};

use super::redact::Shown;
use super::tap::Side;

#[derive(Debug)]
pub(super) struct Trace<W: Write> {
    out: W,
    is_empty: bool,
    /// What the bar of each open request is called.
    open: HashMap<String, String>,
}

impl<W: Write> Trace<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(b"[\n")?;
        Ok(Self { out, is_empty: true, open: HashMap::new() })
    }

    /// Draws one frame.
    pub(super) fn frame(&mut self, at: Duration, from: Side, shown: &Shown) -> io::Result<()> {
        let args = json!({ "bytes": shown.size, "from": from.as_str() });
        let Some(id) = &shown.id else {
            return self.event(at, "i", &shown.kind, "", args);
        };
        let is_terminal = matches!(shown.kind.as_str(), "result" | "error" | "discover");
        match (from, self.open.get(id).cloned()) {
            (Side::Host, None) if shown.kind != "cancel" => {
                let node = shown.data.as_ref().ok().and_then(|data| data.get("node_type")).and_then(Value::as_str);
                let name = node.unwrap_or(&shown.kind).to_owned();
                self.event(at, "b", &name, id, args)?;
                self.open.insert(id.clone(), name);
                Ok(())
            }
            (Side::Worker, Some(name)) if is_terminal => {
                self.open.remove(id);
                let args = json!({ "bytes": shown.size, "ended_with": shown.kind });
                self.event(at, "e", &name, id, args)
            }
            (_, _) => self.event(at, "n", &shown.kind, id, args),
        }
    }

    fn event(&mut self, at: Duration, phase: &str, name: &str, id: &str, args: Json) -> io::Result<()> {
        let mut event = json!({
            "name": name, "cat": "request", "ph": phase, "ts": at.as_micros() as u64, "pid": 1, "tid": 1, "args": args,
        });
        if let (false, Some(event)) = (id.is_empty(), event.as_object_mut()) {
            event.insert("id".to_owned(), id.into());
        }
        let comma = if std::mem::take(&mut self.is_empty) { "" } else { ",\n" };
        write!(self.out, "{comma}{event}")
    }

    /// Ends the file.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.out.write_all(b"\n]\n")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    #[test]
    fn a_request_is_a_bar_from_its_beginning_to_its_end() {
        let shown = |kind: &str, id: Option<&str>| Shown {
            kind: kind.into(),
            id: id.map(str::to_owned),
            data: Ok(map! { "node_type" => "a.B" }),
            size: 10,
            payload: None,
        };
        let mut file = Vec::new();
        let mut trace = Trace::new(&mut file).unwrap();
        trace.frame(Duration::from_micros(5), Side::Host, &shown("execute", Some("r"))).unwrap();
        trace.frame(Duration::from_micros(6), Side::Worker, &shown("progress", Some("r"))).unwrap();
        trace.frame(Duration::from_micros(9), Side::Worker, &shown("result", Some("r"))).unwrap();
        trace.frame(Duration::from_micros(9), Side::Worker, &shown("error", None)).unwrap();
        trace.end().unwrap();
        let events: Vec<Json> = serde_json::from_slice(&file).unwrap();
        let phases: Vec<_> = events.iter().map(|e| (e["ph"].as_str().unwrap(), e["name"].as_str().unwrap())).collect();
        assert_eq!(phases, [("b", "a.B"), ("n", "progress"), ("e", "a.B"), ("i", "error")]);
        assert_eq!(events[2]["ts"], 9);
    }
}

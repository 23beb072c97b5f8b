//! A frame in a line for people, or in several.

use std::time::Duration;

use millwork_protocol::{Map, Value};

use super::redact::Shown;
use super::tap::Side;

/// So much of the data stands in a line, in characters.
const PREVIEW: usize = 100;

/// `  0.012 s → execute  r1  152 B  fake.Echo {"value":"hi"}`, with the whole data behind it where that is wanted.
pub(super) fn frame(at: Duration, from: Side, shown: &Shown, full: bool) -> String {
    let id = shown.id.as_deref().unwrap_or("-");
    let head = format!("{}  {:<15} {:<10} {:>9}", place(at, from), shown.kind, id, size(shown.size));
    match &shown.data {
        Err(problem) => format!("{head}  cannot be read: {problem}"),
        Ok(data) if full => format!("{head}\n{:#}", Value::Map(data.clone()).to_json()),
        Ok(data) => format!("{head}  {}", preview(data)),
    }
}

/// A line about something that is no frame.
pub(super) fn note(at: Duration, from: Side, text: &str) -> String {
    format!("{}  {text}", place(at, from))
}

fn place(at: Duration, from: Side) -> String {
    let arrow = match from {
        Side::Host => '→',
        Side::Worker => '←',
    };
    format!("{:>9.3} s {arrow}", at.as_secs_f64())
}

fn preview(data: &Map) -> String {
    let node = data.get("node_type").and_then(Value::as_str);
    let rest = match (node, data.get("fields")) {
        (Some(_), Some(fields)) => fields.to_json().to_string(),
        _ => Value::Map(data.clone()).to_json().to_string(),
    };
    let text = format!("{}{rest}", node.map(|node| format!("{node} ")).unwrap_or_default());
    match text.char_indices().nth(PREVIEW) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    #[test]
    fn a_line_has_all_that_matters() {
        let data = map! { "node_type" => "fake.Echo", "fields" => map! { "value" => "é".repeat(500) } };
        let shown =
            Shown { kind: "execute".into(), id: Some("r1".into()), data: Ok(data), size: 15_200, payload: None };
        let line = frame(Duration::from_millis(12), Side::Host, &shown, false);
        assert!(
            line.starts_with("    0.012 s →  execute         r1           15.2 kB  fake.Echo {\"value\":\"é"),
            "{line}"
        );
        assert!(line.ends_with('…') && line.chars().count() < 170, "{line}");
        assert!(frame(Duration::ZERO, Side::Worker, &shown, true).contains("\n  \"fields\""));
    }
}

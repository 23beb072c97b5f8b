//! Values for people: text on a terminal. What goes into files is not decided here.

use millwork_protocol::{Map, Value};
use serde_json::Value as Json;

use super::npy::Tensor;
use super::{files, table};

/// A tensor of at most so many elements is shown in full.
const MOST_ELEMENTS: usize = 64;

/// One value on one line.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::Bytes(bytes) => files::summary(bytes),
        other => json(other, MOST_ELEMENTS).to_string(),
    }
}

/// As JSON: tensors of at most `most` elements as nested lists, others in words, bytes as their number.
pub(crate) fn json(value: &Value, most: usize) -> Json {
    if let Some(tensor) = Tensor::from_value(value) {
        return tensor.nested(most).unwrap_or_else(|| format!("tensor {}", tensor.summary()).into());
    }
    match value {
        Value::List(items) => items.iter().map(|item| json(item, most)).collect(),
        Value::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.clone(), json(value, most))).collect()),
        plain => plain.to_json(),
    }
}

/// As JSON that has all of it; nothing where bytes would be lost.
pub(crate) fn whole_json(value: &Value) -> Option<Json> {
    if let Some(tensor) = Tensor::from_value(value) {
        return tensor.nested(usize::MAX);
    }
    match value {
        Value::Bytes(_) => None,
        Value::List(items) => items.iter().map(whole_json).collect(),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| Some((key.clone(), whole_json(value)?)));
            entries.collect::<Option<_>>().map(Json::Object)
        }
        plain => Some(plain.to_json()),
    }
}

/// One value, on as many lines as it takes; rows as a table.
pub(crate) fn full(value: &Value) -> String {
    if let Some(tensor) = Tensor::from_value(value) {
        let elements = tensor.nested(MOST_ELEMENTS).map_or_else(String::new, |nested| format!("\n{nested}"));
        return format!("tensor {}{elements}", tensor.summary());
    }
    match value {
        Value::Map(map) if kind(map) == Some("dataframe") => dataframe(map).unwrap_or_else(|| pretty(value)),
        Value::List(items) => rows(items).unwrap_or_else(|| pretty(value)),
        Value::Map(_) => pretty(value),
        other => plain(other),
    }
}

/// What `type` in a ref or another typed map says.
pub(crate) fn kind(map: &Map) -> Option<&str> {
    map.get("type")?.as_str()
}

fn pretty(value: &Value) -> String {
    let json = json(value, MOST_ELEMENTS);
    let compact = json.to_string();
    if compact.len() <= 100 { compact } else { format!("{json:#}") }
}

/// In a table six figures of a number are enough.
fn cell(value: &Value) -> String {
    match value {
        Value::Float(number) => plain(&Value::Float(format!("{number:.5e}").parse().unwrap_or(*number))),
        other => plain(other),
    }
}

/// `{columns: [{name, ..}], data: [[..]]}` as a table.
fn dataframe(map: &Map) -> Option<String> {
    let columns = map.get("columns")?.as_list()?;
    let names: Vec<&str> = columns.iter().filter_map(|column| column.get("name")?.as_str()).collect();
    let mut table = table::new(&names);
    for row in map.get("data")?.as_list()? {
        table.add_row(row.as_list()?.iter().map(cell));
    }
    Some(table::text(&table))
}

/// Maps with plain values only, as a table; a row may lack a column.
fn rows(items: &[Value]) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for item in items {
        for (name, value) in item.as_map()? {
            if matches!(value, Value::Map(_) | Value::List(_)) {
                return None;
            }
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    let mut table = table::new(&names);
    for item in items {
        table.add_row(names.iter().map(|name| item.get(name).map(cell).unwrap_or_default()));
    }
    (!names.is_empty()).then(|| table::text(&table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    #[test]
    fn scalars_are_bare() {
        assert_eq!(full(&Value::from("a\nb")), "a\nb");
        assert_eq!(full(&Value::Float(2.5)), "2.5");
        assert_eq!(full(&Value::Nil), "null");
        assert_eq!(full(&Value::from(map! { "a" => 1 })), r#"{"a":1}"#);
    }

    #[test]
    fn rows_become_tables() {
        let row = |label: &str, score: f64| Value::from(map! { "label" => label, "score" => score });
        let text = full(&Value::List(vec![row("seven", 0.123_456_789), row("one", 0.25)]));
        assert!(text.contains("0.123457") && !text.contains("0.1234567"), "{text}");
        assert!(text.contains("label") && text.contains("seven") && !text.contains('{'), "{text}");
        let lacking = full(&Value::List(vec![row("seven", 0.75), Value::from(map! { "label" => "one" })]));
        assert!(lacking.contains("one") && !lacking.contains('{'), "{lacking}");
        let uneven = full(&Value::List(vec![row("seven", 0.75), 3.into()]));
        assert!(uneven.starts_with('['), "{uneven}");
        let frame = map! {
            "type" => "dataframe",
            "columns" => Value::List(vec![map! { "name" => "size" }.into()]),
            "data" => Value::List(vec![vec![Value::Int(41)].into()]),
        };
        let text = full(&Value::from(frame));
        assert!(text.contains("size") && text.contains("41") && !text.contains('{'), "{text}");
    }
}

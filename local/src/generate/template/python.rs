//! Values of templates as Python writes them: JSON as `json.dumps` does, and what `str()` shows. Chat templates are written for
//! Python's Jinja, and their models have learned these very spaces and quotes.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// How `json.dumps` was asked to write.
#[derive(Debug, Clone)]
struct Style {
    indent: Option<usize>,
    between: String,
    after_key: String,
    is_ascii: bool,
    sorts: bool,
}

/// The widest indentation. More than this serves to take memory, not to be read.
const WIDEST: usize = 64;

/// The filter `tojson` as the transformers library defines it: characters beyond ASCII as they are, nothing escaped for HTML.
pub(super) fn tojson(value: &Value, arguments: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = arguments.get("indent")?;
    if indent.is_some_and(|width| width > WIDEST) {
        let text = format!("an indentation has {WIDEST} spaces at most");
        return Err(Error::new(ErrorKind::InvalidOperation, text));
    }
    let separators: Option<Vec<String>> = arguments.get("separators")?;
    let between = if indent.is_some() { "," } else { ", " };
    let (between, after_key) = match separators.as_deref() {
        None => (between.to_owned(), ": ".to_owned()),
        Some([between, after_key]) => (between.clone(), after_key.clone()),
        Some(_) => {
            return Err(Error::new(ErrorKind::InvalidOperation, "`separators` of tojson must be two texts"));
        }
    };
    let style = Style {
        indent,
        between,
        after_key,
        is_ascii: arguments.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sorts: arguments.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    arguments.assert_all_used()?;
    let mut out = String::new();
    style.write(&mut out, value, 0)?;
    Ok(out)
}

impl Style {
    fn write(&self, out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)),
            ValueKind::String => self.text(out, value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                out.push('[');
                let mut empty = true;
                for item in value.try_iter()?.checked() {
                    self.begin(out, &mut empty, depth + 1);
                    self.write(out, &item?, depth + 1)?;
                }
                self.end(out, empty, depth);
                out.push(']');
            }
            ValueKind::Map => {
                out.push('{');
                let mut keys = value.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?;
                if self.sorts {
                    keys.sort_by_key(ToString::to_string);
                }
                let mut empty = true;
                for key in keys {
                    self.begin(out, &mut empty, depth + 1);
                    match key.kind() {
                        ValueKind::String => self.text(out, key.as_str().unwrap_or_default()),
                        _ => {
                            let mut name = String::new();
                            self.write(&mut name, &key, depth)?;
                            self.text(out, &name);
                        }
                    }
                    out.push_str(&self.after_key);
                    self.write(out, &value.get_item(&key)?, depth + 1)?;
                }
                self.end(out, empty, depth);
                out.push('}');
            }
            other => return Err(Error::new(ErrorKind::InvalidOperation, format!("{other} cannot be written as JSON"))),
        }
        Ok(())
    }

    fn begin(&self, out: &mut String, empty: &mut bool, depth: usize) {
        if !std::mem::replace(empty, false) {
            out.push_str(&self.between);
        }
        self.line(out, depth);
    }

    fn end(&self, out: &mut String, empty: bool, depth: usize) {
        if !empty {
            self.line(out, depth);
        }
    }

    fn line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent.saturating_mul(depth).min(4096)));
        }
    }

    fn text(&self, out: &mut String, text: &str) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if (c as u32) < 0x20 || self.is_ascii && (c as u32) >= 0x7f => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

/// `str(value)`.
pub(super) fn str(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Number | ValueKind::Seq | ValueKind::Map => repr(value),
        _ => Ok(value.to_string()),
    }
}

/// `repr(value)`.
fn repr(value: &Value) -> Result<String, Error> {
    Ok(match value.kind() {
        ValueKind::Number => number(value),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Seq => {
            let items = value.try_iter()?.checked().map(|item| repr(&item?)).collect::<Result<Vec<_>, _>>()?;
            match (value.is_tuple(), items.as_slice()) {
                (true, [one]) => format!("({one},)"),
                (true, some) => format!("({})", some.join(", ")),
                (false, some) => format!("[{}]", some.join(", ")),
            }
        }
        ValueKind::Map => {
            let keys = value.try_iter()?.checked();
            let entries = keys.map(|key| {
                let key = key?;
                Ok(format!("{}: {}", repr(&key)?, repr(&value.get_item(&key)?)?))
            });
            format!("{{{}}}", entries.collect::<Result<Vec<_>, Error>>()?.join(", "))
        }
        _ => value.to_string(),
    })
}

/// In single quotes, unless only double ones save escapes.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Whole numbers as they are; others with the fewest digits that tell them apart, and an exponent where Python has one.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(x) = f64::try_from(value.clone()) else { return value.to_string() };
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{x:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dumps(value: &Value, arguments: &[(&str, Value)]) -> String {
        tojson(value, arguments.iter().map(|(name, value)| (*name, value.clone())).collect()).unwrap()
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = Value::from_pairs([
            ("b", Value::from(vec![Value::from(1), Value::from(2.0), Value::from(1e16), Value::from(1.5e-7)])),
            ("a", Value::from("<é\n\u{1}\"'>\u{7f}")),
            ("none", Value::from(())),
            ("no", Value::from(Vec::<Value>::new())),
        ]);
        let expected =
            "{\"b\": [1, 2.0, 1e+16, 1.5e-07], \"a\": \"<é\\n\\u0001\\\"'>\u{7f}\", \"none\": null, \"no\": []}";
        assert_eq!(dumps(&value, &[]), expected);
        let small = Value::from_pairs([("a", Value::from(vec![1, 2]))]);
        assert_eq!(dumps(&small, &[("indent", Value::from(2))]), "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
        assert_eq!(dumps(&Value::from("é🙂"), &[("ensure_ascii", Value::from(true))]), "\"\\u00e9\\ud83d\\ude42\"");
        let separators = Value::from(vec![",", ":"]);
        assert_eq!(dumps(&small, &[("separators", separators)]), "{\"a\":[1,2]}");
    }

    #[test]
    fn text_of_values_is_pythons() {
        let value =
            Value::from_pairs([("a", Value::from(vec![Value::from("it's"), Value::from(true), Value::from(())]))]);
        assert_eq!(str(&value).unwrap(), "{'a': [\"it's\", True, None]}");
        assert_eq!(str(&Value::from("as it is")).unwrap(), "as it is");
        assert_eq!(str(&Value::from(0.1)).unwrap(), "0.1");
    }
}

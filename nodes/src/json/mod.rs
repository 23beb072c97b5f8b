//! `json.*`: text into values, a value out of a value, values into text.

mod path;

use base64::Engine;
use millwork_worker::prelude::*;
use serde::Serialize;
use serde_json::Value as Json;

/// The nodes of this namespace.
pub(crate) fn package() -> Package {
    package!["json": Parse, Get, Stringify].idempotent()
}

/// The most bytes of JSON that are read: what they become takes many times more.
const MAX_JSON: usize = 64 << 20;

/// Reads JSON text.
#[derive(Node)]
#[node("json.Parse")]
struct Parse {
    /// The text, up to 64 MiB.
    text: String,
}

impl Run for Parse {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        if self.text.len() > MAX_JSON {
            let len = self.text.len();
            return Err(Error::invalid(format!("field `text` has {len} bytes; at most {MAX_JSON} are read")));
        }
        serde_json::from_str::<Json>(&self.text).map(Value::from).invalid("field `text` is not JSON")
    }
}

/// Takes one value out of lists and dicts: `users[0].name`, `["odd key"][-1]`, or a JSON Pointer, `/users/0/name`.
#[derive(Node)]
#[node("json.Get")]
struct Get {
    /// A dict or a list.
    data: Value,
    /// The way to the value; empty is the whole.
    path: String,
    /// What is given where the path leads nowhere.
    default: Value,
    /// Fail where the path leads nowhere, rather than give the default.
    #[node(default)]
    required: bool,
}

impl Run for Get {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        let steps = path::parse(&self.path)?;
        match path::walk(self.data, &steps) {
            Ok(value) => Ok(value),
            Err(why) if self.required => Err(Error::invalid(format!("path {:?}: {why}", self.path))),
            Err(_) => Ok(self.default),
        }
    }
}

/// What bytes become in JSON, which has none.
#[derive(Choice, Debug, Clone, Copy)]
enum BytesAs {
    /// Their base64 text.
    Base64,
    /// `{"$bytes": 1234}`: only how many there are.
    Size,
}

/// Writes a value as JSON text. NaN and infinities become null.
#[derive(Node)]
#[node("json.Stringify")]
struct Stringify {
    /// Any value.
    value: Value,
    /// Spaces by which each level is indented; 0 writes all on one line.
    #[node(default = 0, min = 0, max = 16)]
    indent: usize,
    /// Order the keys of dicts by name.
    #[node(default)]
    sort_keys: bool,
    /// What bytes become: their base64 text, or only their size.
    #[node(default = BytesAs::Base64)]
    bytes: BytesAs,
}

impl Run for Stringify {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        let mut json = to_json(self.value, self.bytes);
        if self.sort_keys {
            json.sort_all_objects();
        }
        if self.indent == 0 {
            return Ok(json.to_string());
        }
        let indent = " ".repeat(self.indent);
        let mut text = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
        json.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
        Ok(String::from_utf8(text)?)
    }
}

fn to_json(value: Value, bytes_as: BytesAs) -> Json {
    match (value, bytes_as) {
        (Value::Bytes(bytes), BytesAs::Base64) => base64::engine::general_purpose::STANDARD.encode(bytes).into(),
        (Value::List(items), _) => items.into_iter().map(|item| to_json(item, bytes_as)).collect(),
        (Value::Map(map), _) => map.into_iter().map(|(key, item)| (key, to_json(item, bytes_as))).collect(),
        (other, _) => other.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    fn output(call: NodeTest) -> Result<Value> {
        call.run().map(|emitted| emitted.outputs["output"].clone())
    }

    #[test]
    fn text_to_values() {
        let parse = |text: &str| output(NodeTest::new::<Parse>().field("text", text));
        let parsed = parse(r#"{"b": [1, -2.5, null, true], "a": "é"}"#).unwrap();
        let list = Value::List(vec![1.into(), (-2.5).into(), Value::Nil, true.into()]);
        assert_eq!(parsed, map! { "b" => list, "a" => "é" }.into());
        let error = parse("{\n  \"a\": }").unwrap_err();
        assert_eq!(error.message(), "field `text` is not JSON: expected value at line 2 column 8");
        assert!(parse(&"[".repeat(100_000)).unwrap_err().message().contains("recursion limit"));
        assert!(parse(&" ".repeat(MAX_JSON + 1)).unwrap_err().message().contains("at most"));
    }

    #[test]
    fn values_to_text() {
        let value = map! { "b" => vec![1, 2], "a" => f64::NAN, "c" => Bytes::from_static(b"\x00\xff") };
        let call = || NodeTest::new::<Stringify>().field("value", value.clone());
        assert_eq!(output(call()).unwrap(), Value::from(r#"{"b":[1,2],"a":null,"c":"AP8="}"#));
        let pretty = call().field("indent", 1).field("sort_keys", true).field("bytes", "size");
        let expected = "{\n \"a\": null,\n \"b\": [\n  1,\n  2\n ],\n \"c\": {\n  \"$bytes\": 2\n }\n}";
        assert_eq!(output(pretty).unwrap(), Value::from(expected));
    }

    #[test]
    fn one_value_out_of_many() {
        let data = || {
            let users = vec![map! { "name" => "Ada", "tags" => vec![1, 2] }, map! { "name" => "Bo" }];
            map! { "users" => users, "a.b" => map! { "" => 7, "x/y" => 8, "0" => 9 } }
        };
        let get = |path: &str| NodeTest::new::<Get>().field("data", data()).field("path", path);
        for (path, expected) in [
            ("users[0].name", Value::from("Ada")),
            ("users[-1].name", Value::from("Bo")),
            ("users.0.tags[1]", Value::from(2)),
            ("$.users[0].tags[-1]", Value::from(2)),
            ("['a.b']['']", Value::from(7)),
            (r#"["a.b"].0"#, Value::from(9)),
            ("/users/1/name", Value::from("Bo")),
            ("/a.b/x~1y", Value::from(8)),
            ("/a.b/", Value::from(7)),
            ("users[2].name", Value::Nil),
            ("users.name", Value::Nil),
            ("", data().into()),
        ] {
            assert_eq!(output(get(path)).unwrap(), expected, "{path}");
        }
        assert_eq!(output(get("nothing").field("default", 5)).unwrap(), Value::from(5));
        for (path, message) in [
            ("users[2].name", "path \"users[2].name\": at users: no element 2 in a list of 2"),
            ("users[0].age", "path \"users[0].age\": at users[0]: no key \"age\" among name, tags"),
            ("users[0].name.first", "path \"users[0].name.first\": at users[0].name: \"first\" of a str"),
        ] {
            assert_eq!(output(get(path).field("required", true)).unwrap_err().message(), message);
        }
        for path in ["a[", "a[1", "a['x]", "a..b", "a.", "a[1]b", "/a~2"] {
            let error = output(get(path)).unwrap_err();
            assert!(error.message().starts_with("field `path`: "), "{path}: {error}");
        }
    }
}

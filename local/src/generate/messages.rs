//! Conversations and tools as hosts send them, in the form that chat templates expect: that of OpenAI's API, with texts for contents and
//! objects for arguments.

use millwork_worker::prelude::*;
use serde_json::{Map as JsonMap, Value as Json, json};

/// What parts of messages a text model cannot read.
const MEDIA: [(&str, &str); 6] = [
    ("image", "a picture"),
    ("image_url", "a picture"),
    ("audio", "a sound"),
    ("input_audio", "a sound"),
    ("video", "a video"),
    ("video_url", "a video"),
];

/// The messages of a request.
///
/// # Errors
/// Names the message and the part that is not as it should be.
pub(super) fn messages(given: Option<&Value>) -> Result<Vec<Json>> {
    let given = given.and_then(Value::as_list).filter(|list| !list.is_empty());
    let given = given.ok_or_else(|| Error::invalid("`messages` must be a list of at least one {role, content}"))?;
    given.iter().enumerate().map(|(at, one)| message(one, &format!("messages[{at}]"))).collect()
}

fn message(given: &Value, place: &str) -> Result<Json> {
    let wrong = |what: &str| Error::invalid(format!("`{place}` {what}"));
    let given = given.as_map().ok_or_else(|| wrong("must be a map {role, content}"))?;
    let role = given.get("role").and_then(Value::as_str).filter(|role| !role.is_empty());
    let role = role.ok_or_else(|| wrong("needs a `role`: system, user, assistant or tool"))?;
    let mut out = JsonMap::new();
    out.insert("role".to_owned(), Json::from(role));
    out.insert("content".to_owned(), Json::from(content(given.get("content"), place)?));
    if let Some(calls) = field(given, "tool_calls", "toolCalls") {
        let calls = calls.as_list().ok_or_else(|| wrong("must have a list for `tool_calls`"))?;
        let calls = calls.iter().enumerate().map(|(at, one)| call(one, &format!("{place}.tool_calls[{at}]")));
        let calls = calls.collect::<Result<Vec<Json>>>()?;
        // A list of none would look like a call to some templates.
        if !calls.is_empty() {
            out.insert("tool_calls".to_owned(), Json::from(calls));
        }
    }
    for (snake, camel) in [("tool_call_id", "toolCallId"), ("name", "name"), ("reasoning_content", "reasoningContent")]
    {
        if let Some(value) = field(given, snake, camel) {
            let text = value.as_str().ok_or_else(|| wrong(&format!("must have a text for `{snake}`")))?;
            out.insert(snake.to_owned(), Json::from(text));
        }
    }
    Ok(Json::Object(out))
}

/// Text, or parts of which each is text; nothing is an empty one, as that of a message that only calls tools.
fn content(given: Option<&Value>, place: &str) -> Result<String> {
    let wrong = |what: String| Error::invalid(format!("`{place}.content` {what}"));
    match given {
        None | Some(Value::Nil) => Ok(String::new()),
        Some(Value::Str(text)) => Ok(text.clone()),
        Some(Value::List(parts)) => {
            let parts = parts.iter().enumerate().map(|(at, part)| {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                if let Some((_, what)) = MEDIA.iter().find(|(media, _)| *media == kind) {
                    return Err(wrong(format!(
                        "has {what} in part {at}, and this model reads only text: leave it out, or choose a model for it"
                    )));
                }
                let text = part.as_str().or_else(|| part.get("text")?.as_str()).filter(|_| matches!(kind, "" | "text"));
                text.ok_or_else(|| wrong(format!("must have {{type: \"text\", text}} in part {at}")))
            });
            Ok(parts.collect::<Result<Vec<&str>>>()?.join("\n"))
        }
        Some(other) => Err(wrong(format!("must be a text or a list of parts, not {}", other.type_name()))),
    }
}

/// `{id, name, args}`, or OpenAI's `{id, function: {name, arguments}}`.
fn call(given: &Value, place: &str) -> Result<Json> {
    let wrong = |what: &str| Error::invalid(format!("`{place}` {what}"));
    let inner = given.get("function").unwrap_or(given);
    let name = inner.get("name").and_then(Value::as_str).ok_or_else(|| wrong("needs a `name`"))?;
    let args = ["args", "arguments"].into_iter().find_map(|key| inner.get(key)).filter(|args| !args.is_nil());
    let args = match args {
        None => json!({}),
        Some(Value::Map(_)) => args.map(Value::to_json).unwrap_or_default(),
        Some(Value::Str(text)) => serde_json::from_str::<JsonMap<String, Json>>(text)
            .map(Json::Object)
            .map_err(|error| wrong(&format!("has arguments that are no JSON object: {error}")))?,
        Some(other) => return Err(wrong(&format!("must have a map for `args`, not {}", other.type_name()))),
    };
    let id = given.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(json!({ "id": id, "type": "function", "function": { "name": name, "arguments": args } }))
}

/// The tools of a request, `{name, description, inputSchema}` or OpenAI's form.
///
/// # Errors
/// Names the tool that is not as it should be.
pub(super) fn tools(given: Option<&Value>) -> Result<Vec<Json>> {
    let given = match given {
        None | Some(Value::Nil) => return Ok(Vec::new()),
        Some(Value::List(given)) => given,
        Some(_) => return Err(Error::invalid("`tools` must be a list of {name, description, inputSchema}")),
    };
    given
        .iter()
        .enumerate()
        .map(|(at, one)| tool(one).map_err(|what| Error::invalid(format!("`tools[{at}]` {what}"))))
        .collect()
}

fn tool(given: &Value) -> Result<Json, &'static str> {
    let inner = given.get("function").unwrap_or(given);
    let name = inner.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()).ok_or("needs a `name`")?;
    let description = inner.get("description").filter(|text| !text.is_nil());
    let description = description.map_or(Ok(""), |text| text.as_str().ok_or("must have a text for `description`"))?;
    let schema = ["inputSchema", "input_schema", "parameters"].into_iter().find_map(|key| inner.get(key));
    let schema = match schema.filter(|schema| !schema.is_nil()) {
        None => json!({ "type": "object", "properties": {} }),
        Some(schema @ Value::Map(_)) => schema.to_json(),
        Some(_) => return Err("must have a JSON schema, a map, for `inputSchema`"),
    };
    let function = json!({ "name": name, "description": description, "parameters": schema });
    Ok(json!({ "type": "function", "function": function }))
}

/// The name of a tool in the form that [`tools`] gives.
pub(super) fn name_of(tool: &Json) -> String {
    tool["function"]["name"].as_str().unwrap_or_default().to_owned()
}

fn field<'a>(map: &'a Map, snake: &str, camel: &str) -> Option<&'a Value> {
    map.get(snake).or_else(|| map.get(camel)).filter(|value| !value.is_nil())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: Json) -> Value {
        Value::from(json)
    }

    #[test]
    fn messages_become_openais() {
        let given = value(json!([
            {"role": "user", "content": [{"type": "text", "text": "a"}, "b"]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "name": "add", "args": {"a": 1}}]},
            {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": "{\"a\": 1}"}}]},
            {"role": "tool", "content": "2", "toolCallId": "1", "name": "add"},
        ]));
        let expected = json!([
            {"role": "user", "content": "a\nb"},
            {"role": "assistant", "content": "", "tool_calls":
                [{"id": "1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]},
            {"role": "assistant", "content": "", "tool_calls":
                [{"id": "", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]},
            {"role": "tool", "content": "2", "tool_call_id": "1", "name": "add"},
        ]);
        assert_eq!(Json::from(messages(Some(&given)).unwrap()), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |json: Json| messages(Some(&value(json))).unwrap_err().to_string();
        assert!(messages(None).unwrap_err().to_string().contains("`messages`"));
        assert!(error(json!([{"content": "a"}])).contains("`messages[0]` needs a `role`"));
        assert!(error(json!([{"role": "user", "content": 1}])).contains("`messages[0].content` must be a text"));
        let picture = error(json!([{"role": "user", "content": [{"type": "image_url", "image": {}}]}]));
        assert!(picture.contains("has a picture in part 0, and this model reads only text"), "{picture}");
        let call = error(json!([{"role": "assistant", "tool_calls": [{"name": "a", "args": 1}]}]));
        assert!(call.contains("`messages[0].tool_calls[0]` must have a map for `args`"), "{call}");
        assert!(
            tools(Some(&value(json!([{"description": "?"}]))))
                .unwrap_err()
                .to_string()
                .contains("`tools[0]` needs a `name`")
        );
    }

    #[test]
    fn tools_become_functions() {
        let given = value(json!([{"name": "add", "description": "Adds.", "inputSchema": {"type": "object"}}]));
        let tool = &tools(Some(&given)).unwrap()[0];
        assert_eq!(tool["function"]["parameters"], json!({"type": "object"}));
        assert_eq!(name_of(tool), "add");
        assert_eq!(tools(Some(&Value::List(vec![Value::from(tool.clone())]))).unwrap()[0], *tool);
    }
}

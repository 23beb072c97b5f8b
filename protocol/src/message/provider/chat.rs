//! `provider.generate` and `provider.stream`: a conversation goes in, a message comes out, whole or bit by bit.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::message::convert::{Field, TypeError};
use crate::message::macros::{message, text_enum};
use crate::message::secrets::Secrets;
use crate::{AssetRef, Map, Value};

text_enum! {
    /// What a part of a message is.
    pub enum PartKind {
        /// Text.
        Text = "text",
        /// A picture.
        Image = "image",
        /// A picture, as some hosts call it.
        ImageUrl = "image_url",
        /// A sound.
        Audio = "audio",
        /// A film.
        Video = "video",
    }
}

message! {
    /// One part of a message. The key that holds it is named as its kind, `image` for `image_url` too.
    pub struct ContentPart {
        /// What it is.
        pub kind: PartKind as "type",
        /// Its text.
        pub text: Option<String>,
        /// Its picture.
        pub image: Option<AssetRef>,
        /// Its sound.
        pub audio: Option<AssetRef>,
        /// Its film.
        pub video: Option<AssetRef>,
    }
}

impl ContentPart {
    fn empty(kind: PartKind) -> Self {
        Self { kind, text: None, image: None, audio: None, video: None, extra: Map::new() }
    }

    /// A part that is text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::empty(PartKind::Text) }
    }

    /// A part that is a picture.
    #[must_use]
    pub fn image(image: AssetRef) -> Self {
        Self { image: Some(image), ..Self::empty(PartKind::Image) }
    }

    /// A part that is a sound.
    #[must_use]
    pub fn audio(audio: AssetRef) -> Self {
        Self { audio: Some(audio), ..Self::empty(PartKind::Audio) }
    }

    /// A part that is a film.
    #[must_use]
    pub fn video(video: AssetRef) -> Self {
        Self { video: Some(video), ..Self::empty(PartKind::Video) }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text.
    Text(String),
    /// Text and other things, in order.
    Parts(Vec<ContentPart>),
}

impl Field for Content {
    const EXPECTED: &'static str = "str or list";

    fn from_value(value: Value) -> Result<Self, TypeError> {
        match value {
            Value::Str(text) => Ok(Self::Text(text)),
            parts @ Value::List(_) => Field::from_value(parts).map(Self::Parts),
            other => Err(TypeError::new(Self::EXPECTED, &other)),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Text(text) => Value::Str(text),
            Self::Parts(parts) => parts.into_value(),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [String::schema(generator), Vec::<ContentPart>::schema(generator)] })
    }
}

message! {
    /// A call of a tool that a model asks for.
    #[derive(Default)]
    pub struct ToolCall {
        /// The call's id, which its result refers to.
        pub id: String,
        /// The tool.
        pub name: String,
        /// What to call it with.
        pub args: Value,
    }
}

message! {
    /// A tool that a model may call.
    #[derive(Default)]
    pub struct Tool {
        /// Its name.
        pub name: String,
        /// What it does.
        pub description: String = default,
        /// The JSON Schema of its arguments.
        pub input_schema: Value as "inputSchema" | "input_schema" | "parameters",
    }
}

message! {
    /// One message of a conversation.
    #[derive(Default)]
    pub struct ChatMessage {
        /// `system`, `user`, `assistant` or `tool`.
        pub role: String,
        /// What it says; a message may consist of tool calls alone.
        pub content: Option<Content>,
        /// The tools that it calls.
        pub tool_calls: Vec<ToolCall> = sparse,
        /// The call that this is the result of.
        pub tool_call_id: Option<String>,
    }
}

message! {
    /// The data of `provider.generate` and `provider.stream`.
    #[derive(Default)]
    pub struct GenerateRequest {
        /// The provider to ask.
        pub provider: String,
        /// The conversation so far.
        pub messages: Vec<ChatMessage>,
        /// The model to use.
        pub model: String,
        /// The tools that it may call.
        pub tools: Vec<Tool> = sparse,
        /// The most tokens to generate.
        pub max_tokens: Option<u64>,
        /// How freely to choose among tokens, from 0.
        pub temperature: Option<f64>,
        /// Choose among the likeliest tokens that together have this probability, from 0 to 1.
        pub top_p: Option<f64>,
        /// The form that the answer shall have, as the provider takes it.
        pub response_format: Option<Value>,
        /// The secrets that it may read.
        pub secrets: Secrets = sparse,
    }
}

message! {
    /// The data of the answer to `provider.generate`.
    #[derive(Default)]
    pub struct GenerateResult {
        /// What the model says.
        pub message: ChatMessage,
    }
}

message! {
    /// A bit of text.
    #[derive(Default)]
    pub struct TextChunk {
        /// The text.
        pub content: String = default,
        /// Whether the model has no more to say.
        pub done: bool = default,
    }
}

/// The data of a chunk of `provider.stream`.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamChunk {
    /// `{type: "chunk", …}`
    Text(TextChunk),
    /// `{type: "tool_call", …}`
    ToolCall(ToolCall),
}

impl StreamChunk {
    /// Reads it from the entries of a map; one without a `type` is text.
    ///
    /// # Errors
    /// Where `type` is another one, a required key is missing, or a value has another type.
    pub fn from_map(mut map: Map) -> Result<Self, TypeError> {
        let kind = map.shift_remove("type").unwrap_or_default();
        match &kind {
            Value::Nil => TextChunk::from_map(map).map(Self::Text),
            Value::Str(text) if text == "chunk" => TextChunk::from_map(map).map(Self::Text),
            Value::Str(text) if text == "tool_call" => ToolCall::from_map(map).map(Self::ToolCall),
            Value::Str(text) => Err(TypeError {
                path: "type".to_owned(),
                expected: "\"chunk\" or \"tool_call\"".into(),
                found: format!("{text:?}").into(),
            }),
            other => Err(TypeError::new("str", other).under("type")),
        }
    }

    /// Writes it as the entries of a map.
    #[must_use]
    pub fn into_map(self) -> Map {
        let (kind, rest) = match self {
            Self::Text(chunk) => ("chunk", chunk.into_map()),
            Self::ToolCall(call) => ("tool_call", call.into_map()),
        };
        let mut map = Map::with_capacity(rest.len() + 1);
        map.insert("type".to_owned(), kind.into());
        map.extend(rest);
        map
    }
}

impl JsonSchema for StreamChunk {
    fn schema_name() -> Cow<'static, str> {
        "StreamChunk".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tagged = |kind: &str, rest: Schema| {
            json_schema!({ "allOf": [
                { "type": "object", "properties": { "type": { "const": kind } }, "required": ["type"] },
                rest,
            ] })
        };
        json_schema!({ "anyOf": [
            tagged("chunk", TextChunk::schema(generator)),
            tagged("tool_call", ToolCall::schema(generator)),
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map;

    #[test]
    fn a_conversation_travels_without_loss() {
        let sent = map! {
            "provider" => "acme",
            "messages" => Value::List(vec![
                map! { "role" => "user", "content" => Value::List(vec![
                    map! { "type" => "text", "text" => "What is this?" }.into(),
                    map! { "type" => "image_url", "image" => map! { "type" => "image", "uri" => "file:///a.png" } }
                        .into(),
                    map! { "type" => "gesture", "hand" => "left" }.into(),
                ]) }.into(),
                map! { "role" => "assistant", "tool_calls" => Value::List(vec![
                    map! { "id" => "1", "name" => "look", "args" => map! { "x" => 1 } }.into(),
                ]) }.into(),
                map! { "role" => "tool", "content" => "a cat", "tool_call_id" => "1" }.into(),
            ]),
            "model" => "small",
            "tools" => Value::List(vec![
                map! { "name" => "look", "description" => "", "inputSchema" => map! { "type" => "object" } }.into(),
            ]),
            "temperature" => 0.5,
            "stop" => vec!["\n"],
        };
        let read = GenerateRequest::from_map(sent.clone()).unwrap();
        assert_eq!(
            read.messages[0].content.as_ref().map(|c| matches!(c, Content::Parts(p) if p.len() == 3)),
            Some(true)
        );
        assert_eq!(read.into_map(), sent);
    }

    #[test]
    fn nil_and_older_keys_are_understood() {
        let tool =
            Tool::from_map(map! { "name" => "t", "inputSchema" => Value::Nil, "parameters" => map! { "a" => 1 } });
        assert_eq!(tool.unwrap().input_schema, map! { "a" => 1 }.into());
        let read = GenerateRequest::from_map(map! {
            "provider" => "p", "messages" => Vec::<Value>::new(), "model" => "m", "max_tokens" => 12.0,
            "tools" => Value::Nil, "top_p" => Value::Nil,
        });
        assert_eq!(read.unwrap().max_tokens, Some(12));
    }

    #[test]
    fn chunks_are_told_apart() {
        let text = map! { "type" => "chunk", "content" => "Hi", "done" => false };
        let call = map! { "type" => "tool_call", "id" => "1", "name" => "t", "args" => map! {} };
        for sent in [text, call] {
            assert_eq!(StreamChunk::from_map(sent.clone()).unwrap().into_map(), sent);
        }
        let error = StreamChunk::from_map(map! { "type" => "song" }).unwrap_err().to_string();
        assert_eq!(error, r#"type: expected "chunk" or "tool_call", got "song""#);
    }
}

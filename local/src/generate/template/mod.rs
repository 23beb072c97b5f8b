//! Chat templates: a conversation and its tools as the text that a model was trained on. They are Jinja programs that come with the
//! model, and may take so many instructions, open no files and no other templates.

mod clock;
#[cfg(test)]
mod published;
mod python;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error as JinjaError, ErrorKind, State, UndefinedBehavior};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Deserialize;
use serde_json::{Map as JsonMap, Value as Json};

use crate::{Problem, read};

/// Instructions that one rendering may take: a conversation of a thousand turns takes some hundred thousand.
const FUEL: u64 = 50_000_000;
/// The template for conversations with tools, where a model has one of its own for them.
const TOOL_USE: &str = "tool_use";
const DEFAULT: &str = "default";

/// What a model's files have of templates, and the special tokens that stand in them.
#[derive(Debug, Clone, Default)]
pub(super) struct Templates {
    by_name: BTreeMap<String, String>,
    special: JsonMap<String, Json>,
}

/// What is rendered, in the form that templates expect: that of OpenAI's API, arguments of calls as objects.
#[derive(Debug, Clone)]
pub(super) struct Chat<'a> {
    pub(super) messages: &'a [Json],
    /// Empty where there are none.
    pub(super) tools: &'a [Json],
    /// Whatever else this very template looks at, such as `enable_thinking`.
    pub(super) extra: &'a JsonMap<String, Json>,
    pub(super) now: SystemTime,
}

/// `tokenizer_config.json`, as far as templates need it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    chat_template: Option<Given>,
    #[serde(flatten)]
    rest: JsonMap<String, Json>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Given {
    One(String),
    Named(Vec<Named>),
    Map(BTreeMap<String, String>),
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    template: String,
}

#[derive(Debug, Deserialize)]
struct TemplateFile {
    chat_template: Given,
}

impl Given {
    fn named(self) -> BTreeMap<String, String> {
        match self {
            Given::One(text) => BTreeMap::from([(DEFAULT.to_owned(), text)]),
            Given::Named(all) => all.into_iter().map(|one| (one.name, one.template)).collect(),
            Given::Map(all) => all,
        }
    }
}

impl Templates {
    /// Those of a model's folder: of `chat_template.jinja` and `additional_chat_templates/`, else of `chat_template.json`, else of
    /// `tokenizer_config.json`.
    pub(super) fn read(folder: &Path) -> Result<Self, Problem> {
        let config: TokenizerConfig = read::json_if_there(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let older: JsonMap<String, Json> =
            read::json_if_there(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
        let mut by_name = BTreeMap::new();
        let jinja = folder.join("chat_template.jinja");
        if read::is_there(&jinja) {
            by_name.insert(DEFAULT.to_owned(), read::text(&jinja)?);
            let more = folder.join("additional_chat_templates").join(format!("{TOOL_USE}.jinja"));
            if read::is_there(&more) {
                by_name.insert(TOOL_USE.to_owned(), read::text(&more)?);
            }
        } else if let Some(file) = read::json_if_there::<TemplateFile>(&folder.join("chat_template.json"))? {
            by_name = file.chat_template.named();
        } else if let Some(given) = config.chat_template {
            by_name = given.named();
        }
        let mut special = JsonMap::new();
        for (name, value) in config.rest.iter().chain(&older) {
            if name.ends_with("_token") && !special.contains_key(name) {
                let text = value.as_str().or_else(|| value.get("content")?.as_str());
                special.extend(text.map(|text| (name.clone(), Json::from(text))));
            }
        }
        Ok(Self { by_name, special })
    }

    /// Whether there is any.
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The text of one of the special tokens, `eos_token` and the like.
    pub(super) fn special(&self, name: &str) -> Option<&str> {
        self.special.get(name)?.as_str()
    }

    /// The conversation as a prompt that asks for the next answer; why not, in the template's own words where it has refused.
    pub(super) fn render(&self, chat: &Chat<'_>) -> Result<String, String> {
        let with_tools = self.by_name.get(TOOL_USE).filter(|_| !chat.tools.is_empty());
        let only = || self.by_name.values().next();
        let source = with_tools.or_else(|| self.by_name.get(DEFAULT)).or_else(only);
        let source = source.ok_or_else(|| "the model has no chat template".to_owned())?;
        let mut context = self.special.clone();
        let tools = if chat.tools.is_empty() { Json::Null } else { Json::from(chat.tools) };
        let own = [
            ("messages", Json::from(chat.messages)),
            ("tools", tools),
            ("documents", Json::Null),
            ("add_generation_prompt", Json::from(true)),
        ];
        context.extend(own.map(|(name, value)| (name.to_owned(), value)));
        context.extend(chat.extra.clone());
        render(source, &context, chat.now)
    }
}

/// Renders the text of a chat template as the transformers library does, with all that it sees in `context`: `messages`, `tools`,
/// `add_generation_prompt`, special tokens. `now` is what `strftime_now` tells, in UTC.
///
/// # Errors
/// The template's own words where it refuses the conversation with `raise_exception`; else what is wrong with it, with the line.
fn render(template: &str, context: &JsonMap<String, Json>, now: SystemTime) -> Result<String, String> {
    let source = without_generation_tags(template);
    let context = Value::from_pairs(context.iter().map(|(name, json)| (name.clone(), value(json))));
    let render = || environment(now)?.template_from_str(&source)?.render(context);
    match millwork_worker::contain(render) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(words(&error)),
        Err(panic) => Err(panic.into_error().to_string()),
    }
}

/// Jinja as the transformers library sets it up.
fn environment<'a>(now: SystemTime) -> Result<Environment<'a>, JinjaError> {
    let mut jinja = Environment::new();
    jinja.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    jinja.set_undefined_behavior(UndefinedBehavior::Lenient);
    jinja.set_fuel(Some(FUEL));
    jinja.set_unknown_method_callback(unknown_method_callback);
    jinja.set_formatter(|out, _: &mut State<'_, '_>, value| Ok(out.write_str(&python::str(value)?)?));
    jinja.add_filter("tojson", python::tojson);
    jinja.add_filter("string", python::str);
    jinja.add_filter("length", length);
    jinja.add_filter("count", length);
    // What Jinja's tests of types hold for is what Python can do with a value.
    jinja.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    jinja.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map | ValueKind::Undefined)
    });
    jinja.add_function("raise_exception", |message: String| -> Result<Value, JinjaError> {
        Err(JinjaError::new(ErrorKind::InvalidOperation, message))
    });
    jinja.add_function("strftime_now", move |format: String| clock::strftime(now, &format));
    Ok(jinja)
}

/// That of nothing is 0.
fn length(value: &Value) -> Result<usize, JinjaError> {
    match value.len() {
        Some(length) => Ok(length),
        None if value.is_undefined() => Ok(0),
        None => {
            let text = format!("a {} has no length", value.kind());
            Err(JinjaError::new(ErrorKind::InvalidOperation, text))
        }
    }
}

/// `{% generation %}` marks the assistant's part for training and prints nothing: here it is an `if` that always holds, so that
/// whitespace is cut as the tag says.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let inner = &tag[2..end];
        let word = inner.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        match word {
            "generation" | "endgeneration" => {
                let instead = if word == "generation" { "if true" } else { "endif" };
                out.push_str(&format!("{{%{}%}}", inner.replacen(word, instead, 1)));
                rest = &tag[end + 2..];
            }
            _ => {
                out.push_str("{%");
                rest = &tag[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// JSON as a value of templates.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(yes) => Value::from(*yes),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(whole)) => Value::from(whole),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(key, item)| (key.clone(), value(item)))),
    }
}

fn words(error: &JinjaError) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let mut text = error.line().map_or_else(|| what.clone(), |line| format!("line {line}: {what}"));
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;

    fn render(template: &str, messages: Json) -> Result<String, String> {
        let templates = Templates {
            by_name: BTreeMap::from([(DEFAULT.to_owned(), template.to_owned())]),
            special: [("bos_token".to_owned(), json!("<s>"))].into_iter().collect(),
        };
        let messages = messages.as_array().cloned().unwrap();
        templates.render(&Chat { messages: &messages, tools: &[], extra: &JsonMap::new(), now: UNIX_EPOCH })
    }

    #[test]
    fn templates_see_what_pythons_jinja_shows_them() {
        let template = "{{ bos_token }}\n{%- for m in messages %}\n    {%- if loop.first %}{% continue %}{% endif %}\n\
            [{{ m.role }}|{{ m['content'] | trim }}|{{ m.none }}|{{ m.nothing }}|{{ m.list }}]\n{%- endfor %}\n\
            {% if tools is none and eos_token is undefined %}{{ strftime_now('%d %b %Y') }}{% endif %}\n\
            {%- generation -%}  x{% endgeneration %}{{ {'b': 1, 'a': [true, none]} | tojson }}";
        let messages = json!([
            {"role": "system", "content": "no"},
            {"role": "user", "content": " hi ", "none": null, "list": [1, 2.5, "a"]},
        ]);
        let text = render(template, messages).unwrap();
        assert_eq!(text, "<s>[user|hi|None||[1, 2.5, 'a']]01 Jan 1970x{\"b\": 1, \"a\": [true, null]}");
    }

    #[test]
    fn a_template_may_refuse_and_may_not_run_for_ever() {
        let error = render("{{ raise_exception('roles must alternate') }}", json!([])).unwrap_err();
        assert_eq!(error, "line 1: roles must alternate");
        let endless = "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}";
        assert!(render(endless, json!([])).is_err());
    }
}

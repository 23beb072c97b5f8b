//! What a request asks for: each of its fields read, or named where it is not what it should be.

use millwork_worker::Call;
use millwork_worker::prelude::*;
use serde_json::{Map as JsonMap, Value as Json, json};

use super::files::Files;
use super::messages;
use super::sample::{PENALTIES, Settings};

/// Stop strings are looked for with each token: so many are enough.
const MOST_STOPS: usize = 32;

/// A request for an answer.
#[derive(Debug)]
pub(super) struct Request {
    /// In the form that templates expect.
    pub(super) messages: Vec<Json>,
    pub(super) tools: Vec<Json>,
    /// What else the template looks at.
    pub(super) extra: JsonMap<String, Json>,
    pub(super) settings: Settings,
    pub(super) max_tokens: usize,
    pub(super) stop: Vec<String>,
    /// The JSON schema that the answer has to follow.
    pub(super) schema: Option<Json>,
    /// Whether keys and values are kept from token to token; without, each token reads everything again.
    pub(super) use_cache: bool,
    /// Whether what earlier requests have read is used.
    pub(super) cache_prompt: bool,
    /// Whether the result tells the tokens.
    pub(super) return_token_ids: bool,
}

impl Request {
    /// Reads a call for a model. What it does not say is as the model's makers have it.
    ///
    /// # Errors
    /// `invalid_input` that names the field.
    pub(super) fn read(call: &Call<'_>, files: &Files) -> Result<Self> {
        let read = Reader(call);
        let own = &files.sampling;
        let (top_p, top_k, min_p) = (
            read.number("top_p", "from 0 to 1", |p| (0.0..=1.0).contains(&p))?,
            read.whole("top_k", 0)?,
            read.number("min_p", "from 0 to 1", |p| (0.0..=1.0).contains(&p))?,
        );
        // Who cuts wants to sample: also where the model's makers do not.
        let is_cut = top_p.is_some_and(|p| p < 1.0) || top_k.is_some_and(|k| k > 0) || min_p.is_some_and(|p| p > 0.0);
        let usual = if is_cut && own.temperature == 0.0 { 1.0 } else { own.temperature };
        let settings = Settings {
            temperature: read.number("temperature", "from 0 on", |t| t >= 0.0)?.unwrap_or(usual),
            top_k: top_k.unwrap_or(own.top_k),
            top_p: top_p.unwrap_or(own.top_p),
            min_p: min_p.unwrap_or(own.min_p),
            repetition_penalty: read
                .number("repetition_penalty", "from 0.01 to 100", |penalty| PENALTIES.contains(&penalty))?
                .unwrap_or(own.repetition_penalty),
            // Any whole number is a seed; a negative one, which hosts send for "any", is chance.
            seed: read.seed()?,
        };
        Ok(Self {
            messages: messages::messages(call.param("messages"))?,
            tools: messages::tools(call.param("tools"))?,
            extra: read.extra()?,
            settings,
            max_tokens: read.whole("max_tokens", 1)?.unwrap_or(files.max_tokens),
            stop: read.stop()?,
            schema: read.schema()?,
            use_cache: read.flag("use_cache")?.unwrap_or(true),
            cache_prompt: read.flag("cache_prompt")?.unwrap_or(true),
            return_token_ids: read.flag("return_token_ids")?.unwrap_or(false),
        })
    }
}

struct Reader<'a>(&'a Call<'a>);

impl Reader<'_> {
    fn number(&self, name: &str, range: &str, fits: impl Fn(f64) -> bool) -> Result<Option<f64>> {
        let read = |value: &Value| value.as_f64().filter(|number| number.is_finite() && fits(*number));
        self.read(name, &format!("a number {range}"), read)
    }

    fn whole(&self, name: &str, least: usize) -> Result<Option<usize>> {
        let read = |value: &Value| usize::try_from(value.as_i64()?).ok().filter(|number| *number >= least);
        self.read(name, &format!("a whole number from {least} on"), read)
    }

    fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, "true or false", Value::as_bool)
    }

    fn seed(&self) -> Result<Option<u64>> {
        let seed = self.read("seed", "a whole number", Value::as_i64)?;
        Ok(seed.and_then(|seed| u64::try_from(seed).ok()))
    }

    fn stop(&self) -> Result<Vec<String>> {
        let read = |value: &Value| match value {
            Value::Str(one) => Some(vec![one.clone()]),
            Value::List(list) if list.len() <= MOST_STOPS => {
                list.iter().map(|one| one.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        };
        let stop = self.read("stop", &format!("a text or a list of at most {MOST_STOPS} texts"), read)?;
        Ok(stop.unwrap_or_default().into_iter().filter(|text| !text.is_empty()).collect())
    }

    fn extra(&self) -> Result<JsonMap<String, Json>> {
        let read = |value: &Value| match value.to_json() {
            Json::Object(map) => Some(map),
            _ => None,
        };
        Ok(self.read("chat_template_kwargs", "a map of what the chat template looks at", read)?.unwrap_or_default())
    }

    /// `{type: "text" | "json_object" | "json_schema", …}`; the schema under `schema`, or as OpenAI nests it.
    fn schema(&self) -> Result<Option<Json>> {
        let Some(format) = self.0.param("response_format") else { return Ok(None) };
        let wrong = |what: &str| Error::invalid(format!("`response_format` {what}"));
        let format = match format {
            Value::Map(_) => format.to_json(),
            Value::Str(kind) => json!({ "type": kind }),
            _ => return Err(wrong("must be a map {type: \"text\", \"json_object\" or \"json_schema\"}")),
        };
        let schema = || format["json_schema"].get("schema").or_else(|| format.get("schema"));
        match format["type"].as_str() {
            Some("text") => Ok(None),
            Some("json_object") => Ok(Some(schema().cloned().unwrap_or_else(|| json!({ "type": "object" })))),
            Some("json_schema") => match schema() {
                Some(schema @ (Json::Object(_) | Json::Bool(_))) => Ok(Some(schema.clone())),
                _ => Err(wrong("of type json_schema needs a `schema`, a map")),
            },
            _ => Err(wrong("must have the `type` text, json_object or json_schema")),
        }
    }

    fn read<T>(&self, name: &str, expected: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
        match self.0.param(name) {
            None => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| Error::invalid(format!("`{name}` must be {expected}, got {}", value.to_json()))),
        }
    }
}

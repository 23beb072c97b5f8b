//! Providers: named sources of model calls. Which frames carry them is in `dispatch`.

use std::fmt;

use bytes::Bytes;
use millwork_protocol::{Map, Value};

use crate::{Context, Error, Result};

/// What a provider tells of itself in `provider.list`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderInfo {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub display_name: String,
    /// What it can do, by the names of the messages: `generate`, `stream`, `embedding`, `tts`, …
    pub capabilities: Vec<String>,
    /// Secrets that it needs.
    pub required_secrets: Vec<String>,
}

/// One model call.
#[derive(Debug)]
pub struct Call<'a> {
    /// The message behind `provider.`: `generate`, `stream`, `text_to_image`, …
    pub kind: &'a str,
    /// Its data, secrets and provider id taken out.
    pub data: Map,
    /// The surroundings: secrets, cancellation, models.
    pub context: &'a Context,
}

impl Call<'_> {
    /// A parameter of a media call: under `params` in camelCase, as hosts send it, or at the top level in snake_case, as older ones did. Nil counts as not given.
    #[must_use]
    pub fn param(&self, snake_case: &str) -> Option<&Value> {
        let camel = camel_case(snake_case);
        let params = self.data.get("params").and_then(Value::as_map);
        let inside = params.and_then(|params| given(params, &camel).or_else(|| given(params, snake_case)));
        inside.or_else(|| given(&self.data, snake_case)).or_else(|| given(&self.data, &camel))
    }
}

fn given<'a>(map: &'a Map, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_nil())
}

fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// What a call ends with: the data of its `result`.
#[derive(Debug, Clone, Default)]
pub struct Answer(pub Map);

impl Answer {
    /// `{blobs: {name: bytes}}`, the answer of media calls.
    #[must_use]
    pub fn blob(name: &str, bytes: Bytes) -> Self {
        let mut blobs = Map::new();
        blobs.insert(name.to_owned(), Value::Bytes(bytes));
        Self(millwork_protocol::map! { "blobs" => blobs })
    }

    /// `{done: true}`, the end of a stream.
    #[must_use]
    pub fn done() -> Self {
        Self(millwork_protocol::map! { "done" => true })
    }
}

/// A named source of model calls.
pub trait Provider: Send + Sync + 'static {
    /// What it is, now: asked for with each `provider.list`, on a compute thread.
    fn info(&self) -> ProviderInfo;

    /// Its id, which never changes.
    fn id(&self) -> String {
        self.info().id
    }

    /// Its models of one type (`language`, `image`, `tts`, `music`, `asr`, `video`, `embedding`, `3d`), as maps with
    /// `id` and `name`; of an unknown type none.
    ///
    /// # Errors
    /// Where they cannot be listed.
    fn models(&self, model_type: &str, cx: &Context) -> Result<Vec<Map>>;

    /// Makes a call; `chunk` sends a `chunk` frame and waits while the host reads slower.
    ///
    /// # Errors
    /// Whatever went wrong; [`unsupported`] for a call that it does not offer.
    fn call(&self, call: Call<'_>, chunk: &mut dyn FnMut(Map) -> Result<()>) -> Result<Answer>;
}

impl fmt::Debug for dyn Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.id()).finish()
    }
}

/// The error for a call that a provider does not offer.
#[must_use]
pub fn unsupported(provider: &str, kind: &str) -> Error {
    Error::invalid(format!("the provider {provider:?} does not offer {kind}"))
}

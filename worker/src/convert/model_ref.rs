//! Models as hosts refer to them. Loading one is `Context::onnx_model`'s, calling one a provider's.

use millwork_protocol::metadata::TypeMetadata;
use millwork_protocol::{Map, Value};

use super::{FromWire, IntoWire, Reading, Writing, mismatch};
use crate::{Error, Result};

/// A model that the user has chosen: `{type: "hf.text_to_image", repo_id, path}`, `{type: "language_model", provider, id}`.
/// Which sort of models a host offers says `#[node(model = "hf.text_to_image")]` on the field.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelRef {
    /// The sort of model: `language_model`, `hf.text_to_image`, …
    pub kind: String,
    /// Its id at its provider; empty where it has none.
    pub id: String,
    /// Who serves it; empty where nobody does.
    pub provider: String,
    /// The repository that it lies in; empty where it lies in none.
    pub repo_id: String,
    /// Its file: in the repository, or where there is none in the workspace; empty for all of the repository.
    pub path: String,
    /// What else the host says of it.
    pub extra: Map,
}

impl ModelRef {
    /// The type of a field of any sort of model.
    pub(crate) const KIND: &str = "model";

    /// A model that goes by an id.
    #[must_use]
    pub fn new(kind: &str, id: &str) -> Self {
        Self { kind: kind.to_owned(), id: id.to_owned(), ..Self::default() }
    }

    /// A repository, or with a path one file of it.
    #[must_use]
    pub fn repo(kind: &str, repo_id: &str, path: &str) -> Self {
        Self { kind: kind.to_owned(), repo_id: repo_id.to_owned(), path: path.to_owned(), ..Self::default() }
    }

    /// What it is called: its id, else its repository, else its path.
    #[must_use]
    pub fn name(&self) -> &str {
        [&self.id, &self.repo_id, &self.path].into_iter().find(|text| !text.is_empty()).map_or("", String::as_str)
    }

    fn into_map(self) -> Map {
        let mut map = Map::new();
        let texts = [self.kind, self.provider, self.id, self.repo_id, self.path];
        for (key, text) in KEYS.into_iter().zip(texts) {
            if !text.is_empty() || key == "type" {
                map.insert(key.to_owned(), Value::Str(text));
            }
        }
        map.extend(self.extra);
        map
    }
}

const KEYS: [&str; 5] = ["type", "provider", "id", "repo_id", "path"];

impl FromWire for ModelRef {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::new(Self::KIND)
    }

    fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
        let model = match value {
            Value::Str(id) => Self { id, ..Self::default() },
            Value::Map(mut map) => {
                let mut text = |key: &str| match map.shift_remove(key) {
                    None | Some(Value::Nil) => Ok(String::new()),
                    Some(Value::Str(text)) => Ok(text),
                    Some(other) => Err(mismatch("a str", &other).context(format!("the model's `{key}`"))),
                };
                let [kind, provider, id, repo_id, path] = KEYS;
                Self {
                    kind: text(kind)?,
                    provider: text(provider)?,
                    id: text(id)?,
                    repo_id: text(repo_id)?,
                    path: text(path)?,
                    extra: map,
                }
            }
            other => return Err(mismatch("a model {type, id} or {type, repo_id, path}", &other)),
        };
        if model.name().is_empty() {
            return Err(Error::invalid("no model is chosen: a model has an `id`, a `repo_id` or a `path`"));
        }
        Ok(model)
    }

    fn to_default(&self) -> Value {
        Value::Map(self.clone().into_map())
    }
}

impl IntoWire for ModelRef {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::new(Self::KIND)
    }

    fn into_wire(self, _: &mut Writing<'_>) -> Result<Value> {
        Ok(Value::Map(self.into_map()))
    }
}

//! The few things in a request's data that decide where it goes, whose turn it is, and how long it may take.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use millwork_protocol::{Map, Scalar};

/// What is read of a request before it is sent on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Route {
    pub(crate) node_type: Option<Arc<str>>,
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) backend: Option<Arc<str>>,
    pub(crate) timeout_ms: Option<u64>,
    /// Which job it is part of: a hash of `job_id`, and 0 for none. Jobs that meet in one share their turn.
    pub(crate) job: u64,
}

impl Route {
    /// The keys that count.
    pub(crate) const KEYS: [&str; 5] = ["node_type", "provider", "backend", "timeout_ms", "job_id"];

    /// From the values under [`Route::KEYS`]; those of a wrong type count as absent.
    pub(crate) fn new(values: [Option<Scalar<'_>>; Self::KEYS.len()]) -> Self {
        let [node_type, provider, backend, timeout, job_id] = values;
        let text = |value: Option<Scalar<'_>>| value.and_then(Scalar::text).map(Arc::from);
        Self {
            node_type: text(node_type),
            provider: text(provider),
            backend: text(backend),
            timeout_ms: timeout.and_then(Scalar::number).filter(|ms| *ms >= 1.0).map(|ms| ms as u64),
            job: job_id.and_then(Scalar::text).map_or(0, |id| hash(&[id])),
        }
    }

    /// From data that has not been encoded.
    pub(crate) fn of(data: &Map) -> Self {
        Self::new(Self::KEYS.map(|key| {
            let value = data.get(key)?;
            value.as_str().map(Scalar::Text).or_else(|| value.as_f64().map(Scalar::Number))
        }))
    }
}

/// Texts as a number that is never 0.
fn hash(texts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for text in texts {
        hasher.write(text.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish().max(1)
}

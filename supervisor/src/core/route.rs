//! The few things in a request's data that decide where it goes, whose turn it is, and how long it may take.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use millwork_protocol::{Map, Scalar, Value};

use super::Affinity;

/// What is read of a request before it is sent on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Route {
    pub(crate) node_type: Option<Arc<str>>,
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) backend: Option<Arc<str>>,
    pub(crate) timeout_ms: Option<u64>,
    /// Which job it is part of: a hash of `job_id`, and 0 for none. Jobs that meet in one share their turn.
    pub(crate) job: u64,
    /// What it has in common with requests that should go to the same worker.
    pub(crate) affinity: Option<Affinity>,
    /// How much video memory it needs.
    pub(crate) vram_gb: Option<f64>,
}

impl Route {
    /// The keys that count.
    pub(crate) const KEYS: [&str; 8] =
        ["node_type", "provider", "backend", "timeout_ms", "job_id", "node_id", "model", "requires_vram_gb"];

    /// From the values under [`Route::KEYS`]; those of a wrong type count as absent. Media requests have their model under
    /// `params`, where it is looked for only if it is needed.
    pub(crate) fn new<'a>(
        values: [Option<Scalar<'a>>; Self::KEYS.len()],
        model_in_params: impl FnOnce() -> Option<Scalar<'a>>,
    ) -> Self {
        let [node_type, provider, backend, timeout, job_id, node_id, model, vram] = values;
        let text = |value: Option<Scalar<'_>>| value.and_then(Scalar::text).map(Arc::from);
        let affinity = match (provider.and_then(Scalar::text), node_type.and_then(Scalar::text)) {
            (Some(provider), _) => {
                let model = model.or_else(model_in_params).and_then(Scalar::text);
                model.map(|model| Affinity::Model(hash(&[provider, model])))
            }
            (None, Some(node)) => node_id.and_then(Scalar::text).map(|id| Affinity::Node(hash(&[node, id]))),
            (None, None) => None,
        };
        Self {
            node_type: text(node_type),
            provider: text(provider),
            backend: text(backend),
            timeout_ms: timeout.and_then(Scalar::number).filter(|ms| *ms >= 1.0).map(|ms| ms as u64),
            job: job_id.and_then(Scalar::text).map_or(0, |id| hash(&[id])),
            affinity,
            vram_gb: vram.and_then(Scalar::number).filter(|gb| *gb > 0.0),
        }
    }

    /// From data that has not been encoded.
    pub(crate) fn of(data: &Map) -> Self {
        Self::new(Self::KEYS.map(|key| scalar(data.get(key)?)), || scalar(data.get("params")?.get("model")?))
    }
}

fn scalar(value: &Value) -> Option<Scalar<'_>> {
    value.as_str().map(Scalar::Text).or_else(|| value.as_f64().map(Scalar::Number))
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

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::{Envelope, Frame, map};

    /// As it is read from a frame, and as it is read from data.
    fn both(data: &Map) -> [Route; 2] {
        let payload = Frame::message("execute", Some("x"), data).to_payload();
        let envelope = Envelope::peek(&payload).unwrap();
        let of_frame =
            Route::new(envelope.data_scalars(Route::KEYS), || envelope.under("params")?.data_scalars(["model"])[0]);
        [of_frame, Route::of(data)]
    }

    #[test]
    fn a_model_is_found_wherever_it_stands() {
        let chat = both(&map! { "provider" => "p", "model" => "m" });
        let media = both(&map! { "provider" => "p", "params" => map! { "prompt" => "x", "model" => "m" } });
        assert!(matches!(chat[0].affinity, Some(Affinity::Model(_))));
        assert!([&chat[1], &media[0], &media[1]].iter().all(|route| route.affinity == chat[0].affinity));
        assert_ne!(chat[0].affinity, both(&map! { "provider" => "p", "model" => "n" })[0].affinity);
        assert_eq!(both(&map! { "provider" => "p" })[0].affinity, None);
    }

    #[test]
    fn values_of_a_wrong_type_count_as_absent() {
        let fine = map! { "node_type" => "a.B", "job_id" => "j", "node_id" => "1", "requires_vram_gb" => 24, "timeout_ms" => 5 };
        let odd =
            map! { "node_type" => "a.B", "job_id" => 5, "node_id" => 1, "requires_vram_gb" => "24", "timeout_ms" => 0 };
        let [fine, same] = both(&fine);
        assert_eq!(fine, same);
        assert!(fine.job != 0 && fine.affinity.is_some());
        assert_eq!((fine.vram_gb, fine.timeout_ms), (Some(24.0), Some(5)));
        let [odd, same] = both(&odd);
        assert_eq!(odd, same);
        assert_eq!((odd.job, odd.affinity, odd.vram_gb, odd.timeout_ms), (0, None, None, None));
    }
}

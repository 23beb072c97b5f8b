//! Takes secrets out of what is shown and recorded: the values under `secrets` and `token`, wherever they turn up again.

use millwork_protocol::{Bytes, Envelope, Limits, Map, Value, map};

use crate::digest::sha256_hex;

/// What stands in the place of a secret.
const HIDDEN: &str = "***";
/// Shorter values would be found in everything.
const MIN_SECRET: usize = 4;
/// Bytes shorter than this are not worth hashing.
const MIN_BLOB: usize = 64;

/// Remembers the secrets that it has seen.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    known: Vec<String>,
    hash_blobs: bool,
}

/// A frame as it may be shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) kind: String,
    pub(super) id: Option<String>,
    /// The data, or why there is none.
    pub(super) data: Result<Map, String>,
    pub(super) size: usize,
    /// The payload, without secrets; nothing where it cannot be told what is in it.
    pub(super) payload: Option<Bytes>,
}

impl Redactor {
    pub(super) fn new(hash_blobs: bool) -> Self {
        Self { known: Vec::new(), hash_blobs }
    }

    /// Reads a payload and takes out what must not be seen.
    pub(super) fn frame(&mut self, payload: &Bytes) -> Shown {
        let size = payload.len();
        let unreadable = |text: String| {
            let (kind, id, data) = ("?".to_owned(), None, Err(text));
            Shown { kind, id, data, size, payload: None }
        };
        let envelope = match Envelope::peek(payload) {
            Ok(envelope) => envelope,
            Err(error) => return unreadable(error.to_string()),
        };
        let (kind, id) = (envelope.kind.unwrap_or("?").to_owned(), envelope.request_id.map(str::to_owned));
        match envelope.decode_data(payload, &Limits::default()) {
            Ok(data) => {
                let clean = self.clean(data.clone());
                let payload = if clean == data { payload.clone() } else { encode(&kind, id.as_deref(), &clean) };
                Shown { kind, id, data: Ok(clean), size, payload: Some(payload) }
            }
            Err(error) => Shown { kind, id, ..unreadable(error.to_string()) },
        }
    }

    fn clean(&mut self, mut data: Map) -> Map {
        if let Some(Value::Map(secrets)) = data.get_mut("secrets") {
            secrets.values_mut().for_each(|value| self.hide(value));
        }
        if let Some(token) = data.get_mut("token") {
            self.hide(token);
        }
        data.values_mut().for_each(|value| self.scrub(value));
        data
    }

    fn hide(&mut self, value: &mut Value) {
        if let Value::Str(text) = value
            && text.len() >= MIN_SECRET
            && text != HIDDEN
            && !self.known.contains(text)
        {
            self.known.push(text.clone());
        }
        if !value.is_nil() {
            *value = HIDDEN.into();
        }
    }

    /// Takes known secrets out of every text, and blobs out of everything where that is wanted.
    pub(super) fn scrub(&self, value: &mut Value) {
        match value {
            Value::Str(text) => {
                for secret in &self.known {
                    if text.contains(secret) {
                        *text = text.replace(secret, HIDDEN);
                    }
                }
            }
            Value::Bytes(bytes) if self.hash_blobs && bytes.len() >= MIN_BLOB => {
                *value = map! { "$sha256" => sha256_hex(bytes), "$size" => bytes.len() }.into();
            }
            Value::Bytes(bytes) => {
                // Bytes may be text too.
                let is_secret = |secret: &String| bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
                if self.known.iter().any(is_secret) {
                    *value = HIDDEN.into();
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.scrub(item)),
            Value::Map(map) => map.values_mut().for_each(|value| self.scrub(value)),
            Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
        }
    }
}

fn encode(kind: &str, id: Option<&str>, data: &Map) -> Bytes {
    millwork_protocol::Frame::message(kind, id, data).to_payload()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_wherever_it_turns_up() {
        let mut redactor = Redactor::new(false);
        let asked =
            encode("execute", Some("1"), &map! { "secrets" => map! { "KEY" => "hunter22" }, "fields" => map! {} });
        let shown = redactor.frame(&asked);
        assert_eq!(shown.data.as_ref().unwrap()["secrets"], Value::from(map! { "KEY" => "***" }));
        let answer = map! { "error" => "401 for hunter22", "raw" => Bytes::from_static(b"key=hunter22") };
        let shown = redactor.frame(&encode("error", Some("1"), &answer));
        assert_eq!(shown.data.unwrap(), map! { "error" => "401 for ***", "raw" => "***" });
        assert!(!shown.payload.unwrap().windows(8).any(|window| window == b"hunter22"));
    }

    #[test]
    fn what_has_no_secret_stays_as_it_was() {
        let payload = encode("result", Some("1"), &map! { "blobs" => map! { "a" => Bytes::from(vec![1; 100]) } });
        assert_eq!(Redactor::new(false).frame(&payload).payload.unwrap(), payload);
        let hashed = Redactor::new(true).frame(&payload).data.unwrap();
        assert_eq!(hashed["blobs"].get("a").unwrap().get("$size"), Some(&Value::Int(100)));
    }
}

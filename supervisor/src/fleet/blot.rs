//! Error frames without the secrets in them: a worker of somebody else may quote the one that it failed with. So may the load
//! errors of its inventory.

use std::borrow::Cow;

use millwork_protocol::{Bytes, Envelope, Frame, Limits, Map, Value};

use crate::process::Secrets;

/// The frame as it came, unless it is an error that holds a secret.
pub(super) fn blotted(payload: Bytes, secrets: &Secrets) -> Bytes {
    if secrets.is_empty() {
        return payload;
    }
    let Ok(envelope) = Envelope::peek(&payload) else { return payload };
    let Some(kind @ ("error" | "discover")) = envelope.kind else { return payload };
    if matches!(secrets.redact(&payload), Cow::Borrowed(_)) {
        return payload;
    }
    // What cannot be read is answered with the supervisor's own words.
    let Ok(data) = envelope.decode_data(&payload, &Limits::default()) else { return payload };
    let data = blot_map(data, secrets);
    Frame::message(kind, envelope.request_id, &data).to_payload()
}

fn blot(value: Value, secrets: &Secrets) -> Value {
    match value {
        Value::Str(text) => blot_text(&text, secrets).into(),
        Value::Bytes(bytes) => Bytes::from(secrets.redact(&bytes).into_owned()).into(),
        Value::List(items) => Value::List(items.into_iter().map(|item| blot(item, secrets)).collect()),
        Value::Map(map) => Value::Map(blot_map(map, secrets)),
        other => other,
    }
}

fn blot_map(map: Map, secrets: &Secrets) -> Map {
    map.into_iter().map(|(key, value)| (blot_text(&key, secrets), blot(value, secrets))).collect()
}

fn blot_text(text: &str, secrets: &Secrets) -> String {
    String::from_utf8_lossy(&secrets.redact(text.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use millwork_protocol::map;

    use super::*;

    #[test]
    fn only_errors_with_a_secret_are_changed() {
        let secrets = Secrets::default();
        let said = |kind: &str| {
            let data = map! { "error" => "401 for ?key=canary-123", "details" => vec![map! { "url" => "canary-123" }] };
            Frame::message(kind, Some("a"), &data).to_payload()
        };
        assert_eq!(blotted(said("error"), &secrets), said("error"));
        secrets.learn("canary-123");
        assert_eq!(blotted(said("result"), &secrets), said("result"));
        let plain = Frame::message("error", Some("a"), &map! { "error" => "no" }).to_payload();
        assert_eq!(blotted(plain.clone(), &secrets), plain);
        let data = map! { "error" => "401 for ?key=***", "details" => vec![map! { "url" => "***" }] };
        assert_eq!(blotted(said("error"), &secrets), Frame::message("error", Some("a"), &data).to_payload());
    }
}

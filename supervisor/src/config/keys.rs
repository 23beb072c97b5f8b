//! The names of all settings and variables: what can be set, from where, and what was probably meant. How the layers lie over
//! each other is in [`layers`](super::layers).

use millwork_package::find::PACKAGES_ENV;
use millwork_package::nearest;
use millwork_protocol::limits::{BLOB_CHUNK_ENV, MAX_FRAME_ENV};
use toml::{Table, Value};

/// The settings that a variable can hold, `MILLWORK_` and the name in capitals with `_` for the point.
pub(super) const ENVIRONMENT: [&str; 33] = [
    "max_in_flight",
    "max_queued",
    "max_queued_bytes",
    "request_timeout_ms",
    "cancel_grace_ms",
    "kill_grace_ms",
    "ready_timeout_ms",
    "handshake_timeout_ms",
    "shutdown_grace_ms",
    "health_interval_ms",
    "health_timeout_ms",
    "events",
    "metrics",
    "otlp",
    "watch",
    "restart.backoff_ms",
    "restart.max_backoff_ms",
    "restart.max_crashes",
    "restart.open_ms",
    "restart.stable_ms",
    "stock.test_nodes",
    "stock.namespaces",
    "stock.threads",
    "stock.workspace",
    "stock.allow_path",
    "stock.models",
    "stock.limits",
    "stock.env_allow",
    "stock.secrets",
    "stock.temp",
    "stock.sandbox",
    "stock.sandbox_read",
    "stock.sandbox_write",
];

/// Variables that workers read themselves, and the settings that they are too.
pub(super) const ALIASES: [(&str, &str); 3] = [
    ("MILLWORK_THREADS", "stock.threads"),
    ("MILLWORK_MODELS", "stock.models"),
    ("NODETOOL_WORKER_NAMESPACES", "stock.namespaces"),
];

/// Variables that are no settings: of commands, and of workers.
pub(super) const OTHERS: [&str; 10] = [
    "MILLWORK_CONFIG",
    "MILLWORK_LOG",
    "MILLWORK_LOG_FORMAT",
    "MILLWORK_WORKSPACE",
    PACKAGES_ENV,
    "MILLWORK_GPU",
    "MILLWORK_MODEL_CACHE_MIB",
    "NODETOOL_WORKER_JOB_TTL_SECONDS",
    MAX_FRAME_ENV,
    BLOB_CHUNK_ENV,
];

/// Keys of a `[[worker]]`, for suggestions.
pub(super) const WORKER_KEYS: [&str; 19] = [
    "name",
    "command",
    "env",
    "cwd",
    "instances",
    "max_in_flight",
    "limits",
    "env_allow",
    "secrets",
    "temp",
    "sandbox",
    "sandbox_read",
    "sandbox_write",
    "idle_stop_ms",
    "recycle",
    "pool",
    "labels",
    "health_while_busy",
    "retry_idempotent",
];

/// Keys of a `[[package]]`: those of a worker but its command, and two of its own.
pub(super) fn package_keys() -> Vec<&'static str> {
    ["path", "watch"].into_iter().chain(WORKER_KEYS.into_iter().filter(|key| *key != "command")).collect()
}

/// The variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("MILLWORK_{}", key.to_uppercase().replace('.', "_"))
}

/// A variable that is almost one of ours. Others that begin like them may be somebody else's.
pub(super) fn mistyped(name: &str) -> Option<String> {
    let own = name.strip_prefix("MILLWORK_")?;
    let settings: Vec<String> = ENVIRONMENT.iter().map(|key| variable(key)).collect();
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    let known: Vec<&str> = settings
        .iter()
        .map(String::as_str)
        .chain(aliases)
        .chain(OTHERS)
        .filter_map(|n| n.strip_prefix("MILLWORK_"))
        .collect();
    if known.contains(&own) {
        return None;
    }
    let meant = nearest(own, known)?;
    Some(format!("the variable {name} means nothing here: did you mean MILLWORK_{meant}?"))
}

pub(super) fn no_size(name: &str, text: &str) -> Option<String> {
    let is_size = text.trim().parse::<usize>().is_ok_and(|bytes| bytes > 0);
    (!is_size).then(|| format!("{name} is {text:?}, which is no number of bytes: the default is used"))
}

/// A variable's text as the type that the setting has; left as text where it is not of that type, for the error to name.
pub(super) fn parse(key: &str, text: &str) -> Value {
    let text = text.trim();
    match key {
        "stock.namespaces" | "stock.env_allow" | "stock.secrets" => {
            Value::Array(text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(Value::from).collect())
        }
        "stock.workspace" => Value::from(text),
        // As in `PATH`.
        "stock.allow_path" | "stock.models" | "stock.sandbox_read" | "stock.sandbox_write" => {
            Value::Array(text.split(':').filter(|s| !s.is_empty()).map(Value::from).collect())
        }
        // As in a file: `{ memory_mb = 512 }`.
        "stock.limits" => {
            format!("it = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("it")).unwrap_or(text.into())
        }
        "watch" | "stock.test_nodes" | "stock.temp" | "stock.sandbox" => match text {
            "1" | "true" | "yes" => Value::Boolean(true),
            "0" | "false" | "no" | "" => Value::Boolean(false),
            other => Value::from(other),
        },
        _ => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::Integer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn variables_that_are_almost_ours_are_told() {
        let text = mistyped("MILLWORK_THREDS").unwrap();
        assert!(text.ends_with("did you mean MILLWORK_THREADS?"), "{text}");
        assert!(mistyped("MILLWORK_MAX_QUEUE").unwrap().ends_with("MILLWORK_MAX_QUEUED?"));
        for fine in ["MILLWORK_GPU", "MILLWORK_STOCK_THREADS", "MILLWORK_SOMETHING_ELSE_ALTOGETHER", "PATH"] {
            assert_eq!(mistyped(fine), None);
        }
        assert!(no_size(MAX_FRAME_ENV, "abc").is_some() && no_size(MAX_FRAME_ENV, "0").is_some());
        assert_eq!(no_size(MAX_FRAME_ENV, "1048576"), None);
    }

    #[test]
    fn every_setting_is_known_by_name() {
        let table = Table::try_from(Config::default()).unwrap();
        let mut keys = Vec::new();
        for (key, value) in &table {
            match value {
                Value::Table(inner) => keys.extend(inner.keys().map(|k| format!("{key}.{k}"))),
                Value::Array(_) => {}
                _ => keys.push(key.clone()),
            }
        }
        keys.sort();
        let mut known: Vec<String> = ENVIRONMENT.iter().map(|k| (*k).to_owned()).collect();
        known.sort();
        assert_eq!(keys, known);
    }
}

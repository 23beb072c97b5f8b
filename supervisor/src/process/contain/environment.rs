//! Which variables a worker is given. A plain function; reading and setting them is the caller's.

use std::collections::BTreeSet;
use std::ffi::OsString;

use crate::config::WorkerConfig;

/// What every worker is given whatever `env_allow` says: where programs are, and what Millwork's own settings are.
const ALWAYS: [&str; 10] = [
    "PATH",
    "MILLWORK_GPU",
    "MILLWORK_LOG",
    "MILLWORK_LOG_FORMAT",
    "MILLWORK_MODEL_CACHE_MIB",
    "MILLWORK_MODELS",
    "MILLWORK_THREADS",
    "MILLWORK_WORKSPACE",
    "NODETOOL_BRIDGE_*",
    "NODETOOL_WORKER_*",
];

/// What a stock worker is given besides: where the user's cache of the hub is, and which hub. Not the token, which is a secret.
const HUB: [&str; 7] =
    ["HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN_PATH"];

/// The allowlist of the stock worker's namespaces: a folder of nodes, which runs in the same program, has others.
const ALLOWLIST: &str = "NODETOOL_WORKER_NAMESPACES";

/// The secrets that some worker declares: no other is given them.
pub(crate) fn declared<'a>(specs: impl IntoIterator<Item = &'a WorkerConfig>) -> BTreeSet<String> {
    specs.into_iter().flat_map(|spec| spec.secrets.iter().cloned()).collect()
}

/// The supervisor's variables that this worker is given. Its own `env` comes on top.
pub(super) fn passed<'a>(
    spec: &'a WorkerConfig,
    declared: &'a BTreeSet<String>,
    all: impl Iterator<Item = (OsString, OsString)> + 'a,
) -> impl Iterator<Item = (OsString, OsString)> + 'a {
    all.filter(move |(name, _)| {
        // A name that is no text cannot be written into a configuration.
        let name = name.to_str().unwrap_or_default();
        if name == ALLOWLIST && spec.package.as_ref().is_some_and(|package| package.is_folder) {
            return false;
        }
        if declared.contains(name) {
            return spec.secrets.iter().any(|secret| secret == name);
        }
        let hub: &[&str] = if spec.is_stock() { &HUB } else { &[] };
        let mut allowed = spec.env_allow.iter().map(String::as_str).chain(ALWAYS).chain(hub.iter().copied());
        spec.env_allow.is_empty() || allowed.any(|pattern| matches(pattern, name))
    })
}

/// Whether a name is what a pattern stands for: itself, or whatever begins so where it ends in `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(spec: &WorkerConfig, declared: &[&str]) -> String {
        let declared = declared.iter().map(|name| (*name).to_owned()).collect();
        let all = ["PATH", "HOME", "HF_HOME", "HF_TOKEN", "HFX", "OPENAI_API_KEY", "NODETOOL_WORKER_X"];
        let all = all.into_iter().map(|name| (name.into(), "value".into()));
        passed(spec, &declared, all).map(|(name, _)| name.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_secret_reaches_only_those_who_declare_it() {
        let mut spec = WorkerConfig::new("a", ["x"]);
        assert!(names(&spec, &["OPENAI_API_KEY"]).ends_with("HFX NODETOOL_WORKER_X"));
        spec.env_allow = vec!["*".to_owned()];
        assert!(!names(&spec, &["OPENAI_API_KEY"]).contains("OPENAI"));
        spec.secrets = vec!["OPENAI_API_KEY".to_owned()];
        assert!(names(&spec, &["OPENAI_API_KEY"]).contains("OPENAI"));
    }

    #[test]
    fn with_a_list_only_what_stands_in_it_and_what_is_needed() {
        let mut spec = WorkerConfig::new("a", ["x"]);
        spec.env_allow = vec!["HF_*".to_owned()];
        assert_eq!(names(&spec, &["HF_TOKEN"]), "PATH HF_HOME NODETOOL_WORKER_X");
        spec.secrets = vec!["HF_TOKEN".to_owned()];
        assert_eq!(names(&spec, &["HF_TOKEN"]), "PATH HF_HOME HF_TOKEN NODETOOL_WORKER_X");
    }

    #[test]
    fn a_stock_worker_finds_the_hubs_cache_and_no_token() {
        let mut spec = WorkerConfig::new("a", ["/x/millwork", "worker"]);
        spec.env_allow = vec!["NOTHING".to_owned()];
        assert_eq!(names(&spec, &[]), "PATH HOME HF_HOME NODETOOL_WORKER_X");
    }
}

//! What bounds a worker: the limits, and whether a worker's settings about its environment and sandbox can be used. How
//! they are put in force is not known here.

use serde::{Deserialize, Serialize};

use super::WorkerConfig;

/// With fewer descriptors a worker does not even start.
const FEWEST_FILES: u64 = 16;

/// How much a worker may take. What is not given is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Memory in use by the worker and everything that it has started, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// Addresses that one process of it may have, used or not, in MiB. GPU drivers and mapped models take many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_space_mb: Option<u64>,
    /// CPU time of one process of it in all, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Open descriptors of one process of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Processes and threads of the worker and everything that it has started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Whether a crash may write its memory, secrets and all, to a file.
    pub core_dumps: bool,
}

/// The settings in a `limits` table, for suggestions.
pub(super) const LIMIT_KEYS: [&str; 6] =
    ["memory_mb", "address_space_mb", "cpu_seconds", "open_files", "processes", "core_dumps"];

impl WorkerConfig {
    /// What of the settings here cannot work, and what would.
    pub(super) fn containment_problem(&self) -> Option<String> {
        let limits = &self.limits;
        let positive = [
            ("memory_mb", limits.memory_mb),
            ("address_space_mb", limits.address_space_mb),
            ("cpu_seconds", limits.cpu_seconds),
            ("processes", limits.processes),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == Some(0)) {
            return Some(format!("limits.{key} must be 1 or more; leave it out for no limit"));
        }
        if limits.open_files.is_some_and(|most| most < FEWEST_FILES) {
            return Some(format!("limits.open_files must be {FEWEST_FILES} or more, or nothing can start"));
        }
        let is_pattern =
            |name: &String| !name.is_empty() && !name.contains('=') && !name.trim_end_matches('*').contains('*');
        if let Some(bad) = self.env_allow.iter().find(|name| !is_pattern(name) || name.ends_with("**")) {
            return Some(format!(
                "env_allow: {bad:?} is no variable's name, nor the beginning of one with a * behind it"
            ));
        }
        if let Some(bad) = self.secrets.iter().find(|name| name.is_empty() || name.contains(['=', '*'])) {
            return Some(format!("secrets: {bad:?} is no variable's name; each secret is named in full"));
        }
        let has_paths = !self.sandbox_read.is_empty() || !self.sandbox_write.is_empty();
        (has_paths && !self.sandbox)
            .then(|| "sandbox_read and sandbox_write have no effect without sandbox = true".to_owned())
    }

    /// The folders that a stock worker's command gives it to change.
    pub(crate) fn stock_folders(&self) -> impl Iterator<Item = &str> {
        self.folders_of(&["--workspace", "--allow-path"])
    }

    /// The folders of models that a stock worker's command names.
    pub(crate) fn model_folders(&self) -> impl Iterator<Item = &str> {
        self.folders_of(&["--models"])
    }

    fn folders_of(&self, options: &'static [&str]) -> impl Iterator<Item = &str> {
        let words: &[String] = if self.is_stock() { &self.command } else { &[] };
        let pairs = words.windows(2).filter_map(|pair| match pair {
            [option, folder] if options.contains(&option.as_str()) => Some(folder.as_str()),
            _ => None,
        });
        let joined = words.iter().filter_map(|word| {
            let (option, folder) = word.split_once('=')?;
            options.contains(&option).then_some(folder)
        });
        pairs.chain(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut WorkerConfig)) -> String {
        let mut worker = WorkerConfig::new("a", ["x"]);
        change(&mut worker);
        worker.containment_problem().unwrap_or_default()
    }

    #[test]
    fn what_cannot_work_is_named_with_what_would() {
        assert_eq!(problem(|_| {}), "");
        assert!(problem(|w| w.limits.memory_mb = Some(0)).starts_with("limits.memory_mb must be 1 or more"));
        assert!(problem(|w| w.limits.open_files = Some(3)).contains("16 or more"));
        assert!(problem(|w| w.env_allow = vec!["A*B".into()]).contains("\"A*B\""));
        assert!(problem(|w| w.env_allow = vec!["A**".into()]).contains("\"A**\""));
        assert!(problem(|w| w.secrets = vec!["HF_*".into()]).contains("in full"));
        assert!(problem(|w| w.sandbox_read = vec!["/x".into()]).contains("sandbox = true"));
        assert_eq!(problem(|w| w.env_allow = vec!["HF_*".into(), "*".into(), "PATH".into()]), "");
    }

    #[test]
    fn a_stock_worker_tells_its_folders() {
        let words = ["/x/millwork", "worker", "--workspace", "w", "--allow-path=a", "--allow-path", "b", "--models=m"];
        assert_eq!(WorkerConfig::new("a", words).stock_folders().collect::<Vec<_>>(), ["w", "b", "a"]);
        assert_eq!(WorkerConfig::new("a", words).model_folders().collect::<Vec<_>>(), ["m"]);
        assert_eq!(WorkerConfig::new("a", ["sh", "--workspace", "w"]).stock_folders().count(), 0);
    }
}

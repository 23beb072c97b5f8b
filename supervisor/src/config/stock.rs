//! The worker inside this executable: its settings, and how its command says them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{LimitsConfig, WorkerConfig};

/// The worker inside this executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StockConfig {
    /// Whether it has the `test.*` nodes.
    pub test_nodes: bool,
    /// Only these namespaces, where the list is not empty.
    pub namespaces: Vec<String>,
    /// Threads for compute; where it is 0, one a core and at least 4.
    pub threads: usize,
    /// The folder for files that requests name; where it is empty, the worker's current one.
    pub workspace: PathBuf,
    /// Other folders that requests may reach.
    pub allow_path: Vec<PathBuf>,
    /// Folders with models for the provider `local`, beside the user's cache of the hub.
    pub models: Vec<PathBuf>,
    /// As [`WorkerConfig::limits`].
    pub limits: LimitsConfig,
    /// As [`WorkerConfig::env_allow`].
    pub env_allow: Vec<String>,
    /// As [`WorkerConfig::secrets`].
    pub secrets: Vec<String>,
    /// As [`WorkerConfig::temp`].
    pub temp: bool,
    /// As [`WorkerConfig::sandbox`].
    pub sandbox: bool,
    /// As [`WorkerConfig::sandbox_read`].
    pub sandbox_read: Vec<PathBuf>,
    /// As [`WorkerConfig::sandbox_write`].
    pub sandbox_write: Vec<PathBuf>,
}

impl Default for StockConfig {
    fn default() -> Self {
        Self {
            test_nodes: false,
            namespaces: Vec::new(),
            threads: 0,
            workspace: PathBuf::new(),
            allow_path: Vec::new(),
            models: Vec::new(),
            limits: LimitsConfig::default(),
            env_allow: Vec::new(),
            secrets: Vec::new(),
            temp: true,
            sandbox: false,
            sandbox_read: Vec::new(),
            sandbox_write: Vec::new(),
        }
    }
}

/// Gives an option of a command a value, whatever it had.
fn replace(command: &mut Vec<String>, option: &str, value: String) {
    if let Some(at) = command.iter().position(|word| word == option) {
        command.drain(at..command.len().min(at + 2));
    }
    command.retain(|word| word.strip_prefix(option).is_none_or(|rest| !rest.starts_with('=')));
    command.extend([option.to_owned(), value]);
}

impl StockConfig {
    /// The worker, where `program` is this executable.
    pub(super) fn worker(&self, program: &str) -> WorkerConfig {
        WorkerConfig {
            limits: self.limits.clone(),
            env_allow: self.env_allow.clone(),
            secrets: self.secrets.clone(),
            temp: self.temp,
            sandbox: self.sandbox,
            sandbox_read: self.sandbox_read.clone(),
            sandbox_write: self.sandbox_write.clone(),
            ..WorkerConfig::new("stock", self.command(program))
        }
    }

    /// The worker of a folder of nodes: as the stock worker is, without its nodes and what it alone is given.
    pub(super) fn package(&self, program: &str, folder: &Path, settings: &[String]) -> WorkerConfig {
        let own =
            Self { test_nodes: false, namespaces: Vec::new(), models: Vec::new(), secrets: Vec::new(), ..self.clone() };
        let mut worker = own.worker(program);
        let own_folder = folder.to_string_lossy().into_owned();
        worker.command.extend(["--no-stock".to_owned(), "--package".to_owned(), own_folder]);
        if worker.sandbox {
            worker.sandbox_read.push(folder.to_owned());
        }
        if !worker.env_allow.is_empty() {
            worker.env_allow.extend(settings.iter().cloned());
        }
        worker
    }

    /// The worker as a command: `program worker --stdio` and the options that are set.
    #[must_use]
    pub fn command(&self, program: &str) -> Vec<String> {
        let mut command = vec![program.to_owned(), "worker".to_owned(), "--stdio".to_owned()];
        self.tell(&mut command);
        command
    }

    /// Adds the options that are set to a worker's command, in the place of those that it has.
    pub(super) fn tell(&self, command: &mut Vec<String>) {
        if self.test_nodes && !command.iter().any(|word| word == "--test-nodes") {
            command.push("--test-nodes".to_owned());
        }
        if !self.namespaces.is_empty() {
            replace(command, "--namespaces", self.namespaces.join(","));
        }
        if self.threads > 0 {
            replace(command, "--threads", self.threads.to_string());
        }
        let folder = |path: &PathBuf| path.to_string_lossy().into_owned();
        if !self.workspace.as_os_str().is_empty() {
            replace(command, "--workspace", folder(&self.workspace));
        }
        command.extend(self.allow_path.iter().flat_map(|path| ["--allow-path".to_owned(), folder(path)]));
        command.extend(self.models.iter().flat_map(|path| ["--models".to_owned(), folder(path)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stock_worker_is_told_what_was_asked_for() {
        assert_eq!(StockConfig::default().command("mw"), ["mw", "worker", "--stdio"]);
        let stock = StockConfig {
            test_nodes: true,
            namespaces: vec!["a".into(), "b".into()],
            threads: 3,
            workspace: "w".into(),
            allow_path: vec!["x".into(), "y".into()],
            models: vec!["m".into()],
            ..StockConfig::default()
        };
        let all = "mw worker --stdio --test-nodes --namespaces a,b --threads 3 --workspace w --allow-path x --allow-path y --models m";
        assert_eq!(stock.command("mw").join(" "), all);
    }

    #[test]
    fn options_take_the_place_of_those_that_a_command_has() {
        let mut command = ["mw", "worker", "--threads", "1", "--namespaces=x", "--stdio"].map(str::to_owned).to_vec();
        let stock =
            StockConfig { test_nodes: true, namespaces: vec!["a".into()], threads: 3, ..StockConfig::default() };
        stock.tell(&mut command);
        assert_eq!(command, ["mw", "worker", "--stdio", "--test-nodes", "--namespaces", "a", "--threads", "3"]);
    }
}

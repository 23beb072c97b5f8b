//! The flags that say which workers to use, shared by every command that starts some.

use std::path::PathBuf;

use millwork::config::{Config, Loaded, Overrides};
use millwork::{Client, Fleet};

use super::failure::{Failure, Outcome};
use super::log;

/// Which workers to start.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Workers")]
pub(crate) struct Args {
    /// Read this file instead of millwork.toml here or in the user's configuration folder.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use this worker instead of the configured ones, for example "python -m nodetool.worker --stdio". Repeat it for more.
    #[arg(long, value_name = "COMMAND")]
    worker: Vec<String>,
    /// Add nodes: a folder with a package.toml, a folder of such folders, or an archive of one. Repeat it for more.
    #[arg(long, value_name = "PATH")]
    package: Vec<PathBuf>,
    /// Pick up changed files of packages while it runs: the old version serves until the new one has loaded. `status` shows its
    /// table again every second.
    #[arg(long)]
    watch: bool,
    /// Let the stock worker have the test.* nodes.
    #[arg(long)]
    test_nodes: bool,
    /// Only these namespaces of the stock worker, such as image,text.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Threads that the stock worker computes with; by default one a core, at least 4.
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
    /// The folder for files that nodes of the stock worker name; the current one by default.
    #[arg(long, value_name = "DIR")]
    workspace: Option<String>,
    /// Another folder that nodes of the stock worker may reach. Repeat it for more.
    #[arg(long, value_name = "DIR")]
    allow_path: Vec<String>,
    /// A folder with models, beside the user's cache of the hub. Repeat it for more.
    #[arg(long, value_name = "DIR")]
    models: Vec<String>,
    /// Settings that flags of one command alone stand for.
    #[arg(skip)]
    more: Vec<(String, String)>,
}

impl Args {
    /// Sets one value, as a flag would.
    pub(crate) fn set(&mut self, key: &str, value: Option<&str>) {
        self.more.extend(value.map(|value| (key.to_owned(), value.to_owned())));
    }

    /// Whether it is to follow changes.
    pub(crate) fn is_watched(&self) -> bool {
        self.watch
    }

    /// The files that it is read from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        Overrides { file: self.config.clone(), ..Overrides::default() }.files()
    }

    /// The whole configuration, these flags over everything else.
    pub(crate) fn load(&self) -> Outcome<Loaded> {
        let mut overrides = Overrides { file: self.config.clone(), ..Overrides::default() };
        if self.test_nodes {
            overrides = overrides.set("stock.test_nodes", true);
        }
        if !self.namespaces.is_empty() {
            overrides = overrides.set("stock.namespaces", self.namespaces.clone());
        }
        if let Some(threads) = self.threads {
            overrides = overrides.set("stock.threads", threads);
        }
        if let Some(folder) = &self.workspace {
            overrides = overrides.set("stock.workspace", folder.as_str());
        }
        if !self.allow_path.is_empty() {
            overrides = overrides.set("stock.allow_path", self.allow_path.clone());
        }
        if !self.models.is_empty() {
            overrides = overrides.set("stock.models", self.models.clone());
        }
        if self.watch {
            overrides = overrides.set("watch", true);
        }
        overrides.packages.clone_from(&self.package);
        overrides.settings.extend(self.more.iter().map(|(key, value)| (key.clone(), value.as_str().into())));
        if !self.worker.is_empty() {
            overrides = overrides.set("worker", self.workers()?);
        }
        let loaded = Config::load(&overrides)?;
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        for problem in self.package.iter().filter_map(|path| millwork_package::find::packages(path).err()) {
            tracing::warn!("--package {problem}");
        }
        Ok(loaded)
    }

    /// The configuration to start with: its workers log as much as the command was asked to.
    pub(crate) fn config(&self) -> Outcome<Config> {
        let mut config = self.load()?.config;
        if let Some(level) = log::asked_for() {
            config.worker_env.insert("MILLWORK_LOG".to_owned(), level.to_owned());
        }
        Ok(config)
    }

    /// Starts the fleet, without waiting for it.
    pub(crate) fn start(&self) -> Outcome<(Fleet, Client)> {
        let fleet = Fleet::start(self.config()?)?;
        let client = fleet.client();
        Ok((fleet, client))
    }

    fn workers(&self) -> Outcome<Vec<toml::Value>> {
        let worker = |(index, text): (usize, &String)| {
            let command = words(text)?;
            let name = if self.worker.len() == 1 { "worker".to_owned() } else { format!("worker{}", index + 1) };
            Ok(toml::Value::Table(toml::Table::from_iter([
                ("name".to_owned(), name.into()),
                ("command".to_owned(), command.into()),
            ])))
        };
        self.worker.iter().enumerate().map(worker).collect()
    }
}

/// A command as a shell would split it.
pub(crate) fn words(text: &str) -> Outcome<Vec<String>> {
    match shlex::split(text) {
        Some(words) if !words.is_empty() => Ok(words),
        Some(_) => Err(Failure::usage("a command is empty")),
        None => Err(Failure::usage(format!("a quote is not closed in: {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_settings() {
        let args = Args {
            worker: vec!["python -m 'a b'".to_owned(), "millwork worker".to_owned()],
            test_nodes: true,
            threads: Some(3),
            workspace: Some("work".to_owned()),
            allow_path: vec!["/files".to_owned()],
            models: vec!["/models".to_owned()],
            ..Args::default()
        };
        let config = args.load().unwrap().config;
        assert_eq!((config.stock.test_nodes, config.stock.threads), (true, 3));
        assert_eq!((config.stock.workspace, config.stock.allow_path), ("work".into(), vec!["/files".into()]));
        assert_eq!(config.stock.models, [std::path::Path::new("/models")]);
        let commands: Vec<_> = config.workers.iter().map(|w| (w.name.as_str(), w.command.join("|"))).collect();
        assert_eq!(
            commands,
            [
                ("worker1", "python|-m|a b".to_owned()),
                (
                    "worker2",
                    "millwork|worker|--test-nodes|--threads|3|--workspace|work|--allow-path|/files|--models|/models"
                        .to_owned()
                ),
            ]
        );
    }

    #[test]
    fn an_open_quote_is_named() {
        assert!(words("python 'x").is_err());
        assert!(words("  ").is_err());
    }
}

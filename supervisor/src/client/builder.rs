//! Putting a fleet together, in the words of an application.

use std::fmt;
use std::path::PathBuf;

use super::changes::Sink;
use super::{Fleet, WorkerChange};
use crate::config::{Config, Overrides, PackageConfig, WorkerConfig};
use crate::error::Error;

/// A fleet that has not started. Made by [`Fleet::builder`].
///
/// Where no worker is named, not here and not in a configuration, the fleet is one stock worker.
#[derive(Default)]
#[must_use = "nothing starts before `start`"]
pub struct Builder {
    source: Source,
    workers: Vec<WorkerConfig>,
    packages: Vec<PackageConfig>,
    watch: bool,
    stock: bool,
    sink: Option<Sink>,
}

/// Where settings come from.
#[derive(Debug, Default)]
enum Source {
    #[default]
    Defaults,
    Given(Box<Config>),
    Layers(Overrides),
}

impl Builder {
    /// Adds a worker: any program that speaks the protocol.
    pub fn worker(mut self, worker: WorkerConfig) -> Self {
        self.workers.push(worker);
        self
    }

    /// Adds the stock worker: the program `millwork` beside this executable, or else in `PATH`.
    pub fn stock(mut self) -> Self {
        self.stock = true;
        self
    }

    /// Adds packages: a folder with a package.toml, a folder of such folders, or an archive. Each is a worker beside the others.
    pub fn package(mut self, path: impl Into<PathBuf>) -> Self {
        self.packages.push(PackageConfig::new(path));
        self
    }

    /// Picks up what changes in the files of packages, without losing a request.
    pub fn watch(mut self) -> Self {
        self.watch = true;
        self
    }

    /// Takes limits, and workers, from here.
    pub fn config(mut self, config: Config) -> Self {
        self.source = Source::Given(Box::new(config));
        self
    }

    /// Takes settings from this file, and from `MILLWORK_…` variables over it.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.source = Source::Layers(Overrides { file: Some(path.into()), ..Overrides::default() });
        self
    }

    /// Takes settings as the command `millwork` does: the user's file, that of the working folder, variables.
    pub fn configured(mut self) -> Self {
        self.source = Source::Layers(Overrides::default());
        self
    }

    /// Is called with each change of a worker's state, from the first start on, on a thread of its own. It may take its
    /// time: nothing waits for it, and only where it lags far behind does it miss the oldest.
    pub fn on_change(mut self, sink: impl FnMut(WorkerChange) + Send + 'static) -> Self {
        self.sink = Some(Box::new(sink));
        self
    }

    /// Starts the fleet on a thread of its own and returns at once; [`Client::ready`](super::Client::ready) waits for the
    /// first worker.
    ///
    /// # Errors
    /// A configuration that cannot be used, or a system that gives no thread or pipe.
    pub fn start(self) -> Result<Fleet, Error> {
        let mut config = match self.source {
            Source::Defaults => Config::default(),
            Source::Given(config) => *config,
            Source::Layers(overrides) => {
                let loaded = Config::load(&overrides)?;
                loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                loaded.config
            }
        };
        config.workers.extend(self.workers);
        // A configuration without workers means this executable to the command, which is its own worker. No other is.
        let stock = stock_program();
        if self.stock || config.workers.is_empty() {
            config.workers.push(WorkerConfig::new("stock", config.stock.command(&stock)));
        }
        config.program.get_or_insert(stock.into());
        config.packages.splice(..0, self.packages);
        config.watch |= self.watch;
        Fleet::launch(config, self.sink)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, workers, packages, watch, stock, sink } = self;
        let mut debug = f.debug_struct("Builder");
        debug.field("source", source).field("workers", workers).field("stock", stock);
        debug.field("packages", packages).field("watch", watch);
        debug.field("sink", &sink.is_some()).finish()
    }
}

/// Applications bring the program along in their own folder; elsewhere it is installed.
fn stock_program() -> String {
    let name = format!("millwork{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().map(|this| this.with_file_name(&name));
    // An application that is called so itself would start itself.
    let beside = beside.filter(|path| path.is_file() && std::env::current_exe().is_ok_and(|this| this != *path));
    beside.map_or(name, |path| path.to_string_lossy().into_owned())
}

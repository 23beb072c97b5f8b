//! The program that a worker is: its packages, its arguments, its log. The loop that serves is in `serve`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::OsStringValueParser;
use clap::error::ErrorKind as ClapError;
use clap::{Parser, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{Package, serve};

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Serves nodes over the bridge protocol: frames on standard input and output, logs on standard error.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Serve on standard input and output; the only transport there is, and the default
    #[arg(long)]
    stdio: bool,

    /// Taken and ignored, so that a host made for `python -m nodetool.worker` starts this worker
    #[arg(short = 'm', value_name = "MODULE", hide = true)]
    module: Option<String>,

    /// Serve only these namespaces: first segments of node types, separated by commas
    #[arg(long, env = "NODETOOL_WORKER_NAMESPACES", value_delimiter = ',', value_name = "A,B")]
    pub(crate) namespaces: Vec<String>,

    /// Compute threads [default: the cores, at least 4]
    #[arg(long, env = "MILLWORK_THREADS", value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// Serve the nodes under `test.` too, if this worker has them
    #[arg(long)]
    test_nodes: bool,

    /// Serve this package too: a folder with a package.toml, or an archive of one; may be given again
    #[arg(long, value_name = "PATH")]
    package: Vec<PathBuf>,

    /// Serve nothing but the packages of --package
    #[arg(long, requires = "package")]
    no_stock: bool,

    /// A folder with models for the provider `local`; may be given again, or as a list in the variable
    // Of a variable that is empty, or has an empty part, nothing is meant.
    #[arg(long, env = "MILLWORK_MODELS", value_delimiter = ':', value_name = "DIR", value_parser = OsStringValueParser::new())]
    models: Vec<OsString>,

    /// The folder for files that requests name [default: the current one]
    #[arg(long, env = "MILLWORK_WORKSPACE", value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,

    /// Another folder that requests may reach; may be given again
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_path: Vec<PathBuf>,

    /// How long requests in flight may go on after the host has closed the connection, in seconds
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    grace: f64,

    /// What is logged: error, warn, info, debug, trace, or targets such as `millwork_worker=debug`
    #[arg(long, env = "MILLWORK_LOG", default_value = "info", value_name = "LEVEL")]
    log: String,

    /// Log more: the same as `--log debug`
    #[arg(short, long)]
    verbose: bool,

    /// How the log is written
    #[arg(long, env = "MILLWORK_LOG_FORMAT", default_value = "human", value_name = "FORMAT")]
    log_format: LogFormat,
}

impl Args {
    /// How long requests may go on after the end of input.
    pub(crate) fn grace(&self) -> Duration {
        Duration::try_from_secs_f64(self.grace).unwrap_or(Duration::from_secs(1))
    }

    fn models(&self) -> Vec<PathBuf> {
        self.models.iter().filter(|folder| !folder.is_empty()).map(PathBuf::from).collect()
    }
}

impl Args {
    /// Finds the slips that would go unnoticed until a request needs what they are about.
    fn check(&self) -> Result<(), String> {
        let workspace = self.workspace.iter().map(|folder| ("--workspace", folder));
        let folders = workspace.chain(self.allow_path.iter().map(|folder| ("--allow-path", folder)));
        for (option, folder) in folders {
            if !folder.is_dir() {
                return Err(format!("{option} {}: there is no such folder", folder.display()));
            }
        }
        // A bare word is taken as the name of a target, and would switch everything else off.
        let is_odd = |word: &&str| {
            let is_target = word.contains('=') || word.starts_with("millwork");
            !word.is_empty() && !is_target && word.parse::<LevelFilter>().is_err()
        };
        match self.log.split(',').map(str::trim).find(is_odd) {
            None => Ok(()),
            Some(word) => Err(format!("--log: {word:?} is none of error, warn, info, debug, trace and off")),
        }
    }
}

/// What the arguments say that concerns which packages there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `--test-nodes`.
    pub test_nodes: bool,
    /// `--models`: folders with models.
    pub models: Vec<PathBuf>,
}

type MakePackages = dyn FnOnce(&Options) -> Vec<Package>;
type LoadPackages = dyn Fn(&[PathBuf]) -> Vec<Package> + Send;

/// A worker: packages, served to whoever started the process.
pub struct Worker {
    name: &'static str,
    packages: Vec<Box<MakePackages>>,
    folders: Option<Box<LoadPackages>>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

impl Worker {
    /// A worker without packages.
    #[must_use]
    pub fn new() -> Self {
        Self { name: "worker", packages: Vec::new(), folders: None }
    }

    /// With the name that help texts show.
    #[must_use]
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// With a package.
    #[must_use]
    pub fn package(self, package: Package) -> Self {
        self.packages(move |_| vec![package])
    }

    /// With packages that depend on the arguments, made after standard output has been made safe.
    #[must_use]
    pub fn packages(mut self, make: impl FnOnce(&Options) -> Vec<Package> + 'static) -> Self {
        self.packages.push(Box::new(make));
        self
    }

    /// With whatever `--package` names, as `load` loads it. Without this the option is refused.
    #[must_use]
    pub fn folders(mut self, load: impl Fn(&[PathBuf]) -> Vec<Package> + Send + 'static) -> Self {
        self.folders = Some(Box::new(load));
        self
    }

    /// Reads the process's arguments and serves until the host goes.
    #[must_use]
    pub fn serve(self) -> ExitCode {
        self.serve_with(std::env::args_os().skip(1))
    }

    /// Serves with the given arguments, the program's name not among them.
    #[must_use]
    pub fn serve_with(self, args: impl IntoIterator<Item = OsString>) -> ExitCode {
        let name = OsString::from(self.name);
        let args = match Args::try_parse_from(std::iter::once(name).chain(args)) {
            Ok(args) => args,
            Err(error) => {
                // Help goes where it can be read; a mistake must not become a stray frame.
                let help = matches!(error.kind(), ClapError::DisplayHelp | ClapError::DisplayVersion);
                if help {
                    let _ = error.print();
                } else {
                    eprint!("{}", error.render());
                }
                return ExitCode::from(if help { 0 } else { 2 });
            }
        };
        if let Err(error) = args.check().and_then(|()| start_log(&args)) {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
        if self.folders.is_none() && !args.package.is_empty() {
            eprintln!("error: --package: this worker has only the nodes that were built into it");
            return ExitCode::from(2);
        }
        let options = Options { test_nodes: args.test_nodes, models: args.models() };
        let (made, folders, paths) = (self.packages, self.folders, args.package.clone());
        let made = if args.no_stock { Vec::new() } else { made };
        serve::stdio(&args, move || {
            let stock = made.into_iter().flat_map(|make| make(&options));
            let loaded = folders.filter(|_| !paths.is_empty()).map(|load| load(&paths));
            stock.chain(loaded.into_iter().flatten()).collect()
        })
    }
}

fn start_log(args: &Args) -> Result<(), String> {
    let level = if args.verbose { "debug" } else { args.log.as_str() };
    let targets: Targets = level.parse().map_err(|error| format!("--log {level:?}: {error}"))?;
    // What the GPU's drivers and tract have to say is for those who ask for it.
    let quiet = [
        ("wgpu_core", LevelFilter::ERROR),
        ("wgpu_hal", LevelFilter::ERROR),
        ("naga", LevelFilter::ERROR),
        ("tract", LevelFilter::WARN),
    ];
    let targets = quiet
        .into_iter()
        .fold(Targets::new(), |all, (name, level)| all.with_target(name, level))
        .with_targets(targets.iter())
        .with_default(targets.default_level().unwrap_or(LevelFilter::INFO));
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(crate::log::Stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A host that embeds a worker may have its own log already.
    let _ = match args.log_format {
        LogFormat::Human => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json()).try_init(),
    };
    Ok(())
}

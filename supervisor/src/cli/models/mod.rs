//! `millwork models`: the models on this machine, without a worker. What each command does is in a file of its own.

mod info;
mod list;
mod prompt;
mod pull;
mod rm;
mod verify;

use std::path::PathBuf;

use millwork::Config;
use millwork::config::Overrides;
use millwork_stock::local::{Found, Hub, LocalModel, Problem, Roots, Settings, Store, StoreError, models_in};

use super::failure::{Failure, Outcome};
use super::suggest;

/// Models on this machine: lists, fetches, removes and checks them.
///
/// They lie in the folders of --models, $MILLWORK_MODELS or `models` under [stock] in millwork.toml, and in the hub's cache: $HF_HOME, or
/// ~/.cache/huggingface.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork models pull sentence-transformers/all-MiniLM-L6-v2 --include '*.json' --include onnx/model.onnx
  millwork models list
  millwork models info sentence-transformers/all-MiniLM-L6-v2
  millwork models rm sentence-transformers/all-MiniLM-L6-v2")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Info(info::Args),
    Prompt(prompt::Args),
    Pull(pull::Args),
    Rm(rm::Args),
    Verify(verify::Args),
}

/// Where models are looked for.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
struct Places {
    /// Look in this folder instead of the configured ones. Repeat it for more.
    #[arg(long, value_name = "DIR")]
    models: Vec<PathBuf>,
    /// Read this file instead of millwork.toml here or in the user's configuration folder.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A model that a command is about, as far as it is one.
struct Place {
    folder: PathBuf,
    model: Option<LocalModel>,
    /// Why it is none.
    problem: Option<Problem>,
}

impl Places {
    fn roots(&self) -> Outcome<Roots> {
        if !self.models.is_empty() {
            return Ok(Roots::new(&self.models));
        }
        let loaded = Config::load(&Overrides { file: self.config.clone(), ..Overrides::default() })?;
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(Roots::new(&loaded.config.stock.models))
    }

    /// The model of this id or in this folder, broken ones included.
    fn find(&self, id: &str) -> Outcome<Place> {
        let roots = self.roots()?;
        let found = roots.scan();
        if let Some(model) = found.models.iter().find(|model| model.id == id) {
            return Ok(Place { folder: model.path.clone(), model: Some(model.clone()), problem: None });
        }
        // Links stay: a file of the hub's cache is one, and has its name from it.
        let as_path = || std::path::absolute(id).ok().filter(|path| path.exists());
        if let Some(folder) = roots.place(id).or_else(as_path) {
            let Found { models, problems } = models_in(&folder, id);
            return Ok(Place { folder, model: models.into_iter().next(), problem: problems.into_iter().next() });
        }
        let repositories = roots.hub().map(Hub::repositories).unwrap_or_default();
        let ids =
            found.models.iter().map(|model| model.id.as_str()).chain(repositories.iter().map(|it| it.id.as_str()));
        let failure = Failure::usage(format!("there is no model {id:?}{}", suggest::phrase(id, ids)));
        Err(failure.hint("`millwork models list` shows what there is, `millwork models pull` fetches one"))
    }
}

/// The hub's cache.
fn store(roots: &Roots) -> Outcome<Store> {
    let store = Store::new(roots, Settings::from_env());
    store.ok_or_else(|| Failure::usage("this user has no home folder, and so no cache: set HF_HOME"))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Invalid(_) => Self::usage(text),
            StoreError::Unreachable { .. } => Self::failed(text).hint("run it again: it goes on where it was"),
            StoreError::Cancelled => Self::interrupted("interrupted; run it again and it goes on where it was"),
            _ => Self::failed(text),
        }
    }
}

pub(super) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::List(args) => list::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Prompt(args) => prompt::run(&args),
        Command::Pull(args) => pull::run(args).await,
        Command::Rm(args) => rm::run(&args),
        Command::Verify(args) => verify::run(&args),
    }
}

//! `millwork models pull`: a model from the hub into the user's cache, with a progress bar.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millwork_protocol::map;
use millwork_protocol::message::TransferProgress;
use millwork_stock::local::{Found, Pull, Watch, models_in};
use tokio::signal::ctrl_c;

use super::Places;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::progress::Progress;
use crate::cli::{files, out, table};

/// Fetches a model from the hub into its cache, from which Python's tools read as well, and prints its folder.
///
/// What was cut off is gone on from. The token of a gated or private repository is taken from HF_TOKEN, from the file that HF_TOKEN_PATH
/// names, or from the one that `hf auth login` wrote; HF_ENDPOINT names another hub.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// The repository: org/name.
    repo: String,
    /// Only files that match this pattern, such as '*.json' or 'onnx/*'. Repeat it for more.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// But no files that match this pattern. Repeat it for more.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// A branch, a tag or a commit.
    #[arg(long, value_name = "NAME", default_value = "main")]
    revision: String,
    #[command(flatten)]
    places: Places,
}

/// Whoever sits at the terminal.
struct Terminal {
    progress: RefCell<Progress>,
    interrupted: Arc<AtomicBool>,
}

impl Watch for Terminal {
    fn tell(&self, told: TransferProgress) {
        let size = |bytes: u64| files::size(usize::try_from(bytes).unwrap_or(usize::MAX));
        let TransferProgress { downloaded_bytes, total_bytes, downloaded_files, total_files, current_files, .. } = told;
        if total_files == 0 {
            return;
        }
        let names = current_files.join(", ");
        let message = format!(
            "{} of {}, file {downloaded_files} of {total_files}  {names}",
            size(downloaded_bytes),
            size(total_bytes)
        );
        let data = map! { "progress" => downloaded_bytes, "total" => total_bytes, "message" => message };
        self.progress.borrow_mut().update(&data);
    }

    fn is_cancelled(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

pub(super) async fn run(args: Args) -> Outcome {
    let roots = args.places.roots()?;
    let store = super::store(&roots)?;
    let pull = Pull {
        repo_id: args.repo.clone(),
        revision: Some(args.revision),
        allow: Some(args.include).filter(|all| !all.is_empty()),
        ignore: args.exclude,
        ..Pull::default()
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let terminal =
        Terminal { progress: RefCell::new(Progress::start("asking the hub")), interrupted: Arc::clone(&interrupted) };
    let mut work = tokio::task::spawn_blocking(move || {
        let pulled = store.pull(&pull, None, &terminal);
        terminal.progress.borrow().clear();
        pulled
    });
    let pulled = tokio::select! {
        pulled = &mut work => pulled,
        _ = ctrl_c() => {
            interrupted.store(true, Ordering::Relaxed);
            work.await
        }
    };
    let folder = pulled.map_err(|error| Failure::failed(format!("the download broke off: {error}")))??;
    out::line(&folder.display().to_string())?;
    let Found { models, problems } = models_in(&folder, &args.repo);
    match (models.as_slice(), problems.first()) {
        ([model], _) => eprintln!("{} is a {} that runs here", model.id, model.kind.noun()),
        // Only voices share a repository.
        ([_, ..], _) => eprintln!("{} has {} that run here", args.repo, table::count(models.len(), "voice")),
        ([], Some(problem)) => eprintln!("it does not run here: {problem}"),
        ([], None) => eprintln!("it is no model that runs here"),
    }
    Ok(())
}

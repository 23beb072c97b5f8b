//! `millwork models rm`: a repository out of the hub's cache.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::Places;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::{files, out};

/// Removes a model from the hub's cache. Models in other folders are yours: they are left alone.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Its repository: org/name.
    id: String,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    places: Places,
}

pub(super) fn run(args: &Args) -> Outcome {
    let roots = args.places.roots()?;
    let store = super::store(&roots)?;
    let there = store.repositories().into_iter().find(|model| model.id == args.id);
    let size = there.as_ref().and_then(|model| model.size_on_disk).and_then(|bytes| usize::try_from(bytes).ok());
    let size = size.map(files::size).unwrap_or_default();
    if there.is_some() && !args.yes && !agreed(&args.id, &size)? {
        return Err(Failure::failed(format!("{} is kept", args.id)));
    }
    if store.remove(&args.id)? {
        return out::line(format!("removed {} {size}", args.id).trim_end());
    }
    // What is nowhere at all gets a suggestion.
    args.places.find(&args.id)?;
    Err(Failure::failed(format!("{} is not in the hub's cache", args.id)))
}

fn agreed(id: &str, size: &str) -> Outcome<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{id} would be removed, and nobody can be asked"))
            .hint("--yes removes it without asking"));
    }
    eprint!("remove {id}, {size}? [y/N] ");
    let mut answer = String::new();
    // Without an answer it stays.
    let _ = std::io::stderr().flush();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

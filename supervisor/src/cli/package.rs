//! `millwork package`: the packages that there are, and those that are installed.

use std::path::PathBuf;

use millwork::Config;
use millwork::config::Overrides;
use serde_json::json;

use super::failure::{Failure, Outcome};
use super::{check, install, out, problems, table};

/// Packages of nodes: lists, installs, removes and checks them.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork package check packages/digits
  millwork package add packages/digits
  millwork package list
  millwork package remove digits")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Add(install::Add),
    Remove(install::Remove),
    Check(check::Args),
    /// Writes the JSON Schema of package.toml, with which editors complete it.
    Schema,
}

/// Lists the packages that a fleet started here has, and where each comes from. Nothing is started.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct List {
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Read this file instead of millwork.toml here or in the user's configuration folder.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    /// Whether it starts workers.
    pub(crate) fn has_workers(&self) -> bool {
        matches!(self.command, Command::Add(_) | Command::Check(_))
    }
}

pub(crate) async fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::List(args) => list(args),
        Command::Add(args) => install::add(args).await,
        Command::Remove(args) => install::remove(args),
        Command::Check(args) => check::run(args).await,
        Command::Schema => out::json(&millwork_package::schema()),
    }
}

fn list(args: &List) -> Outcome {
    let loaded = Config::load(&Overrides { file: args.config.clone(), ..Overrides::default() })?;
    let packages = loaded.config.roster()?.packages;
    if args.json {
        let packages = packages.iter().map(|package| {
            let problems = package.problems.iter().cloned().map(millwork_protocol::message::LoadError::from);
            json!({
                "name": package.name,
                "version": package.version,
                "path": package.folder,
                "from": package.origin.to_string(),
                "namespaces": package.namespaces,
                "problems": problems.map(|problem| problem.to_value().to_json()).collect::<Vec<_>>(),
            })
        });
        return out::json(&packages.collect());
    }
    if packages.is_empty() {
        return Err(Failure::failed("there are no packages").hint("`millwork package add FOLDER` installs one"));
    }
    let mut table = table::page(&["package", "version", "from", "folder", "problems"]);
    for package in &packages {
        let found: Vec<String> = package.problems.iter().map(ToString::to_string).collect();
        table.add_row([
            package.name.as_str(),
            package.version.as_deref().unwrap_or_default(),
            &package.origin.to_string(),
            &problems::shorter(&package.folder).display().to_string(),
            &found.join("\n"),
        ]);
    }
    table::keep_whole(&mut table, 0);
    out::line(&table::text(&table))
}

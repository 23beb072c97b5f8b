//! `millwork check`: packages loaded as a worker loads them, what they have, and everything that is wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use millwork::config::{Package, PackageConfig};
use millwork::{Config, Fleet};
use millwork_protocol::Value;
use millwork_protocol::message::LoadError;
use millwork_protocol::metadata::NodeMetadata;
use serde_json::{Value as Json, json};

use super::failure::{Failure, Outcome};
use super::inventory::printable_error;
use super::{out, problems, table};

/// Loads packages and shows what they have, and every problem with file, line, column and a hint.
///
/// Exits with 0 where there is no problem, else with 1.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork check .
  millwork check packages/digits packages/edges --json")]
pub(crate) struct Args {
    /// Folders with a package.toml, folders of such folders, or archives of one.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// JSON: {packages: [{name, version, path, nodes, problems}]}.
    #[arg(long)]
    json: bool,
}

/// What a package turned out to be.
pub(crate) struct Checked {
    pub(crate) package: Package,
    pub(crate) nodes: Vec<NodeMetadata>,
    pub(crate) problems: Vec<LoadError>,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    let checked = check(&args.paths).await?;
    if args.json {
        out::json(&json!({ "packages": checked.iter().map(as_json).collect::<Vec<_>>() }))?;
    } else {
        out::line(&checked.iter().map(text).collect::<Vec<_>>().join("\n\n"))?;
    }
    let problems = checked.iter().map(|checked| checked.problems.len()).sum();
    match problems {
        0 => Ok(()),
        _ => Err(Failure::failed(table::count(problems, "problem"))),
    }
}

/// Loads packages in a fleet of their own.
pub(crate) async fn check(paths: &[PathBuf]) -> Outcome<Vec<Checked>> {
    let config = Config { packages: paths.iter().map(PackageConfig::new).collect(), ..Config::default() };
    let packages = config.roster()?.packages;
    let workers: Vec<_> = packages.iter().filter_map(|package| package.worker.clone()).collect();
    let (mut nodes, mut errors) = (Vec::new(), Vec::new());
    if !workers.is_empty() {
        let fleet = Fleet::start(Config { workers, ..Config::default() })?;
        let inventory = tokio::select! {
            inventory = found(&fleet) => inventory,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted("interrupted while the packages were loading")),
        };
        fleet.shutdown().await;
        (nodes, errors) = inventory?;
    }
    let mut checked: Vec<Checked> = packages
        .into_iter()
        .map(|package| {
            let problems = package.problems.iter().cloned().map(LoadError::from).collect();
            Checked { package, nodes: Vec::new(), problems }
        })
        .collect();
    let by_name: BTreeMap<String, usize> = checked
        .iter()
        .enumerate()
        .filter(|(_, checked)| checked.package.worker.is_some())
        .map(|(index, checked)| (checked.package.name.clone(), index))
        .collect();
    checked.iter_mut().flat_map(|checked| &mut checked.problems).for_each(printable_error);
    for mut error in errors {
        printable_error(&mut error);
        let of = error.extra.get("package").and_then(Value::as_str).unwrap_or(&error.module);
        // One that is about a node of several packages is told with the last of them: it is not used there.
        let first = error.module.split('.').next().unwrap_or_default();
        let by_namespace = || checked.iter().rposition(|one| one.package.namespaces.iter().any(|name| name == first));
        if let Some(at) = by_name.get(of).copied().or_else(by_namespace) {
            checked[at].problems.push(error);
        }
    }
    for node in nodes {
        let is_its = |checked: &&mut Checked| {
            let first = node.node_type.split('.').next().unwrap_or_default();
            checked.package.worker.is_some() && checked.package.namespaces.iter().any(|namespace| namespace == first)
        };
        if let Some(checked) = checked.iter_mut().find(is_its) {
            checked.nodes.push(node);
        }
    }
    Ok(checked)
}

async fn found(fleet: &Fleet) -> Outcome<(Vec<NodeMetadata>, Vec<LoadError>)> {
    // Answered once every worker has come up or has failed to, or so far after a while: then it is asked again.
    loop {
        let found = fleet.client().inventory().await?;
        if found.load_errors.iter().all(|error| error.error_type != "StillStarting") {
            return Ok((found.nodes, found.load_errors));
        }
    }
}

fn as_json(checked: &Checked) -> Json {
    let Checked { package, nodes, problems } = checked;
    json!({
        "name": package.name,
        "version": package.version,
        "path": package.folder,
        "nodes": nodes.iter().map(|node| node.to_value().to_json()).collect::<Vec<_>>(),
        "problems": problems.iter().map(|problem| problem.to_value().to_json()).collect::<Vec<_>>(),
    })
}

/// A heading, the nodes, and the problems.
pub(crate) fn text(checked: &Checked) -> String {
    let Checked { package, nodes, problems } = checked;
    let version = package.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let mut parts = vec![format!("{}{version} in {}", package.name, problems::shorter(&package.folder).display())];
    if !nodes.is_empty() {
        let mut list = table::page(&["node", "what it does"]);
        for node in nodes {
            list.add_row([&node.node_type, node.description.lines().next().unwrap_or_default()]);
        }
        table::keep_whole(&mut list, 0);
        parts.push(table::text(&list));
    }
    parts.extend(problems.iter().map(|problem| in_full(problem, &package.folder)));
    let counts = [table::count(nodes.len(), "node"), table::count(problems.len(), "problem")];
    parts.push(counts.join(", "));
    parts.join("\n")
}

fn in_full(problem: &LoadError, folder: &Path) -> String {
    let text = problems::full(problem, folder);
    if text.contains(&problem.module) { text } else { format!("{}: {text}", problem.module) }
}

//! `millwork batch`: one node over every file of a folder. How one file goes through the node is in [`one`].

mod manifest;
mod one;
mod report;
mod scan;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use millwork::Client;
use millwork_protocol::metadata::{NodeMetadata, PropertyMetadata};
use parking_lot::Mutex;
use tokio::signal::ctrl_c;
use tokio::task::JoinSet;

use super::content::Content;
use super::failure::{Failure, Outcome};
use super::fields::{self, Inputs};
use super::inventory::Inventory;
use super::progress::Progress;
use super::{call, fleet, suggest, table, types};
use manifest::Manifest;
use report::Report;
use scan::File;

/// Runs one node over every file of a folder.
///
/// Each file goes into the node's field for files, the outputs into another folder under the same name. Files whose
/// outputs are there and were made in the same way are passed over, so an interrupted run is continued by the same command.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork batch image.Blur --in photos --out blurred sigma=4
  millwork batch image.Resize --in photos --out small --recursive --match '*.jpg' --format webp width=320
  millwork batch onnx.Classify --in digits --out labels --slot label --json

On stdout is one line a file: its name, ok, failed or skipped, how long it took, and what came of it.

Exit codes: 0 done, 1 a file failed, 2 wrong usage, 3 no worker, 130 interrupted.")]
pub(crate) struct Args {
    /// The node's type, such as image.Blur.
    node: String,
    /// The node's other fields, the same for every file.
    #[arg(value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// The folder with the files.
    #[arg(long = "in", value_name = "DIR")]
    input: PathBuf,
    /// The folder for the outputs; it is made where it is not there.
    #[arg(long = "out", value_name = "DIR")]
    output: PathBuf,
    /// The field that the files go into, where the node has several that could take them.
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// Only files like this: '*.png' by name, 'cats/*.png' by the path within the folder. Repeat it for more.
    #[arg(long = "match", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Files in folders within the folder too.
    #[arg(long)]
    recursive: bool,
    /// How many files are worked on at a time; by default as many as there are cores.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Write only this output. Repeat it for more.
    #[arg(long, value_name = "NAME")]
    slot: Vec<String>,
    /// The extension, and by it the format, of what is written; by default what suits each output.
    #[arg(long, value_name = "EXTENSION")]
    format: Option<String>,
    /// How often a file is tried again after an error that may pass, such as the death of a worker.
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: u32,
    /// Do all files again, also those whose outputs are there.
    #[arg(long)]
    force: bool,
    /// Stop at the first file that fails.
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    call: call::Args,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fleet: fleet::Args,
}

/// What is the same for every file.
struct Batch {
    args: Args,
    client: Client,
    inventory: Inventory,
    node: NodeMetadata,
    /// Where the files go.
    field: String,
    /// The other fields.
    fixed: Inputs,
    manifest: Mutex<Manifest>,
}

/// How the loop over the files ended.
enum End {
    Done,
    FailedFast,
    Interrupted,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let files = scan::files(&args)?;
    let progress = Progress::start("starting a worker");
    let (supervisor, client) = args.fleet.start()?;
    let batch = tokio::select! {
        batch = Batch::new(args, client) => batch,
        _ = ctrl_c() => Err(Failure::interrupted("interrupted while the workers were starting")),
    };
    progress.clear();
    let outcome = match batch {
        Ok(batch) => batch.run(files).await,
        Err(failure) => Err(failure),
    };
    supervisor.shutdown().await;
    outcome
}

impl Batch {
    /// Finds out all that can be wrong before the first file is touched.
    async fn new(args: Args, client: Client) -> Outcome<Self> {
        let inventory = Inventory::of(&client).await?;
        let node = inventory.find(&args.node)?.clone();
        let fixed = fields::read(&node, &args.fields)?;
        let field = choose(&node, args.field.as_deref(), &fixed)?;
        fields::check(&node, |name| name == field || fixed.has(name))?;
        check_outputs(&node, &args)?;
        args.call.request(&node, Inputs::default())?;
        std::fs::create_dir_all(&args.output)
            .map_err(|error| Failure::usage(format!("cannot make the folder {}: {error}", args.output.display())))?;
        let recipe = manifest::recipe(&node.node_type, &field, &fixed, &args.slot, args.format.as_deref());
        let manifest = Mutex::new(Manifest::load(&args.input, &args.output, recipe)?);
        Ok(Self { args, client, inventory, node, field, fixed, manifest })
    }

    async fn run(self, files: Vec<File>) -> Outcome {
        let batch = Arc::new(self);
        let jobs = batch.args.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let mut report = Report::start(files.len(), batch.args.json);
        let mut running = JoinSet::new();
        let mut files = files.into_iter();
        // One listener for the whole time: a signal between two of them would be lost.
        let mut interrupt = std::pin::pin!(ctrl_c());
        let end = loop {
            // No more files are read than are worked on: what they hold is what this needs of memory.
            while running.len() < jobs {
                let Some(file) = files.next() else { break };
                if !batch.args.force && batch.manifest.lock().is_current(&file) {
                    report.skipped(&file)?;
                } else {
                    let batch = batch.clone();
                    running.spawn(async move { one::run(&batch, file).await });
                }
            }
            let done = tokio::select! {
                biased;
                _ = &mut interrupt => break End::Interrupted,
                done = running.join_next() => done,
            };
            let Some(done) = done else { break End::Done };
            let done = done.map_err(|error| Failure::failed(format!("a file's task ended early: {error}")))?;
            let is_ok = done.result.is_ok();
            report.done(done)?;
            if batch.args.fail_fast && !is_ok {
                break End::FailedFast;
            }
        };
        // Dropping a request cancels it; what has been written is recorded already.
        running.shutdown().await;
        report.end();
        let (failed, total) = (report.failed, table::count(report.total, "file"));
        match end {
            End::Interrupted => {
                Err(Failure::interrupted(format!("interrupted: {} of {total} done", report.finished()))
                    .hint("the same command goes on with the others"))
            }
            End::FailedFast => Err(Failure::failed(format!(
                "stopped at the first file that failed: {} of {total} done",
                report.finished()
            ))
            .hint("the same command goes on; without --fail-fast a failed file does not stop the others")),
            End::Done if failed > 0 => Err(Failure::failed(format!("{failed} of {total} failed"))
                .hint("the same command does only the failed ones again")),
            End::Done => Ok(()),
        }
    }
}

/// The field that files go into.
fn choose(node: &NodeMetadata, asked: Option<&str>, fixed: &Inputs) -> Outcome<String> {
    if let Some(name) = asked {
        fields::known(node, name)?;
        return match fixed.has(name) {
            true => Err(Failure::usage(format!("the field {name} takes the files, and cannot be given a value too"))),
            false => Ok(name.to_owned()),
        };
    }
    let takes_file = |property: &&PropertyMetadata| types::takes_file(&property.ty) && !fixed.has(&property.name);
    let could: Vec<&PropertyMetadata> = node.properties.iter().filter(takes_file).collect();
    let must: Vec<&PropertyMetadata> = could.iter().copied().filter(|property| types::is_required(property)).collect();
    match (could.as_slice(), must.as_slice()) {
        ([one], _) | (_, [one]) => Ok(one.name.clone()),
        ([], _) => Err(Failure::usage(format!("{} has no field that is free and for files", node.node_type))
            .hint(format!("--field NAME puts the text of each file there; its fields are {}", fields::names(node)))),
        (several, _) => {
            let names: Vec<&str> = several.iter().map(|property| property.name.as_str()).collect();
            Err(Failure::usage(format!("{} could take a file in {}", node.node_type, names.join(" or in ")))
                .hint(format!("--field {} says in which", names.join(" or --field "))))
        }
    }
}

/// Whether the slots are there and can be written in the format.
fn check_outputs(node: &NodeMetadata, args: &Args) -> Outcome {
    let names = || node.outputs.iter().map(|slot| slot.name.as_str());
    if let Some(slot) = args.slot.iter().find(|slot| names().next().is_some() && !names().any(|name| name == **slot)) {
        let near = suggest::phrase(slot, names().collect::<Vec<_>>().into_iter());
        return Err(Failure::usage(format!("{} has no output {slot}{near}", node.node_type))
            .hint(format!("its outputs are {}", names().collect::<Vec<_>>().join(", "))));
    }
    let Some(format) = &args.format else { return Ok(()) };
    if format.is_empty() || !format.chars().all(char::is_alphanumeric) {
        return Err(Failure::usage(format!("--format {format} is no extension")).hint("write it as --format webp"));
    }
    let is_written = |name: &str| args.slot.is_empty() || args.slot.iter().any(|slot| slot == name);
    let written = node.outputs.iter().filter(|slot| is_written(&slot.name));
    match written.into_iter().find(|slot| !Content::of(&slot.ty).is_written_as(&format.to_lowercase())) {
        None => Ok(()),
        Some(slot) => {
            let what = Content::of(&slot.ty).words().0;
            Err(Failure::usage(format!("the output {} of {} is {what}, and no .{format}", slot.name, node.node_type))
                .hint("--slot NAME writes only the outputs that it names"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::metadata::TypeMetadata;
    use millwork_protocol::{Value, map};

    fn node(types: &[(&str, TypeMetadata)]) -> NodeMetadata {
        let property = |(name, ty): &(&str, TypeMetadata)| PropertyMetadata {
            name: (*name).to_owned(),
            ty: ty.clone(),
            ..Default::default()
        };
        let properties = types.iter().map(property).collect();
        NodeMetadata { node_type: "acme.Mix".into(), properties, ..Default::default() }
    }

    #[test]
    fn files_go_where_only_they_can() {
        let image = TypeMetadata::image;
        let choose = |node: &NodeMetadata, asked, fixed: &Inputs| {
            choose(node, asked, fixed).map_err(|failure| format!("{failure:?}"))
        };
        let two = node(&[("image", image()), ("other", image()), ("amount", TypeMetadata::float())]);
        let none = Inputs::default();
        let given = |name: &str| Inputs { blobs: map! { name => Value::Nil }, ..Inputs::default() };
        assert!(choose(&two, None, &none).unwrap_err().contains("--field image or --field other"));
        assert_eq!(choose(&two, None, &given("other")).unwrap(), "image");
        assert_eq!(choose(&two, Some("other"), &none).unwrap(), "other");
        assert!(choose(&two, Some("othr"), &none).unwrap_err().contains("did you mean other?"));
        assert!(choose(&two, Some("other"), &given("other")).unwrap_err().contains("cannot be given a value too"));
        let masked = node(&[("mask", image().optional()), ("image", image())]);
        assert_eq!(choose(&masked, None, &none).unwrap(), "image");
        let text = node(&[("text", TypeMetadata::str())]);
        assert!(choose(&text, None, &none).unwrap_err().contains("its fields are text"));
        assert_eq!(choose(&text, Some("text"), &none).unwrap(), "text");
    }
}

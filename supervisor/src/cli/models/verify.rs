//! `millwork models verify`: whether what lies on disk is what was published, and loads.

use millwork_stock::local::{Checked, Finding, verify};
use serde_json::{Value as Json, json};

use super::Places;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::progress::Progress;
use crate::cli::{out, table};

/// Checks a model: its files have the digests that the hub gave them, and its ONNX files load as a worker loads them.
///
/// Exits with 0 where all is well, else with 1. An ONNX file that does not load is only noted where the model does without it.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Its id, as `millwork models list` shows it, or its folder.
    id: String,
    #[command(flatten)]
    places: Places,
    /// JSON: {id, path, files, digests, models, problems: [{file, problem}], notes: [{file, problem}]}.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let place = args.places.find(&args.id)?;
    let progress = Progress::start("checking");
    let Checked { files, digests, models, findings, notes } = verify(&place.folder, |file| progress.phase(file));
    progress.clear();
    if args.json {
        let list = |all: &[Finding]| -> Vec<Json> {
            all.iter().map(|Finding { file, problem }| json!({ "file": file, "problem": problem })).collect()
        };
        out::json(&json!({
            "id": args.id, "path": place.folder, "files": files, "digests": digests, "models": models,
            "problems": list(&findings), "notes": list(&notes),
        }))?;
    } else {
        let mut lines: Vec<String> =
            findings.iter().map(|Finding { file, problem }| format!("{file}: {problem}")).collect();
        let noted = |Finding { file, problem }: &Finding| format!("note: {file}, which is not loaded: {problem}");
        lines.extend(notes.iter().map(noted));
        let files = table::count(files, "file");
        // Only the hub's cache names contents by their digests.
        let digests = if digests == 0 { String::new() } else { format!("{digests} with the right digest, ") };
        lines.push(format!("{files}: {digests}{models} that load as ONNX models"));
        out::line(&lines.join("\n"))?;
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(Failure::failed(format!("{}: {}", args.id, table::count(count, "problem")))),
    }
}

//! `millwork models list`: what there is, and what of it is broken.

use millwork_stock::local::{LocalModel, Problem, size_on_disk};
use serde_json::{Value as Json, json};

use super::Places;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::{files, out, problems, table};

/// Lists the models that run here, and those that do not, with the file and the reason.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    places: Places,
    /// JSON: {models: [{id, type, architecture, size_on_disk, path, in_hub}], problems: [{file, reason, hint, unsupported}]}.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let found = args.places.roots()?.scan();
    if args.json {
        let models: Vec<Json> = found.models.iter().map(as_json).collect();
        let problems: Vec<Json> = found.problems.iter().map(problem_as_json).collect();
        return out::json(&json!({ "models": models, "problems": problems }));
    }
    if found.models.is_empty() && found.problems.is_empty() {
        let failure = Failure::failed("there are no models");
        return Err(failure.hint("`millwork models pull ORG/NAME` fetches one; --models names a folder that has some"));
    }
    if !found.models.is_empty() {
        let mut list = table::new(&["model", "type", "architecture", "size", "where"]);
        for model in &found.models {
            let place = if model.is_in_hub {
                "the hub's cache".to_owned()
            } else {
                problems::shorter(&model.path).display().to_string()
            };
            let size = files::size(usize::try_from(size_on_disk(&model.path)).unwrap_or(usize::MAX));
            list.add_row([&model.id, model.kind.model_type(), &model.architecture, &size, &place]);
        }
        table::align_right(&mut list, 3);
        table::keep_whole(&mut list, 0);
        out::line(&table::text(&list))?;
    }
    if !found.problems.is_empty() {
        let mut lines = vec![String::new(), "These do not run here:".to_owned()];
        for Problem { file, reason, hint, .. } in &found.problems {
            lines.push(format!("{}: {reason}", problems::shorter(file).display()));
            lines.extend(hint.iter().map(|hint| format!("  hint: {hint}")));
        }
        out::line(lines.join("\n").trim_start_matches(|c| c == '\n' && found.models.is_empty()))?;
    }
    Ok(())
}

fn as_json(model: &LocalModel) -> Json {
    json!({
        "id": model.id,
        "type": model.kind.model_type(),
        "architecture": model.architecture,
        "size_on_disk": size_on_disk(&model.path),
        "path": model.path,
        "in_hub": model.is_in_hub,
    })
}

fn problem_as_json(problem: &Problem) -> Json {
    let Problem { file, reason, hint, is_unsupported } = problem;
    json!({ "file": file, "reason": reason, "hint": hint, "unsupported": is_unsupported })
}

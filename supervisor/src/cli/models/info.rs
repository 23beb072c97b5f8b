//! `millwork models info`: one model, looked at without loading it.

use millwork_stock::local::{Graph, Look, look};
use serde_json::{Value as Json, json};

use super::{Place, Places};
use crate::cli::failure::Outcome;
use crate::cli::{files, out, table};

/// Shows a model: what it is for, its files, its tokenizer, and what its ONNX files take and give.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Its id, as `millwork models list` shows it, or its folder.
    id: String,
    #[command(flatten)]
    places: Places,
    /// JSON: {id, type, architecture, path, files, context, tokenizer, onnx}.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let place = args.places.find(&args.id)?;
    let seen = look(&place.folder);
    if args.json { out::json(&as_json(&args.id, &place, &seen)) } else { out::line(&text(&args.id, &place, &seen)) }
}

fn architecture(place: &Place, seen: &Look) -> String {
    place.model.as_ref().map_or_else(|| seen.architectures.join(", "), |model| model.architecture.clone())
}

fn size(bytes: u64) -> String {
    files::size(usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn text(id: &str, place: &Place, seen: &Look) -> String {
    let kind = match (&place.model, &place.problem) {
        (Some(model), _) => model.kind.noun().to_owned(),
        (None, Some(problem)) => format!("none that runs here: {problem}"),
        (None, None) => "none that runs here".to_owned(),
    };
    let total: u64 = seen.files.iter().map(|(_, bytes)| bytes).sum();
    let mut lines = vec![
        format!("{id}: {kind}"),
        format!("architecture  {}", architecture(place, seen)),
        format!("folder        {}", place.folder.display()),
        format!("size          {} in {}", size(total), table::count(seen.files.len(), "file")),
    ];
    lines.extend(seen.context.map(|tokens| format!("context       {tokens} tokens")));
    lines.extend(seen.tokenizer.as_ref().map(|(kind, words)| format!("tokenizer     {kind} with {words} tokens")));
    for (file, graph) in &seen.onnx {
        lines.push(String::new());
        match graph {
            Err(problem) => lines.push(format!("{file}: {problem}")),
            Ok(Graph { inputs, outputs, opset, parameters, unsupported }) => {
                let opset = opset.map(|version| format!(", operators of version {version}")).unwrap_or_default();
                lines.push(format!("{file}: {parameters} weights{opset}"));
                lines.extend(inputs.iter().map(|(name, shape)| format!("  takes  {name}  {shape}")));
                lines.extend(outputs.iter().map(|(name, shape)| format!("  gives  {name}  {shape}")));
                if !unsupported.is_empty() {
                    lines.push(format!("  operators that do not run here: {unsupported}"));
                }
            }
        }
    }
    let mut list = table::page(&["file", "size"]);
    for (name, bytes) in &seen.files {
        list.add_row([name.as_str(), &size(*bytes)]);
    }
    table::align_right(&mut list, 1);
    table::keep_whole(&mut list, 0);
    lines.extend([String::new(), table::text(&list)]);
    lines.join("\n")
}

fn as_json(id: &str, place: &Place, seen: &Look) -> Json {
    let values = |all: &[(String, String)]| -> Vec<Json> {
        all.iter().map(|(name, shape)| json!({ "name": name, "shape": shape })).collect()
    };
    let graph = |(file, graph): &(String, Result<Graph, String>)| match graph {
        Err(problem) => json!({ "file": file, "problem": problem }),
        Ok(graph) => json!({
            "file": file,
            "inputs": values(&graph.inputs),
            "outputs": values(&graph.outputs),
            "opset": graph.opset,
            "parameters": graph.parameters,
            "unsupported": graph.unsupported,
        }),
    };
    json!({
        "id": id,
        "type": place.model.as_ref().map(|model| model.kind.model_type()),
        "architecture": architecture(place, seen),
        "path": place.folder,
        "files": seen.files.iter().map(|(name, bytes)| json!({ "name": name, "size": bytes })).collect::<Vec<_>>(),
        "context": seen.context,
        "tokenizer": seen.tokenizer.as_ref().map(|(kind, tokens)| json!({ "type": kind, "tokens": tokens })),
        "onnx": seen.onnx.iter().map(graph).collect::<Vec<_>>(),
    })
}

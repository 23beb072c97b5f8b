//! `millwork embed`: texts as vectors.

use millwork_protocol::{Value, map};

use super::{Sort, Target, give, text};
use crate::cli::failure::Outcome;
use crate::cli::out;

const SORT: Sort = Sort { model_type: "embedding", noun: "sentence encoder" };

/// Writes the vector of each text to stdout: a JSON list of numbers a line.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork embed 'a red house' 'ein rotes Haus'
  millwork embed --dimensions 64 - < lines.txt > vectors.jsonl

Exit codes: 0 done, 1 the model failed, 2 wrong usage, 3 no worker, 130 interrupted.")]
pub(crate) struct Args {
    /// The texts, one an argument; - reads one a line from stdin.
    text: Vec<String>,
    /// Only so many numbers of each vector, for models that were made for it.
    #[arg(long, value_name = "N")]
    dimensions: Option<u64>,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    let texts = match args.text.as_slice() {
        [] => text(&[], "a text")?.lines().map(str::to_owned).collect(),
        [only] if only == "-" => text(&args.text, "a text")?.lines().map(str::to_owned).collect(),
        given => given.to_vec(),
    };
    args.target
        .with(async |client, progress| {
            let model = args.target.model(client, SORT).await?;
            progress.phase(&model);
            let mut data = map! { "model" => model, "text" => texts.clone() };
            give(&mut data, "dimensions", args.dimensions);
            let answer = args.target.call(client, "embedding", data, progress, |_| Ok(())).await?;
            progress.clear();
            let vectors = answer.get("embeddings").and_then(Value::as_list).unwrap_or_default();
            for vector in vectors {
                out::line(&vector.to_json().to_string())?;
            }
            Ok(())
        })
        .await
}

//! `millwork ask`: a question to a language model, its answer as it comes.

use std::path::PathBuf;

use millwork_protocol::{Map, Value, map};

use super::{Sort, Target, give, text};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::out;

const SORT: Sort = Sort { model_type: "language", noun: "language model" };

/// Asks a language model, and writes its answer to stdout as it comes.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork ask 'Why is the sky blue?'
  git diff | millwork ask --system 'Write a commit message.' -
  millwork ask -m Qwen/Qwen2.5-0.5B-Instruct --schema person.json 'Invent somebody.'

Exit codes: 0 done, 1 the model failed, 2 wrong usage, 3 no worker, 130 interrupted.")]
pub(crate) struct Args {
    /// The question; - reads it from stdin.
    prompt: Vec<String>,
    /// What the model is told before.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// At most so many tokens.
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// 0 takes the likeliest token each time; higher is more varied.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Only the likeliest tokens that together have this probability.
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// The same number gives the same answer.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The answer is JSON after the JSON Schema in this file.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Write the whole answer as JSON, with tool calls and token counts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    let mut data = args.data()?;
    args.target
        .with(async |client, progress| {
            let model = args.target.model(client, SORT).await?;
            progress.phase(&model);
            data.insert("model".to_owned(), model.into());
            let data = std::mem::take(&mut data);
            if args.json {
                let answer = args.target.call(client, "generate", data, progress, |_| Ok(())).await?;
                return out::json(&Value::Map(answer).to_json());
            }
            let mut is_open = false;
            let show = |chunk: Map| match (chunk.get("content").and_then(Value::as_str), chunk.get("name")) {
                (Some(text), _) => {
                    is_open = if text.is_empty() { is_open } else { !text.ends_with('\n') };
                    out::write(text.as_bytes())
                }
                (None, Some(_)) => out::line(&Value::Map(chunk).to_json().to_string()),
                _ => Ok(()),
            };
            let end = args.target.call(client, "stream", data, progress, show).await?;
            if is_open {
                out::line("")?;
            }
            let is_cut = end.get("finish_reason").and_then(Value::as_str) == Some("length");
            if is_cut && args.schema.is_some() {
                let failure = Failure::failed("the answer was cut off, and is no whole JSON");
                return Err(failure.hint("--max-tokens gives it more room"));
            }
            Ok(())
        })
        .await
}

impl Args {
    fn data(&self) -> Outcome<Map> {
        let prompt = text(&self.prompt, "the question")?;
        let message = |role: &str, content: &str| Value::Map(map! { "role" => role, "content" => content });
        let mut messages: Vec<Value> = self.system.iter().map(|system| message("system", system)).collect();
        messages.push(message("user", &prompt));
        let mut data = map! { "messages" => Value::List(messages) };
        give(&mut data, "max_tokens", self.max_tokens);
        give(&mut data, "temperature", self.temperature);
        give(&mut data, "top_p", self.top_p);
        give(&mut data, "seed", self.seed);
        if let Some(path) = &self.schema {
            let schema = std::fs::read_to_string(path).map_err(|error| error.to_string()).and_then(|text| {
                serde_json::from_str::<serde_json::Value>(&text)
                    .map(Value::from)
                    .map_err(|error| format!("it is no JSON: {error}"))
            });
            let schema = schema.map_err(|error| Failure::usage(format!("--schema {}: {error}", path.display())))?;
            data.insert(
                "response_format".to_owned(),
                map! { "type" => "json_schema", "json_schema" => map! { "schema" => schema } }.into(),
            );
        }
        Ok(data)
    }
}

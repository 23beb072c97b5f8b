//! `millwork models prompt`: what a language model is really given to read.

use millwork_protocol::Value;
use millwork_stock::local::prompt;
use serde_json::Value as Json;

use super::Places;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::{files, out};

/// Shows the prompt that a model's chat template makes of a conversation, special tokens included, without loading the model.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  echo '[{\"role\": \"user\", \"content\": \"Hello\"}]' | millwork models prompt Qwen/Qwen2.5-0.5B-Instruct -
  millwork models prompt Qwen/Qwen2.5-0.5B-Instruct request.json")]
pub(crate) struct Args {
    /// Its id, as `millwork models list` shows it, or its folder.
    id: String,
    /// JSON: the list of messages, or {messages, tools} as provider.generate takes them; - is stdin.
    conversation: String,
    #[command(flatten)]
    places: Places,
}

pub(super) fn run(args: &Args) -> Outcome {
    let place = args.places.find(&args.id)?;
    let wrong = |why: String| Failure::usage(format!("{}: {why}", args.conversation));
    let bytes = files::read(&args.conversation).map_err(Failure::usage)?;
    let json: Json = serde_json::from_slice(&bytes).map_err(|error| wrong(format!("it is no JSON: {error}")))?;
    let (messages, tools) = match json {
        Json::Array(messages) => (messages, Vec::new()),
        Json::Object(mut request) => {
            let mut list = |key: &str| match request.remove(key) {
                Some(Json::Array(list)) => Ok(list),
                None | Some(Json::Null) => Ok(Vec::new()),
                Some(_) => Err(wrong(format!("`{key}` is no list"))),
            };
            (list("messages")?, list("tools")?)
        }
        _ => return Err(wrong("it is neither a list of messages nor {messages, tools}".to_owned())),
    };
    let values = |list: Vec<Json>| list.into_iter().map(Value::from).collect::<Vec<_>>();
    let text = prompt(&place.folder, &values(messages), &values(tools));
    out::write(text.map_err(|error| Failure::failed(error.message()))?.as_bytes())
}

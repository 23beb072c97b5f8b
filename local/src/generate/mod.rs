//! `generate` and `stream`: answers of decoder-only language models. From a request to a prompt (`messages`, `template`), through the
//! network (`network`, `session`, `prefix`), to tokens (`sample`, `constrain`) and back to text and calls (`text`, `stop`, `calls`).

mod answer;
mod calls;
mod constrain;
mod files;
mod generator;
mod layout;
mod messages;
mod network;
mod prefix;
mod request;
mod sample;
mod session;
mod stop;
mod template;
mod text;

use std::path::Path;

use millwork_worker::prelude::*;
use millwork_worker::{Answer, Call};

pub use generator::prompt;

use answer::Event;
use generator::Generator;

use crate::pace::Pace;
use crate::{LocalModel, Problem};

/// Whether a model of this architecture is a decoder-only language model.
pub(crate) fn is_decoder(architecture: &str) -> bool {
    architecture.ends_with("ForCausalLM") || matches!(architecture, "GPT2LMHeadModel" | "OpenAIGPTLMHeadModel")
}

/// Whether the files of a language model are all there and can be used.
pub(crate) fn check(folder: &Path) -> Result<(), Problem> {
    files::Files::read(folder).map(drop)
}

/// Answers `provider.generate`: the whole message at once.
pub(crate) fn generate(model: &LocalModel, call: &Call<'_>) -> Result<Answer> {
    let generator = Generator::load(model, call.context)?;
    let request = generator.request(call)?;
    let (mut content, mut calls) = (String::new(), Vec::new());
    let end = generator.answer(&request, call.context, Some(Pace::start()), &mut |event| {
        match event {
            Event::Text(text) => content.push_str(&text),
            Event::Call { id, name, args } => {
                calls.push(Value::Map(map! { "id" => id, "name" => name, "args" => Value::from(args) }));
            }
        }
        Ok(())
    })?;
    let mut message = map! { "role" => "assistant", "content" => content };
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::List(calls));
    }
    let mut answer = map! { "message" => message };
    answer.extend(end.to_map());
    Ok(Answer(answer))
}

/// Answers `provider.stream`: text as it comes, each call when it is whole.
pub(crate) fn stream(model: &LocalModel, call: &Call<'_>, chunk: &mut dyn FnMut(Map) -> Result<()>) -> Result<Answer> {
    let generator = Generator::load(model, call.context)?;
    let request = generator.request(call)?;
    let end = generator.answer(&request, call.context, None, &mut |event| {
        chunk(match event {
            Event::Text(text) => map! { "type" => "chunk", "content" => text, "done" => false },
            Event::Call { id, name, args } => {
                map! { "type" => "tool_call", "id" => id, "name" => name, "args" => Value::from(args) }
            }
        })
    })?;
    chunk(map! { "type" => "chunk", "content" => "", "done" => true })?;
    let mut answer = map! { "done" => true };
    answer.extend(end.to_map());
    Ok(Answer(answer))
}

//! A loaded language model and the loop that answers: read the prompt, then choose, read and show one token after the other.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::time::SystemTime;

use millwork_worker::Call;
use millwork_worker::models::Pinned;
use millwork_worker::prelude::*;
use serde_json::Value as Json;
use tokenizers::Tokenizer;

use super::answer::{End, Event, Outlet, Reason, Usage};
use super::constrain::Grammars;
use super::files::Files;
use super::messages;
use super::network::Networks;
use super::prefix;
use super::request::Request;
use super::sample::Sampler;
use super::session::Session;
use super::template::Chat;
use crate::pace::Pace;
use crate::{LocalModel, tokens};

/// A language model, ready to run.
#[derive(Debug)]
pub(super) struct Generator {
    name: String,
    folder: std::path::PathBuf,
    files: Files,
    tokenizer: Pinned<Tokenizer>,
    networks: Networks,
    ends: Vec<u32>,
}

impl Generator {
    /// Loads it, or finds it in the worker's cache.
    pub(super) fn load(model: &LocalModel, cx: &Context) -> Result<Self> {
        let files = Files::read(&model.path)?;
        let tokenizer = tokens::load(&model.path, cx)?;
        let networks = Networks::load(&files.layout, cx)?;
        let end = files.end_text.as_deref().and_then(|text| tokenizer.token_to_id(text));
        let ends = files.ends.iter().copied().chain(end).collect();
        // What was read belongs to these very weights.
        let stamps = files.layout.paths().into_iter().map(tokens::stamp).collect::<Vec<String>>();
        let name = format!("{} {}", model.id, stamps.join(" "));
        Ok(Self { name, folder: model.path.clone(), files, tokenizer, networks, ends })
    }

    /// Reads a call for this model.
    pub(super) fn request(&self, call: &Call<'_>) -> Result<Request> {
        Request::read(call, &self.files)
    }

    /// Answers; `emit` gets each piece as soon as it is certain. How far it is, is reported at the given pace.
    pub(super) fn answer(
        &self,
        request: &Request,
        cx: &Context,
        pace: Option<Pace>,
        emit: &mut dyn FnMut(Event) -> Result<()>,
    ) -> Result<End> {
        let prompt = self.prompt_ids(request)?;
        let limit = self.limit();
        if prompt.len() >= limit {
            let text = format!(
                "the prompt has {} tokens, and the model reads at most {limit}, its answer among them: shorten `messages`",
                prompt.len()
            );
            return Err(Error::invalid(text));
        }
        let mut session = if request.use_cache && request.cache_prompt {
            prefix::session(&self.name, &self.networks, &prompt, cx)?
        } else {
            Session::new(&self.networks, request.use_cache)
        };
        let cached = session.len();
        let done = self.decode(request, &prompt, &mut session, cx, pace, emit);
        // Also what a cancelled request has read is worth keeping.
        if request.cache_prompt {
            prefix::keep(&self.name, session, cx)?;
        }
        let (answer, reason) = done?;
        let usage = Usage { prompt: prompt.len(), completion: answer.len(), cached };
        Ok(End { usage, reason, ids: request.return_token_ids.then_some((prompt, answer)) })
    }

    fn decode(
        &self,
        request: &Request,
        prompt: &[u32],
        session: &mut Session<'_>,
        cx: &Context,
        pace: Option<Pace>,
        emit: &mut dyn FnMut(Event) -> Result<()>,
    ) -> Result<(Vec<u32>, Reason)> {
        let ends = self.ends_of(request);
        let most = request.max_tokens.min(self.limit() - prompt.len());
        let mut logits = session.read(&prompt[session.len()..], cx)?;
        let mut constraint = match &request.schema {
            Some(schema) => {
                let grammars = Grammars::load(&self.folder, &self.tokenizer, logits.len(), &self.ends, cx)?;
                Some(grammars.constraint(schema)?)
            }
            None => None,
        };
        let seed = request.settings.seed.unwrap_or_else(|| RandomState::new().hash_one(prompt.len()));
        let mut sampler = Sampler::new(request.settings.clone(), prompt, seed);
        let mut outlet = Outlet::new(request, &self.tokenizer, seed, emit);
        let (mut made, mut is_stopped, mut reason) = (Vec::new(), false, Reason::Length);
        while made.len() < most {
            cx.check()?;
            let next = match &mut constraint {
                Some(constraint) => sampler.next_of(&mut logits, |logits| constraint.mask(logits))?,
                None => sampler.next(&mut logits)?,
            };
            made.push(next);
            if ends.contains(&next) {
                reason = Reason::Stop;
                break;
            }
            is_stopped = outlet.push(next)?;
            let is_complete = constraint.as_mut().map_or(Ok(false), |constraint| constraint.take(next))?;
            if is_stopped || is_complete {
                reason = Reason::Stop;
                break;
            }
            if let Some(pace) = &pace {
                pace.report(cx, made.len(), most, "answering");
            }
            if made.len() < most {
                logits = session.read(&[next], cx)?;
            }
        }
        let has_called = outlet.finish(is_stopped)?;
        Ok((made, if has_called && reason == Reason::Stop { Reason::ToolCalls } else { reason }))
    }

    /// Tokens that it reads and writes at most.
    fn limit(&self) -> usize {
        self.files.limit.unwrap_or(usize::MAX)
    }

    /// The tokens that end this answer: a stop string that is a special token never shows in the text.
    fn ends_of(&self, request: &Request) -> Vec<u32> {
        let added = self.tokenizer.get_added_tokens_decoder();
        let special = |text: &String| {
            let id = self.tokenizer.token_to_id(text)?;
            added.get(&id).is_some_and(|token| token.special).then_some(id)
        };
        self.ends.iter().copied().chain(request.stop.iter().filter_map(special)).collect()
    }

    fn prompt_ids(&self, request: &Request) -> Result<Vec<u32>> {
        let text = prompt_text(&self.files, &request.messages, &request.tools, &request.extra)?;
        // A template writes the special tokens that belong there.
        let adds = self.files.templates.is_empty();
        let wrong = |error: tokenizers::Error| Error::invalid(format!("`messages` cannot be made tokens: {error}"));
        let ids = self.tokenizer.encode_fast(text, adds).map_err(wrong)?.get_ids().to_vec();
        if ids.is_empty() {
            return Err(Error::invalid("`messages` have no text: the model needs something to go on from"));
        }
        Ok(ids)
    }
}

/// The prompt that a model's folder makes of `messages` and `tools`, as [`provider.generate`](crate::Local) takes them, without loading
/// the model.
///
/// # Errors
/// Where the folder has no language model, a message is not as it should be, or the chat template refuses the conversation.
pub fn prompt(folder: &Path, messages: &[Value], tools: &[Value]) -> Result<String> {
    let files = Files::read(folder)?;
    let messages = messages::messages(Some(&Value::List(messages.to_vec())))?;
    let tools = messages::tools(Some(&Value::List(tools.to_vec())))?;
    prompt_text(&files, &messages, &tools, &serde_json::Map::new())
}

fn prompt_text(
    files: &Files,
    messages: &[Json],
    tools: &[Json],
    extra: &serde_json::Map<String, Json>,
) -> Result<String> {
    if files.templates.is_empty() {
        return plain(messages, tools);
    }
    let now = SystemTime::now();
    let render = |tools: &[Json]| {
        let chat = Chat { messages, tools, extra, now };
        let refused = |why| Error::invalid(format!("the model's chat template cannot take this conversation: {why}"));
        files.templates.render(&chat).map_err(refused)
    };
    let text = render(tools)?;
    if !tools.is_empty() && render(&[]).is_ok_and(|without| without == text) {
        return Err(Error::invalid(
            "the model has not learned to call `tools`: its chat template does not mention them",
        ));
    }
    Ok(text)
}

/// A model without a template goes on from a text: that of the messages.
fn plain(messages: &[Json], tools: &[Json]) -> Result<String> {
    if !tools.is_empty() {
        return Err(Error::invalid("the model has no chat template, and so cannot be told of `tools`"));
    }
    let texts: Vec<&str> = messages.iter().filter_map(|message| message["content"].as_str()).collect();
    Ok(texts.join("\n"))
}

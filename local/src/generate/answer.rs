//! What comes out of a model while it answers: tokens become text, text becomes what is shown and what is called. And how it ended.

use std::collections::HashMap;

use millwork_worker::prelude::*;
use rand::rngs::ChaCha12Rng;
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng as _};
use serde_json::Value as Json;
use tokenizers::Tokenizer;

use super::calls::{self, Calls, Piece};
use super::messages;
use super::request::Request;
use super::stop::Stops;
use super::text::Detokeniser;

/// Letters of ids of calls. Mistral's templates want just nine of them.
const ID_LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const ID_LENGTH: usize = 9;

/// A part of an answer.
#[derive(Debug)]
pub(super) enum Event {
    Text(String),
    Call { id: String, name: String, args: Json },
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The model ended it, or a stop string did.
    Stop,
    /// It has as many tokens as it may have.
    Length,
    /// It calls tools.
    ToolCalls,
}

/// Tokens that a request took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) prompt: usize,
    pub(super) completion: usize,
    /// Of the prompt those that an earlier request had read.
    pub(super) cached: usize,
}

/// How an answer ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) usage: Usage,
    pub(super) reason: Reason,
    /// The tokens of the prompt and of the answer, where the request asks for them.
    pub(super) ids: Option<(Vec<u32>, Vec<u32>)>,
}

impl End {
    /// What a result tells of it.
    pub(super) fn to_map(&self) -> Map {
        let mut map = map! { "usage" => self.usage.to_map(), "finish_reason" => self.reason.name() };
        if let Some((prompt, answer)) = &self.ids {
            map.insert("prompt_token_ids".to_owned(), Value::from(prompt.clone()));
            map.insert("token_ids".to_owned(), Value::from(answer.clone()));
        }
        map
    }
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
        }
    }
}

impl Usage {
    fn to_map(self) -> Map {
        map! {
            "prompt_tokens" => self.prompt,
            "completion_tokens" => self.completion,
            "total_tokens" => self.prompt + self.completion,
            "cached_tokens" => self.cached,
        }
    }
}

/// The way from tokens to events.
pub(super) struct Outlet<'a> {
    text: Detokeniser<'a>,
    stops: Stops,
    calls: Calls,
    ids: ChaCha12Rng,
    has_called: bool,
    emit: &'a mut dyn FnMut(Event) -> Result<()>,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(
        request: &Request,
        tokenizer: &'a Tokenizer,
        seed: u64,
        emit: &'a mut dyn FnMut(Event) -> Result<()>,
    ) -> Self {
        // An answer in a given format is no call.
        let tools = request.tools.iter().filter(|_| request.schema.is_none());
        let tools: Vec<String> = tools.map(messages::name_of).collect();
        let mut marks = HashMap::new();
        if !tools.is_empty() {
            marks.extend(calls::marks().filter_map(|mark| Some((tokenizer.token_to_id(mark)?, mark.to_owned()))));
        }
        Self {
            text: Detokeniser::new(tokenizer, marks),
            stops: Stops::new(request.stop.clone()),
            calls: Calls::new(tools),
            ids: ChaCha12Rng::seed_from_u64(seed),
            has_called: false,
            emit,
        }
    }

    /// Takes a token; whether a stop string has come with it.
    pub(super) fn push(&mut self, id: u32) -> Result<bool> {
        let text = self.text.push(id)?;
        self.show(&text)
    }

    /// Gives what was held back, unless it lies behind a stop string; whether tools were called.
    pub(super) fn finish(mut self, is_stopped: bool) -> Result<bool> {
        if !is_stopped {
            let text = self.text.finish()?;
            if !self.show(&text)? {
                let rest = self.stops.finish();
                let pieces = self.calls.push(&rest);
                self.emit(pieces)?;
            }
        }
        let pieces = self.calls.finish();
        self.emit(pieces)?;
        Ok(self.has_called)
    }

    fn show(&mut self, text: &str) -> Result<bool> {
        let (text, stopped) = self.stops.push(text);
        let pieces = self.calls.push(&text);
        self.emit(pieces)?;
        Ok(stopped)
    }

    fn emit(&mut self, pieces: Vec<Piece>) -> Result<()> {
        for piece in pieces {
            let event = match piece {
                Piece::Text(text) => Event::Text(text),
                Piece::Call { name, args } => {
                    self.has_called = true;
                    Event::Call { id: id(&mut self.ids), name, args: Json::Object(args) }
                }
            };
            (self.emit)(event)?;
        }
        Ok(())
    }
}

fn id(chance: &mut impl Rng) -> String {
    (0..ID_LENGTH).filter_map(|_| ID_LETTERS.choose(chance)).map(|letter| char::from(*letter)).collect()
}

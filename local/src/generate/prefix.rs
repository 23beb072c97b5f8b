//! What earlier requests have read: the next turn of a conversation begins as the last one did, and reads only what is new. A few
//! conversations a model are kept, in the worker's cache and counted there.

use millwork_worker::models::{Loaded, Pinned};
use millwork_worker::prelude::*;
use parking_lot::Mutex;

use super::network::Networks;
use super::session::{Read, Session};

/// Conversations of one model that are kept.
const KEPT: usize = 4;

/// The conversations of one model, by their keys in the cache, oldest first.
#[derive(Debug, Default)]
struct Index(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    made: u64,
    keys: Vec<String>,
}

/// A session for a prompt that has read as much of it as any kept conversation has, but not all: the logits behind its last token are
/// wanted.
pub(super) fn session<'a>(model: &str, networks: &'a Networks, prompt: &[u32], cx: &Context) -> Result<Session<'a>> {
    let fresh = || Session::new(networks, true);
    if !networks.has_cache() {
        return Ok(fresh());
    }
    let index = index(model, cx)?;
    let keys = index.0.lock().keys.clone();
    let kept = keys.iter().filter_map(|key| cx.models().get::<Read>(key, &cx.cache_user()));
    let shared = kept.map(|read| (common(&read.tokens, prompt).min(prompt.len().saturating_sub(1)), read));
    match shared.max_by_key(|(length, _)| *length) {
        Some((length, read)) if is_worth(networks, length, prompt.len()) => Session::continued(networks, &read, length),
        _ => Ok(fresh()),
    }
}

/// Keeps what a session has read.
pub(super) fn keep(model: &str, session: Session<'_>, cx: &Context) -> Result<()> {
    let Some(read) = session.finish() else { return Ok(()) };
    let index = index(model, cx)?;
    let key = {
        let mut state = index.0.lock();
        state.made += 1;
        format!("{}#{}", key_of(model), state.made)
    };
    // The earlier turns of the same conversation are in this one, but for an end that was cut into other tokens there.
    let outdated = |key: &String| {
        let earlier = cx.models().get::<Read>(key, &cx.cache_user());
        earlier.is_none_or(|earlier| common(&read.tokens, &earlier.tokens) * 10 >= earlier.tokens.len() * 9)
    };
    let keys = index.0.lock().keys.clone();
    let mut gone: Vec<String> = keys.into_iter().filter(outdated).collect();
    let bytes = read.bytes();
    cx.models().get_or_load(&key, &cx.cache_user(), || {
        let name = format!("{model} (a conversation of {} tokens)", read.tokens.len());
        Ok::<_, Error>(Loaded { value: read, name, bytes })
    })?;
    let mut state = index.0.lock();
    state.keys.retain(|key| !gone.contains(key));
    state.keys.push(key);
    let many = state.keys.len().saturating_sub(KEPT);
    gone.extend(state.keys.drain(..many));
    drop(state);
    cx.models().forget(|key| gone.iter().any(|gone| gone == key));
    Ok(())
}

fn index(model: &str, cx: &Context) -> Result<Pinned<Index>> {
    let load = || Ok(Loaded { value: Index::default(), name: format!("{model} (conversations)"), bytes: 1024 });
    cx.models().get_or_load(&key_of(model), &cx.cache_user(), load)
}

fn key_of(model: &str) -> String {
    format!("conversations:{model}")
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// A graph that takes one token at a time reads a short rest faster than the whole, and a long one slower.
fn is_worth(networks: &Networks, length: usize, all: usize) -> bool {
    length > 0 && (networks.takes_several() || (all - length) * 8 <= all)
}

//! Calls of tools in what a model writes, in the JSON styles that models have learned: between `<tool_call>` and `</tool_call>` (Hermes,
//! Qwen), behind `<|python_tag|>` (Llama 3), `[TOOL_CALLS]` (Mistral) or `<|tool_call|>` (Granite, Phi), or as the whole answer. What
//! may become a call is held back.

use std::collections::HashSet;

use serde_json::{Deserializer, Map as JsonMap, Value as Json};

use super::stop::may_become;

/// Marks before calls, and what may close them.
const MARKS: [(&str, &str); 5] = [
    ("<tool_call>", "</tool_call>"),
    ("<|tool_call|>", "<|/tool_call|>"),
    ("<|tool_call>", "<tool_call|>"),
    ("<|python_tag|>", ""),
    ("[TOOL_CALLS]", ""),
];
/// Between the name and the arguments in Mistral's newer style.
const ARGUMENTS: &str = "[ARGS]";

/// The marks, for whoever must show them although they are special tokens.
pub(super) fn marks() -> impl Iterator<Item = &'static str> {
    MARKS.iter().flat_map(|(open, close)| [*open, *close]).chain([ARGUMENTS]).filter(|mark| !mark.is_empty())
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Call { name: String, args: JsonMap<String, Json> },
}

/// Finds calls in text that comes in pieces.
#[derive(Debug)]
pub(super) struct Calls {
    tools: HashSet<String>,
    held: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Nothing has come yet but space: the whole answer may be a call.
    Start,
    /// In text, where a mark may come.
    Text,
    /// Where a call is expected: behind its mark, or at the beginning of the answer.
    Call(Option<&'static (&'static str, &'static str)>),
    /// Behind a call: what closes it, or another one.
    Behind(Option<&'static (&'static str, &'static str)>),
}

/// What the text that is held begins with.
enum Found {
    Calls(Vec<Piece>, usize),
    NotYet,
    None,
}

impl Calls {
    /// Without tools all is text.
    pub(super) fn new(tools: impl IntoIterator<Item = String>) -> Self {
        Self { tools: tools.into_iter().collect(), held: String::new(), state: State::Start }
    }

    /// Takes further text; gives what is certain.
    pub(super) fn push(&mut self, text: &str) -> Vec<Piece> {
        if self.tools.is_empty() {
            return if text.is_empty() { Vec::new() } else { vec![Piece::Text(text.to_owned())] };
        }
        let was_json = self.state != State::Text && self.is_json();
        self.held.push_str(text);
        // Only a bracket can complete it: long arguments are not read again with each letter.
        if was_json && !text.contains(['}', ']']) { Vec::new() } else { self.advance(false) }
    }

    /// The end: what was held back is a call if it is a whole one, else text.
    pub(super) fn finish(&mut self) -> Vec<Piece> {
        self.advance(true)
    }

    fn is_json(&self) -> bool {
        self.held.trim_start().starts_with(['{', '['])
    }

    fn advance(&mut self, is_end: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        loop {
            let before = (self.held.len(), self.state);
            match self.state {
                State::Start => self.start(is_end),
                State::Text => self.text(is_end, &mut pieces),
                State::Call(mark) => self.call(mark, is_end, &mut pieces),
                State::Behind(mark) => self.behind(mark, is_end),
            }
            if before == (self.held.len(), self.state) {
                return pieces;
            }
        }
    }

    fn start(&mut self, is_end: bool) {
        let begun = self.held.trim_start();
        let may_be_mark = !is_end && marks().any(|mark| mark.len() > begun.len() && mark.starts_with(begun));
        if may_be_mark {
            return;
        }
        let is_mark = marks().any(|mark| begun.starts_with(mark));
        self.state = if self.is_json() && !is_mark { State::Call(None) } else { State::Text };
    }

    fn text(&mut self, is_end: bool, pieces: &mut Vec<Piece>) {
        let mark = MARKS.iter().filter_map(|mark| Some((self.held.find(mark.0)?, mark))).min_by_key(|(at, _)| *at);
        if let Some((at, mark)) = mark {
            let behind = self.held.split_off(at + mark.0.len());
            self.held.truncate(at);
            // Space before a mark belongs to neither.
            show(pieces, self.held.trim_end());
            self.held = behind;
            self.state = State::Call(Some(mark));
            return;
        }
        let kept = if is_end { 0 } else { may_become(&self.held, MARKS.iter().map(|(open, _)| *open)) };
        let certain = self.held.len() - kept;
        // Nor is space shown that a mark may follow.
        let shown = if is_end { certain } else { self.held[..certain].trim_end().len() };
        let rest = self.held.split_off(shown);
        show(pieces, &std::mem::replace(&mut self.held, rest));
    }

    fn call(&mut self, mark: Option<&'static (&'static str, &'static str)>, is_end: bool, pieces: &mut Vec<Piece>) {
        match self.found(mark.is_some()) {
            Found::Calls(calls, length) => {
                pieces.extend(calls);
                self.held.drain(..length);
                self.state = State::Behind(mark);
            }
            Found::NotYet if !is_end => {}
            // What stands there is no call: text, as it was written.
            _ => {
                show(pieces, mark.map_or("", |(open, _)| open));
                self.state = State::Text;
            }
        }
    }

    fn behind(&mut self, mark: Option<&'static (&'static str, &'static str)>, is_end: bool) {
        let rest = self.held.trim_start().to_owned();
        let close = mark.map_or("", |(_, close)| close);
        if let Some(text) = rest.strip_prefix(close).filter(|_| !close.is_empty()) {
            self.held = text.to_owned();
            self.state = State::Text;
        } else if rest.starts_with([',', ';', '{', '[']) && !rest.starts_with("[TOOL_CALLS]") {
            self.held = rest;
            // Only a mark that nothing closes covers what follows.
            self.state = State::Call(None);
        } else if is_end || !rest.is_empty() && !close.starts_with(&rest) {
            self.held = rest;
            self.state = State::Text;
        }
    }

    fn found(&self, is_marked: bool) -> Found {
        let text = self.held.trim_start_matches(|c: char| c.is_whitespace() || c == ';' || c == ',');
        let skipped = self.held.len() - text.len();
        if text.is_empty() {
            return Found::NotYet;
        }
        if let Some((name, arguments)) = named(text).filter(|_| is_marked) {
            return match first_json(arguments) {
                Ok(Some((Json::Object(args), length))) => {
                    let call = Piece::Call { name: name.to_owned(), args };
                    Found::Calls(vec![call], skipped + text.len() - arguments.len() + length)
                }
                Ok(None) => Found::NotYet,
                _ => Found::None,
            };
        }
        match first_json(text) {
            Ok(Some((json, length))) => {
                let list = match json {
                    Json::Array(list) => list,
                    one => vec![one],
                };
                let calls: Option<Vec<Piece>> = list.into_iter().map(|json| self.read(json, is_marked)).collect();
                calls
                    .filter(|calls| !calls.is_empty())
                    .map_or(Found::None, |calls| Found::Calls(calls, skipped + length))
            }
            Ok(None) => Found::NotYet,
            Err(()) if is_marked && is_name(text) => Found::NotYet,
            Err(()) => Found::None,
        }
    }

    /// `{name, arguments}`, by the names that models have learned for both. Behind a mark a call may be of any tool, else it is only
    /// JSON unless there is such a tool.
    fn read(&self, json: Json, is_marked: bool) -> Option<Piece> {
        let Json::Object(mut call) = json else { return None };
        if let Some(Json::Object(inner)) = call.get_mut("function") {
            call = std::mem::take(inner);
        }
        let name = call.get("name").and_then(Json::as_str)?.to_owned();
        if !is_marked && !self.tools.contains(&name) {
            return None;
        }
        let given = ["arguments", "parameters", "args"].into_iter().find_map(|key| call.remove(key));
        let args = match given {
            None | Some(Json::Null) if is_marked => JsonMap::new(),
            Some(Json::Object(args)) => args,
            Some(Json::String(text)) => serde_json::from_str(&text).ok()?,
            _ => return None,
        };
        Some(Piece::Call { name, args })
    }
}

/// `name[ARGS]{…}` or `name{…}`.
fn named(text: &str) -> Option<(&str, &str)> {
    let end = text.find(ARGUMENTS).into_iter().chain(text.find('{')).min()?;
    let name = text[..end].trim();
    let arguments = text[end..].strip_prefix(ARGUMENTS).unwrap_or(&text[end..]);
    is_name(name).then_some((name, arguments))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.trim_end().chars().all(|c| c.is_alphanumeric() || "_-.[".contains(c))
        && !text.starts_with('[')
}

/// The JSON value that a text begins with and its length; nothing while it is not whole.
fn first_json(text: &str) -> Result<Option<(Json, usize)>, ()> {
    if !text.starts_with(['{', '[']) {
        return if text.is_empty() { Ok(None) } else { Err(()) };
    }
    let mut values = Deserializer::from_str(text).into_iter::<Json>();
    match values.next() {
        Some(Ok(json)) => Ok(Some((json, values.byte_offset()))),
        Some(Err(error)) if !error.is_eof() => Err(()),
        _ => Ok(None),
    }
}

fn show(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What comes of a text that arrives whole, letter by letter and in pieces of three: always the same.
    fn pieces(text: &str) -> Vec<Piece> {
        let letters: Vec<char> = text.chars().collect();
        let ways = [letters.len().max(1), 1, 3].map(|size| {
            let mut calls = Calls::new(["add".to_owned(), "get_weather".to_owned()]);
            let mut found: Vec<Piece> = Vec::new();
            let parts =
                letters.chunks(size).map(|part| calls.push(&part.iter().collect::<String>())).collect::<Vec<_>>();
            for piece in parts.into_iter().flatten().chain(calls.finish()) {
                match (found.last_mut(), piece) {
                    (Some(Piece::Text(before)), Piece::Text(more)) => before.push_str(&more),
                    (_, piece) => found.push(piece),
                }
            }
            found
        });
        assert_eq!(ways[0], ways[1], "{text}");
        assert_eq!(ways[0], ways[2], "{text}");
        ways.into_iter().next().unwrap()
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    fn call(name: &str, args: Json) -> Piece {
        Piece::Call { name: name.into(), args: args.as_object().cloned().unwrap() }
    }

    #[test]
    fn calls_between_tags() {
        let add = |a, b| call("add", json!({"a": a, "b": b}));
        let one = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}\n</tool_call>";
        assert_eq!(pieces(one), [add(1, 2)]);
        let two = format!("I add.\n\n{one}\n<tool_call>\n{{\"name\": \"other\"}}</tool_call>\nDone.");
        assert_eq!(pieces(&two), [text("I add."), add(1, 2), call("other", json!({})), text("\nDone.")]);
        assert_eq!(
            pieces("<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1"),
            [text("<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1")]
        );
        assert_eq!(pieces("a <tool_ b < c"), [text("a <tool_ b < c")]);
    }

    #[test]
    fn calls_behind_marks() {
        let paris = call("get_weather", json!({"city": "Paris"}));
        let json = "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}";
        assert_eq!(pieces(&format!("<|python_tag|>{json}; {json}")), [paris.clone(), paris.clone()]);
        assert_eq!(pieces(&format!("[TOOL_CALLS][{json}, {json}]")), [paris.clone(), paris.clone()]);
        assert_eq!(pieces("[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Paris\"}"), std::slice::from_ref(&paris));
        let text_arguments =
            "<|tool_call|>[{\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"Paris\\\"}\"}]";
        assert_eq!(pieces(text_arguments), [paris]);
        assert_eq!(pieces("<|python_tag|>print(1)"), [text("<|python_tag|>print(1)")]);
    }

    #[test]
    fn a_whole_answer_may_be_a_call() {
        let json = "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"東京\"}}";
        assert_eq!(pieces(json), [call("get_weather", json!({"city": "東京"}))]);
        assert_eq!(
            pieces("{\"name\": \"Bob\", \"parameters\": {}}"),
            [text("{\"name\": \"Bob\", \"parameters\": {}}")]
        );
        assert_eq!(pieces("[1, 2] are numbers"), [text("[1, 2] are numbers")]);
        assert_eq!(pieces(&format!("See: {json}")), [text(&format!("See: {json}"))]);
        assert_eq!(pieces("  Hello "), [text("  Hello ")]);
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn without_tools_all_is_text() {
        let mut calls = Calls::new([]);
        assert_eq!(calls.push("<tool_call>"), [text("<tool_call>")]);
    }
}

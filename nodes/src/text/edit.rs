//! Small steps: put together, take apart, replace, trim, count.

use millwork_worker::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::{fits, plain};

/// Puts texts one after the other.
#[derive(Node)]
#[node("text.Concat")]
pub(super) struct Concat {
    /// The first.
    #[node(default)]
    a: String,
    /// The second.
    #[node(default)]
    b: String,
    /// Each further field, in the order that they come in: a text, a number or a boolean.
    #[node(dynamic)]
    more: Map,
}

impl Run for Concat {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        let mut text = self.a + &self.b;
        for (name, value) in self.more {
            text += &plain(value).context(format!("field `{name}`"))?;
        }
        Ok(text)
    }
}

/// Joins a list of texts with a separator between.
#[derive(Node)]
#[node("text.Join")]
pub(super) struct Join {
    /// Texts, numbers or booleans.
    items: Vec<Value>,
    /// What stands between them.
    #[node(default)]
    separator: String,
}

impl Run for Join {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        let items = self.items.into_iter().enumerate().map(|(i, item)| plain(item).context(format!("element {i}")));
        let items = items.collect::<Result<Vec<_>>>()?;
        let between = self.separator.len().checked_mul(items.len().saturating_sub(1));
        fits(between.and_then(|between| between.checked_add(items.iter().map(String::len).sum())))?;
        Ok(items.join(&self.separator))
    }
}

/// Splits a text into a list at each separator.
#[derive(Node)]
#[node("text.Split")]
pub(super) struct Split {
    /// The text.
    text: String,
    /// What separates the parts; empty means any run of white space.
    #[node(default)]
    separator: String,
    /// The most parts; the last one holds the rest.
    #[node(min = 1)]
    limit: Option<usize>,
    /// Remove white space around each part.
    #[node(default)]
    trim: bool,
    /// Leave out empty parts.
    #[node(default)]
    skip_empty: bool,
}

impl Run for Split {
    type Output = Vec<String>;

    fn run(self, _: &Context) -> Result<Vec<String>> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let parts: Vec<&str> = if self.separator.is_empty() {
            words(&self.text, limit)
        } else {
            self.text.splitn(limit, &self.separator).collect()
        };
        let parts = parts.into_iter().map(|part| if self.trim { part.trim() } else { part });
        Ok(parts.filter(|part| !(self.skip_empty && part.is_empty())).map(str::to_owned).collect())
    }
}

/// The words between white space, the last one with all that is left.
fn words(text: &str, limit: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while words.len() + 1 < limit {
        let Some((word, tail)) = rest.split_once(char::is_whitespace) else { break };
        words.push(word);
        rest = tail.trim_start();
    }
    if !rest.is_empty() {
        words.push(rest);
    }
    words
}

/// Replaces a piece of text wherever it stands.
#[derive(Node)]
#[node("text.Replace")]
pub(super) struct Replace {
    /// The text.
    text: String,
    /// What is looked for, letter by letter.
    find: String,
    /// What stands in its place.
    #[node(default)]
    replacement: String,
    /// How many are replaced, from the start; all without it.
    limit: Option<usize>,
}

impl Run for Replace {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        if self.find.is_empty() {
            return Err(Error::invalid("field `find` is empty: say what is to be replaced"));
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        let found = self.text.matches(&self.find).take(limit).count();
        let kept = self.text.len() - found * self.find.len();
        fits(found.checked_mul(self.replacement.len()).and_then(|new| new.checked_add(kept)))?;
        Ok(self.text.replacen(&self.find, &self.replacement, limit))
    }
}

/// Takes a part of a text, counted in characters as a reader sees them.
#[derive(Node)]
#[node("text.Slice")]
pub(super) struct Slice {
    /// The text.
    text: String,
    /// The first character that is taken; negative counts from the end.
    #[node(default = 0)]
    start: i64,
    /// The character before which it ends; negative counts from the end, and without it all of the rest is taken.
    stop: Option<i64>,
}

impl Run for Slice {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        let len = self.text.graphemes(true).count();
        let place = |n: i64| {
            let from_end = if n < 0 { n.saturating_add_unsigned(len as u64) } else { n };
            usize::try_from(from_end).unwrap_or(0).min(len)
        };
        let (start, stop) = (place(self.start), self.stop.map_or(len, place));
        Ok(self.text.graphemes(true).take(stop).skip(start).collect())
    }
}

/// How letters are written.
#[derive(Choice, Debug, Clone, Copy)]
enum Letters {
    /// all small
    Lower,
    /// ALL LARGE
    Upper,
    /// The First Of Each Word Large
    Title,
    /// The first of the text large
    Sentence,
}

/// Changes letters to small or large ones.
#[derive(Node)]
#[node("text.Case")]
pub(super) struct Case {
    /// The text.
    text: String,
    /// lower, upper, title (the first letter of each word large) or sentence (only the first of all).
    #[node(default = Letters::Lower)]
    case: Letters,
}

impl Run for Case {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        Ok(match self.case {
            Letters::Lower => self.text.to_lowercase(),
            Letters::Upper => self.text.to_uppercase(),
            Letters::Title => self.text.split_word_bounds().map(capitalized).collect(),
            Letters::Sentence => capitalized(&self.text),
        })
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters.as_str().to_lowercase().chars()).collect(),
        None => String::new(),
    }
}

/// Where characters are removed.
#[derive(Choice, Debug, Clone, Copy, PartialEq)]
enum Side {
    Both,
    Start,
    End,
}

/// Removes white space, or other characters, from the ends of a text.
#[derive(Node)]
#[node("text.Trim")]
pub(super) struct Trim {
    /// The text.
    text: String,
    /// The characters to remove, in any order; empty means white space.
    #[node(default)]
    characters: String,
    /// At which end.
    #[node(default = Side::Both)]
    side: Side,
}

impl Run for Trim {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        let removed = |c: char| {
            if self.characters.is_empty() { c.is_whitespace() } else { self.characters.contains(c) }
        };
        let mut text = self.text.as_str();
        if self.side != Side::End {
            text = text.trim_start_matches(removed);
        }
        if self.side != Side::Start {
            text = text.trim_end_matches(removed);
        }
        Ok(text.to_owned())
    }
}

/// Counts a text in every usual unit.
#[derive(Node)]
#[node("text.Length")]
pub(super) struct Length {
    /// The text.
    text: String,
}

/// The counts.
#[derive(Outputs)]
pub(super) struct Counts {
    /// Characters as a reader sees them: an emoji or a letter with its accent is one.
    characters: usize,
    /// Words.
    words: usize,
    /// Lines; an empty text has none.
    lines: usize,
    /// Bytes in UTF-8.
    bytes: usize,
}

impl Run for Length {
    type Output = Counts;

    fn run(self, _: &Context) -> Result<Counts> {
        Ok(Counts {
            characters: self.text.graphemes(true).count(),
            words: self.text.unicode_words().count(),
            lines: self.text.lines().count(),
            bytes: self.text.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    fn output(call: NodeTest) -> serde_json::Value {
        call.run().unwrap().outputs["output"].to_json()
    }

    #[test]
    fn together() {
        let concat =
            NodeTest::new::<Concat>().field("z", "!").field("b", "b").field("y", 2.5).field("a", "a").field("x", true);
        assert_eq!(output(concat), "ab!2.5true");
        let error = NodeTest::new::<Concat>().field("c", Value::List(vec![])).run().unwrap_err();
        assert_eq!(error.message(), "field `c`: expected a text or a number, got list");
        let items = Value::List(vec!["a".into(), 1.into(), "c".into()]);
        assert_eq!(output(NodeTest::new::<Join>().field("items", items.clone()).field("separator", ", ")), "a, 1, c");
        let long = NodeTest::new::<Join>().field("items", items).field("separator", "x".repeat(40 << 20));
        assert!(long.run().unwrap_err().message().starts_with("the result takes 83886083 bytes"));
    }

    #[test]
    fn apart() {
        let split = |text: &str, separator: &str, limit: Option<i64>| {
            let call = NodeTest::new::<Split>().field("text", text).field("separator", separator);
            output(call.field("limit", limit.map(Value::from)))
        };
        assert_eq!(split("a,b,,c", ",", None), serde_json::json!(["a", "b", "", "c"]));
        assert_eq!(split("a,b,,c", ",", Some(2)), serde_json::json!(["a", "b,,c"]));
        assert_eq!(split("  a \n b\tc ", "", None), serde_json::json!(["a", "b", "c"]));
        assert_eq!(split("  a \n b\tc ", "", Some(2)), serde_json::json!(["a", "b\tc"]));
        assert_eq!(split(" ", "", None), serde_json::json!([]));
        let tidy = NodeTest::new::<Split>().field("text", " a ; ;b").field("separator", ";");
        assert_eq!(output(tidy.field("trim", true).field("skip_empty", true)), serde_json::json!(["a", "b"]));
    }

    #[test]
    fn replaced() {
        let call = || NodeTest::new::<Replace>().field("text", "aXbXc").field("find", "X").field("replacement", "--");
        assert_eq!(output(call()), "a--b--c");
        assert_eq!(output(call().field("limit", 1)), "a--bXc");
        assert!(call().field("find", "").run().unwrap_err().message().contains("`find` is empty"));
        let long = call().field("text", "X".repeat(100_000)).field("replacement", "y".repeat(1000));
        assert!(long.run().unwrap_err().message().starts_with("the result takes 100000000 bytes"));
    }

    #[test]
    fn parts_in_characters() {
        let slice = |start: i64, stop: Option<i64>| {
            let call = NodeTest::new::<Slice>().field("text", "he\u{301}👩‍🚀lo").field("start", start);
            output(call.field("stop", stop.map(Value::from)))
        };
        assert_eq!(slice(1, Some(3)), "e\u{301}👩‍🚀");
        assert_eq!(slice(-2, None), "lo");
        assert_eq!(slice(3, Some(1)), "");
        assert_eq!(slice(i64::MIN, Some(i64::MAX)), "he\u{301}👩‍🚀lo");
    }

    #[test]
    fn letters_and_ends() {
        let case = |case: &str| output(NodeTest::new::<Case>().field("text", "the QUICK straße").field("case", case));
        assert_eq!(case("upper"), "THE QUICK STRASSE");
        assert_eq!(case("lower"), "the quick straße");
        assert_eq!(case("title"), "The Quick Straße");
        assert_eq!(case("sentence"), "The quick straße");
        let trim = |characters: &str, side: &str| {
            let call = NodeTest::new::<Trim>().field("text", "--\ta- ").field("characters", characters);
            output(call.field("side", side))
        };
        assert_eq!(trim("", "both"), "--\ta-");
        assert_eq!(trim("- \t", "both"), "a");
        assert_eq!(trim("-", "start"), "\ta- ");
        assert_eq!(trim(" ", "end"), "--\ta-");
    }

    #[test]
    fn counts() {
        let counts = NodeTest::new::<Length>().field("text", "Dr. Müller's cat 👩‍🚀\nsleeps.").run().unwrap().outputs;
        let counts = Value::Map(counts).to_json();
        assert_eq!(counts, serde_json::json!({"characters": 26, "words": 4, "lines": 2, "bytes": 37}));
    }
}

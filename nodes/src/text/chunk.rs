//! Long texts into pieces that a model can take.

use std::ops::Range;

use millwork_worker::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::{MAX_TEXT, fits};

/// What the length of a piece is counted in.
#[derive(Choice, Debug, Clone, Copy)]
enum Unit {
    /// Characters as a reader sees them.
    Characters,
    /// Words between white space.
    Words,
    /// Sentences, as Unicode's rules (UAX 29) find them.
    Sentences,
}

/// Cuts a text into pieces of a length, each beginning with the end of the one before where an overlap is asked for.
#[derive(Node)]
#[node("text.Chunk")]
pub(super) struct Chunk {
    /// The text, up to 64 MiB.
    text: String,
    /// What lengths are counted in.
    #[node(default = Unit::Words)]
    unit: Unit,
    /// The length of a piece; the last one may be shorter.
    #[node(default = 200, min = 1)]
    size: usize,
    /// How much of a piece stands in the next one again; less than `size`.
    #[node(default = 20, min = 0)]
    overlap: usize,
}

impl Run for Chunk {
    type Output = Vec<String>;

    fn run(self, cx: &Context) -> Result<Vec<String>> {
        fits(Some(self.text.len()))?;
        if self.overlap >= self.size {
            let Self { overlap, size, .. } = self;
            return Err(Error::invalid(format!(
                "`overlap` is {overlap} and must be less than `size`, which is {size}"
            )));
        }
        let units = units(&self.text, self.unit);
        cx.check()?;
        let mut pieces = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        while start < units.len() {
            let stop = start.saturating_add(self.size).min(units.len());
            if let (Some(first), Some(last)) = (units.get(start), units.get(stop - 1)) {
                pieces.push(first.start..last.end);
                bytes += last.end - first.start;
            }
            // An overlap of nearly all would make nearly as many copies as there are units.
            if bytes > MAX_TEXT {
                return Err(Error::invalid(format!(
                    "the pieces together take over {MAX_TEXT} bytes: a smaller `overlap` makes fewer"
                )));
            }
            if stop == units.len() {
                break;
            }
            start = stop - self.overlap;
        }
        Ok(pieces.into_iter().filter_map(|range| self.text.get(range)).map(str::to_owned).collect())
    }
}

/// Where each unit stands, in bytes, without the white space around words and sentences.
fn units(text: &str, unit: Unit) -> Vec<Range<usize>> {
    let place = |part: &str, offset: usize| offset..offset + part.len();
    let trimmed = |part: &str, offset: usize| {
        let start = offset + part.len() - part.trim_start().len();
        start..start + part.trim().len()
    };
    match unit {
        Unit::Characters => text.grapheme_indices(true).map(|(offset, part)| place(part, offset)).collect(),
        Unit::Words => {
            let mut offset = 0;
            let pieces = text.split_inclusive(char::is_whitespace).map(|part| {
                offset += part.len();
                trimmed(part, offset - part.len())
            });
            pieces.filter(|range| !range.is_empty()).collect()
        }
        Unit::Sentences => {
            let pieces = text.split_sentence_bound_indices().map(|(offset, part)| trimmed(part, offset));
            pieces.filter(|range| !range.is_empty()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    fn chunks(text: &str, unit: &str, size: i64, overlap: i64) -> Result<serde_json::Value> {
        let call = NodeTest::new::<Chunk>().field("text", text).field("unit", unit).field("size", size);
        call.field("overlap", overlap).run().map(|emitted| emitted.outputs["output"].to_json())
    }

    #[test]
    fn each_unit() {
        assert_eq!(chunks("abcdefg", "characters", 3, 1).unwrap(), serde_json::json!(["abc", "cde", "efg"]));
        assert_eq!(chunks("abcdefgh", "characters", 3, 1).unwrap(), serde_json::json!(["abc", "cde", "efg", "gh"]));
        assert_eq!(chunks("e\u{301}👩‍🚀x", "characters", 1, 0).unwrap(), serde_json::json!(["e\u{301}", "👩‍🚀", "x"]));
        assert_eq!(
            chunks(" one  two\nthree four ", "words", 2, 0).unwrap(),
            serde_json::json!(["one  two", "three four"])
        );
        let text = "It rains. Does it? It does!\n\nThen we stay.";
        assert_eq!(
            chunks(text, "sentences", 2, 1).unwrap(),
            serde_json::json!(["It rains. Does it?", "Does it? It does!", "It does!\n\nThen we stay."])
        );
        assert_eq!(chunks("  ", "words", 5, 0).unwrap(), serde_json::json!([]));
        assert_eq!(chunks("a b", "words", i64::MAX, 0).unwrap(), serde_json::json!(["a b"]));
    }

    #[test]
    fn settings_that_make_no_sense() {
        assert!(chunks("a", "words", 2, 2).unwrap_err().message().contains("must be less than `size`"));
        assert!(chunks("a", "words", 0, 0).unwrap_err().message().contains("at least 1"));
        let bomb = chunks(&"a".repeat(1 << 20), "characters", 1 << 19, (1 << 19) - 1).unwrap_err();
        assert!(bomb.message().contains("a smaller `overlap`"), "{bomb}");
    }
}

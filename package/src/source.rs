//! The text of a package.toml: from byte offsets to lines and columns.

use std::ops::Range;

use crate::problem::{Kind, Place, Problem};
use crate::read::MANIFEST;

/// Nobody looks for a column behind so many bytes: there it counts those, and a text of one line takes no time.
const LONG: usize = 4096;

/// A text whose parts have places.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text: text.to_owned(), lines: std::iter::once(0).chain(breaks).collect() }
    }

    /// Where a span begins.
    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        let mut start = span.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let line = self.lines.partition_point(|begin| *begin <= start).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let before = &self.text[begin..start];
        let column = if before.len() > LONG { before.len() } else { before.chars().count() };
        Place { line: number(line), column: number(column + 1) }
    }

    /// A problem in the manifest at a span.
    pub(crate) fn problem(&self, kind: Kind, text: impl Into<String>, span: &Range<usize>) -> Problem {
        Problem::new(kind, text).at(MANIFEST, Some(self.place(span)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let source = Source::new("a = 1\nü = \"é\" # x\n");
        let place = |at: usize| {
            let Place { line, column } = source.place(&(at..at));
            (line, column)
        };
        assert_eq!((place(0), place(4), place(6), place(8), place(900)), ((1, 1), (1, 5), (2, 1), (2, 2), (3, 1)));
        assert_eq!(place(7), (2, 1), "inside a character");
    }
}

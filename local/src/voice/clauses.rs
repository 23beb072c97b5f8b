//! Where a text may fall into clauses, and which mark ends each, by the rules of espeak-ng. Whether it does fall apart there only
//! espeak-ng knows: `phonemes` asks it.

use std::ops::Range;

/// How a clause ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ending {
    /// What stands for it among the phonemes.
    pub(super) written: &'static str,
    pub(super) ends_sentence: bool,
}

/// A part of a text that may be a clause: bytes of the text, and how they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Range<usize>,
    pub(super) ending: Ending,
}

/// Pieces are given to espeak-ng in blocks of so many bytes: a block takes it about as long as a sentence of speech takes to be
/// made.
const BLOCK: usize = 600;
/// No piece is longer: espeak-ng itself cuts clauses at about 800 bytes.
const LONGEST_PIECE: usize = 2000;

/// What a mark means; the second is whether a letter may follow at once.
fn ending(mark: char) -> Option<(Ending, bool)> {
    let (written, ends_sentence, is_free) = match mark {
        '.' => (".", true, false),
        '?' | '؟' => ("?", true, false),
        '!' => ("!", true, false),
        ',' | '،' => (",", false, false),
        ':' => (":", false, false),
        ';' | '؛' | '–' | '—' => (";", false, false),
        '…' | '¿' | '¡' => ("", false, true),
        // Marks of scripts that have no spaces are not written.
        '。' | '！' | '？' | '।' | '॥' => ("", true, true),
        '、' | '，' | '；' | '：' => ("", false, true),
        _ => return None,
    };
    Some((Ending { written, ends_sentence }, is_free))
}

/// Quotes and brackets: a mark before one stands apart.
fn closes(c: char) -> bool {
    matches!(c, '"' | '\'' | '(' | ')' | '[' | ']' | '{' | '}' | '“' | '”' | '’' | '»')
}

/// The pieces of a text, which together are all of it.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut start, mut has_words) = (0, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at = text.len() - rest.len();
        let cut = if has_words { cut(rest) } else { None };
        let (ending, length) = match cut {
            Some(cut) => cut,
            None if has_words && at - start > LONGEST_PIECE && c.is_whitespace() => (Ending::default(), c.len_utf8()),
            None if at - start > 2 * LONGEST_PIECE => (Ending::default(), c.len_utf8()),
            None => {
                has_words |= c.is_alphanumeric();
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        let end = at + length;
        pieces.push(Piece { bytes: start..end, ending });
        (start, has_words, rest) = (end, false, &text[end..]);
    }
    match pieces.last_mut() {
        // What holds no words belongs to what is before it.
        Some(last) if !has_words => last.bytes.end = text.len(),
        _ if start < text.len() => pieces.push(Piece { bytes: start..text.len(), ending: Ending::default() }),
        _ => {}
    }
    pieces
}

/// Whether a clause may end where `rest` begins: how, and how many bytes of marks, quotes and blanks belong to it.
fn cut(rest: &str) -> Option<(Ending, usize)> {
    let first = rest.chars().next()?;
    if first != '\n' && ending(first).is_none() {
        return None;
    }
    let tail = rest.trim_start_matches(|c: char| closes(c) || c.is_whitespace() || ending(c).is_some());
    let marks = &rest[..rest.len() - tail.len()];
    if first == '\n' {
        // An empty line ends a paragraph.
        let line = rest[1..].trim_start_matches(|c: char| c.is_whitespace() && c != '\n');
        let ending = Ending { written: "", ends_sentence: true };
        return line.starts_with('\n').then_some((ending, rest.len() - line.trim_start().len()));
    }
    if rest.starts_with("...") {
        return Some((Ending::default(), marks.len()));
    }
    let (ending, is_free) = ending(first)?;
    let after = rest[first.len_utf8()..].trim_start_matches(closes_or_marks);
    let stands_apart = after.chars().next().is_none_or(is_space) || after.len() < rest.len() - first.len_utf8();
    let goes_on = first == '.' && tail.chars().next().is_some_and(char::is_lowercase);
    (is_free || (stands_apart && !goes_on)).then_some((ending, marks.len()))
}

fn closes_or_marks(c: char) -> bool {
    closes(c) || ending(c).is_some()
}

/// A blank that parts words: those that hold them together do not count.
fn is_space(c: char) -> bool {
    c.is_whitespace() && !matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}')
}

/// Pieces in blocks, each of which ends with a sentence where that is possible. They are ranges of pieces.
pub(super) fn blocks(text: &str, pieces: &[Piece]) -> Vec<Range<usize>> {
    let (mut blocks, mut start) = (Vec::new(), 0);
    for (i, piece) in pieces.iter().enumerate() {
        let from = pieces.get(start).map_or(0, |first| first.bytes.start);
        let size = piece.bytes.end - from;
        if (size >= BLOCK && is_sure(text, piece)) || size >= 4 * BLOCK {
            blocks.push(start..i + 1);
            start = i + 1;
        }
    }
    if start < pieces.len() {
        blocks.push(start..pieces.len());
    }
    blocks
}

/// Whether a piece ends a sentence and no abbreviation.
fn is_sure(text: &str, piece: &Piece) -> bool {
    let word = text[piece.bytes.clone()].split_whitespace().last().unwrap_or_default();
    let letters = word.trim_matches(|c: char| !c.is_alphanumeric());
    piece.ending.ends_sentence
        && (piece.ending.written != "." || (letters.chars().count() > 3 && !letters.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_up(text: &str) -> Vec<(&str, &str, bool)> {
        let pieces = super::pieces(text);
        assert_eq!(pieces.iter().map(|piece| &text[piece.bytes.clone()]).collect::<String>(), text);
        let told = |piece: &Piece| (text[piece.bytes.clone()].trim(), piece.ending.written, piece.ending.ends_sentence);
        // Slices of the text, which outlive the pieces.
        pieces.iter().map(told).collect()
    }

    #[test]
    fn marks_cut_where_espeak_cuts() {
        assert_eq!(cut_up("Hello, world! Yes"), [("Hello,", ",", false), ("world!", "!", true), ("Yes", "", false)]);
        let whole =
            ["one,two", "3.14 is pi", "e.g. this", "12:30 now", "one—two", "1,000", "x.com/a?b", "one.\u{a0}Two"];
        for text in whole {
            assert_eq!(cut_up(text), [(text, "", false)], "{text}");
        }
        assert_eq!(cut_up("one... two"), [("one...", "", false), ("two", "", false)]);
        assert_eq!(cut_up("Well…I know"), [("Well…", "", false), ("I know", "", false)]);
        assert_eq!(cut_up("He said \"stop.\" Then"), [("He said \"stop.\"", ".", true), ("Then", "", false)]);
        assert_eq!(cut_up("¿Qué tal? ¡Bien!"), [("¿Qué tal? ¡", "?", true), ("Bien!", "!", true)]);
        assert_eq!(cut_up("你好。好吗？"), [("你好。", "", true), ("好吗？", "", true)]);
        assert_eq!(cut_up("a – b"), [("a –", ";", false), ("b", "", false)]);
        assert_eq!(cut_up("a\n \nb\nc"), [("a", "", true), ("b\nc", "", false)]);
        assert_eq!(cut_up("What?! No."), [("What?!", "?", true), ("No.", ".", true)]);
        assert_eq!(cut_up("... !"), [("... !", "", false)]);
        assert_eq!(cut_up(""), []);
    }

    #[test]
    fn blocks_end_with_sentences() {
        let text = "This is a sentence, and it goes onward. ".repeat(100);
        let all = pieces(&text);
        let blocks = blocks(&text, &all);
        assert!(blocks.len() > 4 && blocks.iter().all(|block| all[block.end - 1].ending.ends_sentence));
        assert_eq!(blocks.iter().map(Range::len).sum::<usize>(), all.len());
        let words = "word ".repeat(20_000);
        assert!(pieces(&words).iter().all(|piece| piece.bytes.len() < 2 * LONGEST_PIECE));
        let one = "é".repeat(100_000);
        assert!(pieces(&one).iter().all(|piece| piece.bytes.len() < 3 * LONGEST_PIECE));
    }
}

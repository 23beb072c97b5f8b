//! Text as phonemes, sentence by sentence, as the voices of Piper were trained on: what the program espeak-ng says in IPA,
//! with the marks between clauses kept, as single code points (Unicode NFD).

use std::path::PathBuf;
use std::time::Duration;

use millwork_worker::child::Command;
use millwork_worker::{CancelToken, Error, Result};
use tokenizers::normalizers::NFD;
use tokenizers::{NormalizedString, Normalizer as _};

use super::clauses::{Ending, Piece};
use crate::programs;

/// The program.
const PROGRAM: &str = "espeak-ng";

/// How to come by it.
pub(super) const HINT: &str = "voices of Piper need the program espeak-ng, which is not installed: `apt install espeak-ng`, \
     `dnf install espeak-ng`, `brew install espeak-ng`, or see github.com/espeak-ng/espeak-ng";

/// What makes phonemes of a text.
#[derive(Debug)]
pub(super) enum Speller<'a> {
    /// The program espeak-ng, with the voice of this name.
    Espeak { program: PathBuf, voice: &'a str, cancel: &'a CancelToken },
    /// The letters are the phonemes.
    Letters,
}

/// A clause: its phonemes, and how it ends.
type Clause = (String, Ending);

/// Whether the program is installed.
pub(super) fn is_installed() -> bool {
    programs::find(PROGRAM).is_some()
}

impl<'a> Speller<'a> {
    /// The speller of voices that were trained on the phonemes of espeak-ng's `voice`.
    ///
    /// # Errors
    /// Where the program is not installed, with how to come by it.
    pub(super) fn espeak(voice: &'a str, cancel: &'a CancelToken) -> Result<Self> {
        let program = programs::find(PROGRAM).ok_or_else(|| Error::unavailable(HINT).permanent())?;
        Ok(Self::Espeak { program, voice, cancel })
    }

    /// The sentences of some pieces of a text; those without phonemes are left out.
    pub(super) fn sentences(&self, text: &str, pieces: &[Piece]) -> Result<Vec<Vec<char>>> {
        let clauses = match self {
            Self::Letters => letters(text, pieces),
            Self::Espeak { .. } => self.clauses(text, pieces)?,
        };
        let mut sentences = vec![Vec::new()];
        for (phonemes, Ending { ends_sentence, .. }) in clauses {
            if let Some(sentence) = sentences.last_mut() {
                sentence.extend(decomposed(&phonemes));
            }
            if ends_sentence {
                sentences.push(Vec::new());
            }
        }
        sentences.retain(|sentence| !sentence.is_empty());
        Ok(sentences)
    }

    /// What espeak-ng makes of the pieces: mostly a clause each. Where it cuts otherwise, every place is tried with the two
    /// pieces around it.
    fn clauses(&self, text: &str, pieces: &[Piece]) -> Result<Vec<Clause>> {
        let lines = self.lines(text, pieces)?;
        let middle = pieces.len() / 2;
        let [before, after] = match pieces {
            _ if lines.len() == pieces.len() => {
                return Ok(lines.iter().zip(pieces).map(|(line, piece)| clause(line, piece.ending)).collect());
            }
            [] => return Ok(Vec::new()),
            [only] => {
                let last = lines.len().saturating_sub(1);
                let ending = |i| if i == last { only.ending } else { Ending::default() };
                return Ok(lines.iter().enumerate().map(|(i, line)| clause(line, ending(i))).collect());
            }
            _ => [&pieces[middle - 1], &pieces[middle]],
        };
        let around = &pieces[middle - 1..=middle];
        let parts = if pieces.len() == 2 { lines.len() } else { self.lines(text, around)?.len() };
        if parts >= 2 {
            let (left, right) = pieces.split_at(middle);
            return Ok([self.clauses(text, left)?, self.clauses(text, right)?].concat());
        }
        // The mark between them is none: an abbreviation, a number.
        let mut merged = pieces.to_vec();
        merged[middle] = Piece { bytes: before.bytes.start..after.bytes.end, ending: after.ending };
        merged.remove(middle - 1);
        self.clauses(text, &merged)
    }

    /// What espeak-ng writes: a line for each clause.
    fn lines(&self, text: &str, pieces: &[Piece]) -> Result<Vec<String>> {
        let (Self::Espeak { program, voice, cancel }, Some(first), Some(last)) = (self, pieces.first(), pieces.last())
        else {
            return Ok(Vec::new());
        };
        let text = plain(&text[first.bytes.start..last.bytes.end]);
        let (most, limit) = (64 * text.len() + 4096, Duration::from_secs(60));
        let command = Command::new(program.as_path()).args(["--ipa", "-q", "-b", "1", "--stdin", "-v", voice]);
        let (output, finished) =
            command.stdin(text).most_output(most).limit(limit).output(cancel).map_err(|error| error.into_error())?;
        if !finished.is_success {
            let said = finished.stderr.lines().next().unwrap_or_default();
            let text = format!("espeak-ng ended with {} for its voice {voice:?}: {said}", finished.how);
            return Err(Error::unavailable(text).permanent());
        }
        let mut lines: Vec<String> =
            String::from_utf8_lossy(&output).lines().map(|line| line.trim().to_owned()).collect();
        // A bracket behind the last mark is a clause of its own, without a sound.
        while lines.len() > pieces.len() && lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Ok(lines)
    }
}

/// Text that espeak-ng takes for nothing else: no commands, which begin with a control character, and no phonemes in brackets.
fn plain(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    plain.replace("[[", "[ [")
}

/// A line with the clause's mark behind it. Between brackets espeak-ng writes that it changes the language: no phonemes.
fn clause(line: &str, ending: Ending) -> Clause {
    let mut phonemes = String::new();
    let mut rest = line;
    while let Some((before, flagged)) = rest.split_once('(') {
        phonemes.push_str(before);
        match flagged.split_once(')') {
            Some((flag, after)) if !flag.is_empty() => rest = after,
            _ => {
                phonemes.push('(');
                rest = flagged;
            }
        }
    }
    phonemes.push_str(rest);
    phonemes.push_str(ending.written);
    if !ending.ends_sentence && !ending.written.is_empty() {
        phonemes.push(' ');
    }
    (phonemes, ending)
}

/// The letters of the pieces, marks among them. Blanks between sentences belong to none.
fn letters(text: &str, pieces: &[Piece]) -> Vec<Clause> {
    let mut starts = true;
    let clause = |piece: &Piece| {
        let letters = &text[piece.bytes.clone()];
        let letters = if starts { letters.trim_start() } else { letters };
        starts = piece.ending.ends_sentence;
        (if starts { letters.trim_end() } else { letters }.to_owned(), piece.ending)
    };
    let mut clauses: Vec<Clause> = pieces.iter().map(clause).collect();
    if let Some((last, _)) = clauses.last_mut() {
        *last = last.trim_end().to_owned();
    }
    clauses
}

/// Code points, with accents as ones of their own.
fn decomposed(phonemes: &str) -> Vec<char> {
    let mut normalized = NormalizedString::from(phonemes);
    // It has no error to give.
    let _ = NFD.normalize(&mut normalized);
    normalized.get().chars().collect()
}

#[cfg(test)]
mod tests {
    use super::super::clauses::pieces;
    use super::*;

    #[test]
    fn flags_go_and_marks_stay() {
        let comma = Ending { written: ",", ends_sentence: false };
        assert_eq!(clause("aɪ (ru)mɐsˈkva(en) hˈɪɹ", comma).0, "aɪ mɐsˈkva hˈɪɹ, ");
        assert_eq!(clause("a () b(", Ending { written: ".", ends_sentence: true }).0, "a () b(.");
        assert_eq!(decomposed("ɔ̃ç"), ['ɔ', '\u{303}', 'c', '\u{327}']);
        assert_eq!(plain("a\u{1}5P [[hello]]\n\t\u{7f}"), "a 5P [ [hello]]\n  ");
    }

    #[test]
    fn letters_are_phonemes_too() {
        let text = " One, two.  Three! ";
        let sentences = Speller::Letters.sentences(text, &pieces(text)).unwrap();
        let sentences: Vec<String> = sentences.into_iter().map(|sentence| sentence.into_iter().collect()).collect();
        assert_eq!(sentences, ["One, two.", "Three!"]);
    }

    /// The marks of each sentence, where espeak-ng is installed.
    fn marks(text: &str) -> Vec<String> {
        let cancel = CancelToken::default();
        let speller = Speller::espeak("en-us", &cancel).unwrap();
        let sentences = speller.sentences(text, &pieces(text)).unwrap();
        let is_mark = |c: &char| ",.:;!?".contains(*c);
        sentences.into_iter().map(|sentence| sentence.into_iter().filter(is_mark).collect()).collect()
    }

    /// What Piper makes of the same texts.
    #[test]
    fn sentences_end_where_piper_ends_them() {
        if !is_installed() {
            println!("skipped: espeak-ng is not installed");
            return;
        }
        for (text, expected) in [
            ("Is it, really? Yes!", &[",?", "!"][..]),
            ("J. R. Smith came. He left.", &[".", ".", ".", "."]),
            ("Mr. & Mrs. Smith", &[".", ".", ""]),
            ("He said: 'Go!' and left", &[":!", ""]),
            ("He said \"stop.\" Then left", &[".", ""]),
            ("etc. and No. five, e.g. this. 5. it", &[",.", ""]),
            ("Well...I know. Well… I know", &[".", ""]),
            ("one, two; three – four: five", &[",;;:"]),
            ("Hi! ! Hi", &["!", ""]),
            ("At 12:30 it was 3.14, or 1,000.", &[",."]),
            ("one\n\ntwo\nthree", &["", ""]),
            ("word?)", &["?"]),
            ("...", &[]),
        ] {
            assert_eq!(marks(text), expected, "{text:?}");
        }
        // A clause that is too long is cut, and stays one sentence.
        assert_eq!(marks(&"word ".repeat(400)), [""]);
        assert_eq!(marks(&"One sentence, and then. ".repeat(200)).len(), 200);
    }
}

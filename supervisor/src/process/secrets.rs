//! The secrets that requests bring and that the environment holds, and lines without them. Who says the lines, and where they go, is not known here.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use parking_lot::RwLock;

/// Shorter ones would blot out words that are none.
const SHORTEST: usize = 6;
/// So many are known at once; the oldest are forgotten first.
const MOST: usize = 256;
const BLOT: &[u8] = b"***";

/// What must not be told, shared by all workers of a fleet: a node that prints its secret, or dies with it on its lips,
/// must not put it into logs and errors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Never forgotten.
    kept: Vec<Box<str>>,
    texts: VecDeque<Box<str>>,
    finder: Option<AhoCorasick>,
}

impl Known {
    fn all(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().chain(&self.texts).map(|text| &**text)
    }
}

impl Secrets {
    /// Takes note of a secret, until many others have come. One of several lines is as many secrets, since output comes
    /// in lines.
    pub(crate) fn learn(&self, secret: &str) {
        self.note(secret, |known, text| {
            known.texts.push_back(text);
            if known.texts.len() > MOST {
                known.texts.pop_front();
            }
        });
    }

    /// Takes note of a secret for good.
    pub(crate) fn keep(&self, secret: &str) {
        self.note(secret, |known, text| known.kept.push(text));
    }

    fn note(&self, secret: &str, add: impl Fn(&mut Known, Box<str>)) {
        // As it is, and as logs quote it.
        let quoted = [format!("{secret:?}"), serde_json::Value::from(secret).to_string()];
        let quoted = quoted.iter().filter_map(|text| text.get(1..text.len() - 1));
        let spoken = secret.lines().map(str::trim).chain(quoted.filter(|text| *text != secret));
        for line in spoken.filter(|line| line.len() >= SHORTEST) {
            if self.0.read().all().any(|text| text == line) {
                continue;
            }
            let mut known = self.0.write();
            add(&mut known, line.into());
            // The longest: one secret may begin with another.
            known.finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(known.all()).ok();
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().finder.is_none()
    }

    /// How much of the beginning can be cut off without going through a secret, or through what may become one.
    pub(crate) fn cut(&self, bytes: &[u8]) -> usize {
        let known = self.0.read();
        let Some(finder) = &known.finder else { return bytes.len() };
        let longest = known.all().map(str::len).max().unwrap_or_default();
        let may_begin = |at: &usize| {
            let end = bytes.get(*at..).unwrap_or_default();
            known.all().any(|secret| secret.as_bytes().starts_with(end))
        };
        let at = (bytes.len().saturating_sub(longest)..bytes.len()).find(may_begin).unwrap_or(bytes.len());
        let through = finder.find_iter(bytes).find(|found| found.start() < at && at < found.end());
        through.map_or(at, |found| found.start())
    }

    /// The line with every secret blotted out.
    pub(crate) fn redact<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let known = self.0.read();
        match &known.finder {
            Some(finder) if finder.is_match(line) => {
                let blots = vec![BLOT; known.all().count()];
                Cow::Owned(finder.replace_all_bytes(line, &blots))
            }
            _ => Cow::Borrowed(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_blotted_out_and_nothing_else() {
        let secrets = Secrets::default();
        assert_eq!(&*secrets.redact(b"plain"), b"plain");
        for secret in ["abcdef", "abcdef-longer", "first line\n  second line\r\n", "tiny", "", "say \"please\""] {
            secrets.learn(secret);
        }
        let told = br#"abcdef, abcdef-longer: first line; second line; tiny, abcde, say "please", "say \"please\"""#;
        assert_eq!(&*secrets.redact(told), br#"***, ***: ***; ***; tiny, abcde, ***, "***""#);
    }

    #[test]
    fn a_cut_leaves_every_secret_whole() {
        let secrets = Secrets::default();
        assert_eq!(secrets.cut(b"abcdef"), 6);
        ["abcabc", "cabcde"].into_iter().for_each(|secret| secrets.learn(secret));
        let cuts: [(&str, usize); 6] =
            [("", 0), ("xyz", 3), ("xya", 2), ("xyabcab", 2), ("xyabcabc", 2), ("abcabcx", 7)];
        for (bytes, at) in cuts {
            assert_eq!(secrets.cut(bytes.as_bytes()), at, "{bytes}");
        }
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let secrets = Secrets::default();
        secrets.keep("for good");
        (0..=MOST).for_each(|i| secrets.learn(&format!("secret {i:04}")));
        assert_eq!(&*secrets.redact(b"secret 0000, secret 0001, secret 0256, for good"), b"secret 0000, ***, ***, ***");
        assert_eq!(secrets.0.read().texts.len(), MOST);
    }
}

//! Which files of a repository are meant: shell patterns as the hub's own tools read them, where `*` goes across folders too.

/// Whether a path is taken: it matches one of `allow`, where that is given, and none of `ignore`.
pub(super) fn takes(path: &str, allow: Option<&[String]>, ignore: &[String]) -> bool {
    allow.is_none_or(|all| all.iter().any(|pattern| matches(pattern, path)))
        && !ignore.iter().any(|pattern| matches(pattern, path))
}

/// Python's `fnmatch`: `*` is any text, `?` one character, `[a-z]` and `[!a-z]` one of or none of some. A pattern that ends in
/// a slash is everything in that folder.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern: Vec<char> = pattern.chars().collect();
    if pattern.last() == Some(&'/') {
        pattern.push('*');
    }
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stood, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(next) = one(&pattern, p, text[t]) {
            (p, t) = (next, t + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// Where the pattern goes on behind what stands for one character, if that is this one.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => match set(pattern, at + 1) {
            Some((set, is_not, end)) => (contains(set, c) != is_not).then_some(end + 1),
            // A bracket that is not closed stands for itself.
            None => (c == '[').then_some(at + 1),
        },
        literal => (literal == c).then_some(at + 1),
    }
}

/// What stands in brackets, whether it is what must not be there, and where it is closed.
fn set(pattern: &[char], at: usize) -> Option<(&[char], bool, usize)> {
    let is_not = pattern.get(at) == Some(&'!');
    let start = at + usize::from(is_not);
    // A bracket that comes first is one of the characters.
    let end = (start + 1..pattern.len()).find(|i| pattern[*i] == ']')?;
    Some((&pattern[start..end], is_not, end))
}

fn contains(set: &[char], c: char) -> bool {
    let mut rest = set;
    while let [first, tail @ ..] = rest {
        match tail {
            ['-', last, after @ ..] => {
                if (*first..=*last).contains(&c) {
                    return true;
                }
                rest = after;
            }
            _ => {
                if *first == c {
                    return true;
                }
                rest = tail;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers of Python's `fnmatch.fnmatchcase`.
    #[test]
    fn as_python_has_it() {
        for (pattern, text, is_match) in [
            ("*.json", "onnx/config.json", true),
            ("onnx/*", "onnx/a/b.onnx", true),
            ("onnx/", "onnx/a/b.onnx", true),
            ("*.onnx", "model.onnx_data", false),
            ("model?.bin", "model1.bin", true),
            ("model?.bin", "model.bin", false),
            ("model-[0-9]*", "model-7-of-9", true),
            ("model-[!0-9]*", "model-7-of-9", false),
            ("[]a]x", "]x", true),
            ("[a", "[a", true),
            ("a[b-]c", "a-c", true),
            ("*a*b*c", "xxaxxbxxbxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("", "", true),
            ("A.json", "a.json", false),
            ("**", "x/y", true),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
        // Many stars are no trap.
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn what_is_ignored_is_not_taken() {
        let list = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert!(takes("a.json", None, &[]) && !takes("a.json", Some(&[]), &[]));
        assert!(takes("a.json", Some(&list(&["*.json"])), &list(&["b*"])));
        assert!(!takes("b.json", Some(&list(&["*.json"])), &list(&["b*"])));
    }
}

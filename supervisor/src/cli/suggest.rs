//! "Did you mean": the known name that is nearest to the one that was typed.

/// The known name that `typed` most likely stands for, if any is near enough.
///
/// Letter case never counts, and the last part of a dotted name is enough.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_lowercase();
    let same = |name: &&str| name.to_lowercase() == typed || last(name) == typed;
    if let Some(found) = known.clone().find(same) {
        return Some(found);
    }
    let near = |limit: usize| move |(edits, _): &(usize, &str)| *edits <= limit;
    let whole = known.clone().map(|name| (strsim::damerau_levenshtein(&typed, &name.to_lowercase()), name)).min();
    let part = known.map(|name| (strsim::damerau_levenshtein(&last(&typed), &last(name)), name)).min();
    whole.filter(near(typed.len() / 3)).or(part.filter(near(1))).map(|(_, name)| name)
}

/// `: did you mean X?`, or nothing.
pub(crate) fn phrase<'a>(typed: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    nearest(typed, known).map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_case_and_short_names() {
        let known = ["image.Blur", "image.Sharpen", "text.Split"];
        for (typed, meant) in [
            ("image.blur", Some("image.Blur")),
            ("Blur", Some("image.Blur")),
            ("image.Blurr", Some("image.Blur")),
            ("audio.Splt", Some("text.Split")),
            ("gpu.Mandelbrot", None),
        ] {
            assert_eq!(nearest(typed, known.into_iter()), meant, "{typed}");
        }
    }
}

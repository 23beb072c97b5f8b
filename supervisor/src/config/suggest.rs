//! "Did you mean": the known name that is nearest to a mistyped one.

/// The candidate that needs the fewest edits, where those are few enough for a typing mistake.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &&'a str| edits(typed, name);
    known
        .into_iter()
        .map(|name| (distance(&name), name))
        .min()
        .filter(|(d, _)| *d <= 1 + typed.len() / 3)
        .map(|(_, n)| n)
}

/// The Levenshtein distance in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let best = (diagonal + usize::from(x != y)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_slip_and_nothing_far_away() {
        let known = ["max_in_flight", "max_queued", "workers"];
        assert_eq!(nearest("max_inflight", known), Some("max_in_flight"));
        assert_eq!(nearest("worker", known), Some("workers"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("abc", "")), (3, 3, 3));
    }
}

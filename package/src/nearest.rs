//! "Did you mean": the known name that is nearest to a mistyped one.

/// The candidate that needs the fewest edits, where those are few enough for a typing mistake; of two the one that begins as
/// the other does.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &'a str| (strsim::damerau_levenshtein(typed, name), !name.starts_with(typed), name);
    let best = known.into_iter().map(distance).min();
    best.filter(|(edits, _, name)| *edits <= 1 + name.len() / 4).map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_slip_and_nothing_far_away() {
        let known = ["f32", "max_in_flight", "max_queued", "r32f", "workers"];
        for (typed, meant) in [
            ("max_inflight", Some("max_in_flight")),
            ("worker", Some("workers")),
            ("r32", Some("r32f")),
            ("colour", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}

//! How the answers of windows become one: where each is cut into segments, and where the next window begins.
//!
//! Radford et al., 2022, section 3.8: a window of 30 s that ends within a segment is left at the end of the last whole one, and
//! the next begins there, so that nothing is cut and nothing heard twice.

use super::vocabulary::{FRAMES_A_TICK, Vocabulary};

/// A part of an answer, in frames from the beginning of its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) tokens: &'a [u32],
}

/// The parts of the answer for a window of which `length` frames are sound, and how many frames on the next one begins.
pub(super) fn cut<'a>(tokens: &'a [u32], length: usize, vocabulary: &Vocabulary) -> (Vec<Part<'a>>, usize) {
    split(tokens, length, |token| vocabulary.tick(token).map(|tick| tick.saturating_mul(FRAMES_A_TICK)))
}

/// `frame` tells the frame of a timestamp.
fn split<'a>(tokens: &'a [u32], length: usize, frame: impl Fn(u32) -> Option<usize>) -> (Vec<Part<'a>>, usize) {
    let time = |token: Option<&u32>| token.and_then(|token| frame(*token));
    let is_time = |i: usize| time(tokens.get(i)).is_some();
    // Between the end of a segment and the beginning of the next.
    let mut seams: Vec<usize> = (1..tokens.len()).filter(|i| is_time(i - 1) && is_time(*i)).collect();
    let last_seam = seams.last().copied();
    // One timestamp and not two at the end: nothing is said behind it.
    let ends_alone = tokens.len() >= 2 && is_time(tokens.len() - 1) && !is_time(tokens.len() - 2);
    let Some(last_seam) = last_seam else {
        let end = tokens.iter().rev().find_map(|token| frame(*token)).filter(|end| *end > 0);
        return (vec![Part { start: 0, end: end.unwrap_or(length), tokens }], length);
    };
    if ends_alone {
        seams.push(tokens.len());
    }
    let mut parts = Vec::new();
    let mut from = 0;
    for to in seams {
        let tokens = tokens.get(from..to).unwrap_or_default();
        let start = time(tokens.first()).unwrap_or(0);
        parts.push(Part { start, end: time(tokens.last()).unwrap_or(length), tokens });
        from = to;
    }
    let on = if ends_alone { length } else { time(tokens.get(last_seam - 1)).unwrap_or(length) };
    // A window that is not left would be heard for ever.
    (parts, if on == 0 { length } else { on })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times are tokens from 100 on, two frames each.
    fn of(tokens: &[u32]) -> (Vec<(usize, usize, usize)>, usize) {
        let (parts, on) = split(tokens, 3000, |token| token.checked_sub(100).map(|tick| tick as usize * 2));
        (parts.into_iter().map(|part| (part.start, part.end, part.tokens.len())).collect(), on)
    }

    #[test]
    fn a_window_is_left_at_the_end_of_its_last_whole_segment() {
        // The last segment goes on behind the window.
        assert_eq!(of(&[100, 1, 2, 150, 160, 3, 4]), (vec![(0, 100, 4)], 100));
        assert_eq!(of(&[100, 1, 150, 150, 3, 200, 210]), (vec![(0, 100, 3), (100, 200, 3)], 200));
        // All is said.
        assert_eq!(of(&[100, 1, 150, 160, 3, 200]), (vec![(0, 100, 3), (120, 200, 3)], 3000));
        assert_eq!(of(&[100, 1, 150]), (vec![(0, 100, 3)], 3000));
        // No end, no times at all, nothing.
        assert_eq!(of(&[100, 1, 2]), (vec![(0, 3000, 3)], 3000));
        assert_eq!(of(&[1, 2]), (vec![(0, 3000, 2)], 3000));
        assert_eq!(of(&[]), (vec![(0, 3000, 0)], 3000));
    }

    #[test]
    fn a_window_is_always_left() {
        assert_eq!(of(&[100, 100, 1]).1, 3000);
    }
}

//! What may follow what: scores of tokens that must not come next become −∞.
//!
//! The rules for timestamps are those of the paper's authors: they come in pairs, one at each end of a segment, never go
//! back, begin early, and one is taken as soon as all together are more likely than any word.

use super::vocabulary::Vocabulary;

/// The rules of one window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) timestamps: bool,
}

impl Rules<'_> {
    /// Applies them to the scores of what may follow `said`, the tokens of the answer so far.
    pub(super) fn apply(&self, scores: &mut [f32], said: &[u32]) {
        let words = self.vocabulary;
        let first = said.is_empty().then_some(&words.suppressed_first);
        for token in words.suppressed.iter().chain(first.into_iter().flatten()) {
            forbid(scores, *token, token.saturating_add(1));
        }
        if self.timestamps {
            let times = Times { first: words.first_time(), end: words.end, latest: words.latest_first };
            times.apply(scores, said);
        }
    }
}

/// The rules for timestamps, whose tokens are the last of the vocabulary.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// The token of 0.00 s.
    first: u32,
    /// The first token that is no word.
    end: u32,
    /// The latest tick that may come first.
    latest: Option<u32>,
}

impl Times {
    fn apply(self, scores: &mut [f32], said: &[u32]) {
        let is_time = |token: &u32| *token >= self.first;
        // `<|notimestamps|>`.
        forbid(scores, self.first.saturating_sub(1), self.first);
        let last = said.last().is_some_and(is_time);
        let before = said.len() < 2 || said.get(said.len() - 2).is_some_and(is_time);
        match (last, before) {
            // A segment has begun.
            (true, true) => forbid(scores, self.first, u32::MAX),
            // One has ended: the next begins, or the answer ends.
            (true, false) => forbid(scores, 0, self.end),
            _ => {}
        }
        if let Some(latest) = said.iter().rev().find(|token| is_time(token)) {
            // The next segment may begin where one has ended; none is empty.
            let open = if last && !before { *latest } else { latest.saturating_add(1) };
            forbid(scores, self.first, open);
        }
        if said.is_empty() {
            forbid(scores, 0, self.first);
            if let Some(latest) = self.latest {
                forbid(scores, self.first.saturating_add(latest).saturating_add(1), u32::MAX);
            }
        }
        let (words, times) = scores.split_at_mut(scores.len().min(self.first as usize));
        let likeliest = words.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if log_sum_exp(times) > f64::from(likeliest) {
            words.fill(f32::NEG_INFINITY);
        }
    }
}

/// The tokens from `from` up to `to`, as far as there are any, must not come next.
fn forbid(scores: &mut [f32], from: u32, to: u32) {
    let to = scores.len().min(to as usize);
    if let Some(scores) = scores.get_mut(from as usize..to) {
        scores.fill(f32::NEG_INFINITY);
    }
}

/// The logarithm of the sum of what these are logarithms of.
pub(super) fn log_sum_exp(scores: &[f32]) -> f64 {
    let most = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    if !most.is_finite() {
        return most;
    }
    most + scores.iter().map(|x| (f64::from(*x) - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words 0 to 3, the end 4, `<|notimestamps|>` 5, times from 6 on.
    const TIMES: Times = Times { first: 6, end: 4, latest: Some(1) };

    /// What may follow, all scores being the same but for times, which together are less likely than a word.
    fn open(said: &[u32]) -> Vec<usize> {
        let mut scores = vec![0.0; 12];
        scores[6..].fill(-9.0);
        TIMES.apply(&mut scores, said);
        (0..12).filter(|i| scores[*i] > f32::NEG_INFINITY).collect()
    }

    #[test]
    fn timestamps_come_in_pairs_and_never_go_back() {
        assert_eq!(open(&[]), [6, 7]);
        assert_eq!(open(&[7]), [0, 1, 2, 3, 4]);
        assert_eq!(open(&[7, 0]), [0, 1, 2, 3, 4, 8, 9, 10, 11]);
        assert_eq!(open(&[7, 0, 9]), [4, 9, 10, 11]);
        assert_eq!(open(&[7, 0, 9, 9]), [0, 1, 2, 3, 4]);
        assert_eq!(open(&[7, 0, 9, 9, 1]), [0, 1, 2, 3, 4, 10, 11]);
    }

    #[test]
    fn times_win_together() {
        let mut scores = vec![0.0; 12];
        scores[6..].fill(-1.5);
        // Four of them: ln 4 − 1.5 is below 0; five would not be.
        TIMES.apply(&mut scores, &[7, 0]);
        assert_eq!(scores[0], 0.0);
        scores[11] = -0.5;
        TIMES.apply(&mut scores, &[7, 0]);
        assert!(scores[0] == f32::NEG_INFINITY && scores[11] == -0.5);
        assert!((log_sum_exp(&[0.0, 0.0]) - 2f64.ln()).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY]), f64::NEG_INFINITY);
    }
}

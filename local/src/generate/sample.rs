//! From logits to the next token: penalties, temperature and cuts as the transformers library defines them and in its order, then a
//! choice. What the grammar of an answer allows is `constrain`'s.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::RangeInclusive;

use millwork_worker::{Error, Result};
use rand::rngs::ChaCha12Rng;
use rand::{RngExt as _, SeedableRng as _};

/// Penalties for repetition that leave logits numbers.
pub(super) const PENALTIES: RangeInclusive<f64> = 0.01..=100.0;
/// Below this a temperature leaves only the most probable token, and logits that are divided by it may be no numbers.
const COLDEST: f64 = 1e-6;

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// Logits are divided by it; 0, or next to it, takes the most probable token.
    pub(super) temperature: f64,
    /// Only so many of the most probable tokens; 0 for all.
    pub(super) top_k: usize,
    /// Only the most probable tokens that together have this probability; 1 for all (Holtzman et al. 2019, "nucleus sampling").
    pub(super) top_p: f64,
    /// Only tokens at least this times as probable as the most probable one; 0 for all.
    pub(super) min_p: f64,
    /// Logits of tokens that have occurred are divided by it, negative ones multiplied (Keskar et al. 2019); 1 for none.
    pub(super) repetition_penalty: f64,
    /// The same seed makes the same choices.
    pub(super) seed: Option<u64>,
}

/// A chooser with its source of chance and the tokens that it has seen.
#[derive(Debug)]
pub(super) struct Sampler {
    settings: Settings,
    chance: ChaCha12Rng,
    seen: HashSet<u32>,
}

impl Sampler {
    /// A chooser behind a prompt.
    pub(super) fn new(settings: Settings, prompt: &[u32], seed: u64) -> Self {
        let seen = if settings.repetition_penalty == 1.0 { HashSet::new() } else { prompt.iter().copied().collect() };
        Self { settings, chance: ChaCha12Rng::seed_from_u64(seed), seen }
    }

    /// The next token. A logit of minus infinity is never chosen.
    ///
    /// # Errors
    /// Where no logit is a number.
    pub(super) fn next(&mut self, logits: &mut [f32]) -> Result<u32> {
        self.next_of(logits, |_| Ok(()))
    }

    /// The next token of those that `mask` leaves; it sets the logits of others to minus infinity.
    pub(super) fn next_of(&mut self, logits: &mut [f32], mask: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<u32> {
        self.penalise(logits);
        mask(logits)?;
        let next = if self.settings.temperature < COLDEST { most_probable(logits) } else { self.draw(logits) };
        let next = next.ok_or_else(|| Error::failed("the model gave logits that are no numbers (NaN or infinite)"))?;
        if self.settings.repetition_penalty != 1.0 {
            self.seen.insert(next);
        }
        Ok(next)
    }

    fn penalise(&self, logits: &mut [f32]) {
        let penalty = self.settings.repetition_penalty as f32;
        for id in &self.seen {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
            }
        }
    }

    fn draw(&mut self, logits: &[f32]) -> Option<u32> {
        let kept = self.probabilities(logits)?;
        let mut left = self.chance.random::<f64>() * kept.iter().map(|(_, mass)| mass).sum::<f64>();
        let chosen = kept.iter().find(|(_, mass)| {
            left -= mass;
            left < 0.0
        });
        // Rounding may leave a last crumb.
        chosen.or(kept.last()).map(|(id, _)| *id)
    }

    /// The tokens that are left and their masses, which need not sum to 1.
    fn probabilities(&self, logits: &[f32]) -> Option<Vec<(u32, f64)>> {
        let temperature = self.settings.temperature as f32;
        let scaled = logits.iter().map(|logit| logit / temperature);
        let mut left: Vec<(u32, f32)> = (0..).zip(scaled).filter(|(_, logit)| *logit > f32::NEG_INFINITY).collect();
        let most = left.iter().map(|(_, logit)| *logit).max_by(f32::total_cmp).filter(|most| most.is_finite())?;
        let top_k = self.settings.top_k;
        if top_k > 0 && top_k < left.len() {
            // Equals of the last one stay.
            let (_, (_, least), _) = left.select_nth_unstable_by(top_k - 1, descending);
            let least = *least;
            left.retain(|(_, logit)| *logit >= least);
        }
        let mut masses: Vec<(u32, f64)> =
            left.into_iter().map(|(id, logit)| (id, f64::from(logit - most).exp())).collect();
        if self.settings.top_p < 1.0 {
            nucleus(&mut masses, self.settings.top_p);
        }
        if self.settings.min_p > 0.0 {
            // The most probable token has the mass 1.
            masses.retain(|(_, mass)| *mass >= self.settings.min_p);
        }
        Some(masses)
    }
}

/// Keeps each token before which, in falling order, the others have less than `top_p` of all mass.
fn nucleus(masses: &mut Vec<(u32, f64)>, top_p: f64) {
    let enough = masses.iter().map(|(_, mass)| mass).sum::<f64>() * top_p;
    // Mostly the nucleus is small: sort no more than is needed.
    let mut sorted = 0;
    let (mut before, mut kept) = (0.0, 0);
    while kept < masses.len() {
        if kept == sorted {
            let rest = &mut masses[sorted..];
            let many = (sorted.max(64) * 4).min(rest.len());
            if many < rest.len() {
                rest.select_nth_unstable_by(many - 1, |a, b| b.1.total_cmp(&a.1));
            }
            rest[..many].sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
            sorted += many;
        }
        if kept > 0 && before >= enough {
            break;
        }
        before += masses[kept].1;
        kept += 1;
    }
    masses.truncate(kept);
}

fn descending(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1)
}

/// The first of the largest.
fn most_probable(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (id, logit) in (0..).zip(logits) {
        if logit.is_finite() && best.is_none_or(|(_, most)| *logit > most) {
            best = Some((id, *logit));
        }
    }
    best.map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEDY: Settings =
        Settings { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: Some(1) };

    fn left(settings: Settings, logits: &[f32]) -> Vec<(u32, f64)> {
        let mut kept = Sampler::new(settings, &[], 1).probabilities(logits).unwrap();
        let sum: f64 = kept.iter().map(|(_, mass)| mass).sum();
        kept.iter_mut().for_each(|(_, mass)| *mass = (*mass / sum * 1e6).round() / 1e6);
        kept.sort_unstable_by_key(|(id, _)| *id);
        kept
    }

    #[test]
    fn the_most_probable_is_the_first_of_equals() {
        let mut sampler = Sampler::new(GREEDY, &[], 1);
        assert_eq!(sampler.next(&mut [0.0, 2.0, f32::NAN, 2.0]).unwrap(), 1);
        assert!(sampler.next(&mut [f32::NAN, f32::NEG_INFINITY]).is_err());
    }

    #[test]
    fn what_has_occurred_is_penalised_once() {
        let mut sampler = Sampler::new(Settings { repetition_penalty: 2.0, ..GREEDY }, &[0, 0, 1], 1);
        assert_eq!(sampler.next(&mut [3.0, -1.0, 1.4]).unwrap(), 0);
        let mut logits = [3.0, -1.0, 1.6];
        assert_eq!(sampler.next(&mut logits).unwrap(), 2);
        assert_eq!(logits, [1.5, -2.0, 1.6]);
        let mut after = [0.0, 0.0, 4.0];
        sampler.next(&mut after).unwrap();
        assert_eq!(after[2], 2.0);
    }

    #[test]
    fn cuts_are_made_one_after_the_other() {
        // Probabilities 1/2, 1/4, 1/8, 1/8.
        let logits = [8f32.ln(), 4f32.ln(), 2f32.ln(), 2f32.ln()];
        let warm = Settings { temperature: 1.0, ..GREEDY };
        assert_eq!(left(Settings { top_k: 3, ..warm.clone() }, &logits).len(), 4, "equals of the last one stay");
        assert_eq!(left(Settings { top_k: 2, ..warm.clone() }, &logits), [(0, 0.666667), (1, 0.333333)]);
        assert_eq!(left(Settings { top_p: 0.5, ..warm.clone() }, &logits).len(), 1);
        assert_eq!(left(Settings { top_p: 0.51, ..warm.clone() }, &logits).len(), 2);
        assert_eq!(left(Settings { top_p: 0.0, ..warm.clone() }, &logits).len(), 1, "one always stays");
        assert_eq!(left(Settings { min_p: 0.3, ..warm.clone() }, &logits).len(), 2);
        assert_eq!(left(Settings { temperature: 0.5, ..warm }, &logits)[0], (0, 0.727273));
    }

    #[test]
    fn a_large_nucleus_is_found_in_pieces() {
        let mut masses: Vec<(u32, f64)> = (0..5000).map(|id| (id, 1.0 + f64::from(id % 7))).collect();
        nucleus(&mut masses, 0.9);
        let least = masses.iter().map(|(_, mass)| *mass).fold(f64::INFINITY, f64::min);
        assert_eq!(least, 2.0);
        assert!(masses.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    }

    #[test]
    fn the_same_seed_chooses_the_same() {
        let settings = Settings { temperature: 1.0, ..GREEDY };
        let run = |seed| {
            let mut sampler = Sampler::new(settings.clone(), &[], seed);
            (0..32).map(|_| sampler.next(&mut [0.0; 50]).unwrap()).collect::<Vec<u32>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}

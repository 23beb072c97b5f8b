//! What is said in one window: the decoder asked token by token, and asked again less strictly where the answer is poor.
//!
//! Radford et al., 2022, section 4.5 and its thresholds: an answer that repeats itself or is unlikely is tried again at a higher
//! temperature, and one that is unlikely where the model hears no speech is no answer.

use std::collections::HashSet;

use millwork_worker::{Context, Error, Result};
use ndarray::Array2;
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

use super::decoder::{Decoder, Memory};
use super::rules::{Rules, log_sum_exp};

/// Temperatures that are tried in turn where the request names none.
const TEMPERATURES: [f32; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
/// An answer whose tokens are less likely than this on average is poor.
const LEAST_LOG_PROBABILITY: f64 = -1.0;
/// An answer that says everything more often than this on average is poor. The paper compresses the text to tell; this counts
/// runs of tokens, with the same outcome for loops.
const MOST_REPEATED: f64 = 2.4;
/// Tokens in such a run.
const RUN: usize = 3;
/// Where no speech is likelier than this, a poor answer is none.
const NO_SPEECH: f64 = 0.6;
/// Sampling is the same each time.
const SEED: u64 = 0;

/// What one window is decoded with.
#[derive(Debug)]
pub(super) struct Window<'a> {
    pub(super) decoder: &'a Decoder,
    pub(super) rules: Rules<'a>,
    /// What the decoder has read, and the scores after each of its tokens.
    pub(super) read: &'a (Memory, Array2<f32>),
    /// Which of those tokens is `<|startoftranscript|>`.
    pub(super) start: usize,
    /// Tokens that an answer may have.
    pub(super) most_tokens: usize,
}

/// An answer.
#[derive(Debug, Default)]
struct Answer {
    tokens: Vec<u32>,
    /// The mean of the logarithms of their probabilities, the end's among them.
    log_probability: f64,
}

impl Answer {
    fn is_unlikely(&self) -> bool {
        self.log_probability < LEAST_LOG_PROBABILITY
    }

    fn is_poor(&self) -> bool {
        self.is_unlikely() || repeated(&self.tokens) > MOST_REPEATED
    }
}

impl Window<'_> {
    /// The tokens of what is said, without the end; `None` where nobody speaks. `heard` is told each token.
    pub(super) fn decode(
        &self,
        temperature: Option<f32>,
        cx: &Context,
        heard: &mut dyn FnMut(u32),
    ) -> Result<Option<Vec<u32>>> {
        let given = temperature.map(|temperature| [temperature]);
        let mut answer = Answer::default();
        for temperature in given.as_ref().map_or(&TEMPERATURES[..], |given| &given[..]) {
            answer = self.answer(*temperature, cx, heard)?;
            if answer.is_unlikely() && self.no_speech() > NO_SPEECH {
                return Ok(None);
            }
            if !answer.is_poor() {
                break;
            }
        }
        Ok(Some(answer.tokens))
    }

    /// How likely it is that nobody speaks.
    fn no_speech(&self) -> f64 {
        let (_, scores) = self.read;
        let scores = scores.outer_iter().nth(self.start).map(|row| row.to_vec()).unwrap_or_default();
        let score = scores.get(self.rules.vocabulary.no_speech() as usize).copied().unwrap_or(f32::NEG_INFINITY);
        (f64::from(score) - log_sum_exp(&scores)).exp()
    }

    /// Greedy at temperature 0, else sampled.
    fn answer(&self, temperature: f32, cx: &Context, heard: &mut dyn FnMut(u32)) -> Result<Answer> {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let (mut memory, read) = self.read.clone();
        let mut scores = read.outer_iter().next_back().map(|row| row.to_vec()).unwrap_or_default();
        let (mut tokens, mut sum) = (Vec::new(), 0.0);
        loop {
            cx.check()?;
            if scores.iter().any(|score| score.is_nan()) {
                return Err(Error::failed("the model gave scores that are no numbers (NaN)"));
            }
            self.rules.apply(&mut scores, &tokens);
            let end = self.rules.vocabulary.end;
            let token = if temperature > 0.0 { sample(&scores, temperature, &mut random) } else { likeliest(&scores) };
            // Where nothing may come next, the answer ends.
            let token = token.unwrap_or(end);
            let score = scores.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
            sum += f64::from(score) - log_sum_exp(&scores);
            if token == end {
                return Ok(Answer { log_probability: sum / (tokens.len() + 1) as f64, tokens });
            }
            heard(token);
            tokens.push(token);
            if tokens.len() >= self.most_tokens {
                return Ok(Answer { log_probability: sum / tokens.len() as f64, tokens });
            }
            scores = self.decoder.step(&mut memory, token)?;
        }
    }
}

/// The first of the highest scores, unless all are −∞.
pub(super) fn likeliest(scores: &[f32]) -> Option<u32> {
    let mut best = (None, f32::NEG_INFINITY);
    for (token, score) in (0..).zip(scores) {
        if *score > best.1 {
            best = (Some(token), *score);
        }
    }
    best.0
}

/// A token drawn by the softmax of the scores over a temperature.
fn sample(scores: &[f32], temperature: f32, random: &mut ChaCha8Rng) -> Option<u32> {
    let temperature = f64::from(temperature);
    let most = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let weight = |score: &f32| ((f64::from(*score) - most) / temperature).exp();
    let mut left = random.random::<f64>() * scores.iter().map(weight).sum::<f64>();
    let drawn = scores.iter().position(|score| {
        left -= weight(score);
        left < 0.0
    });
    drawn.and_then(|token| u32::try_from(token).ok()).or_else(|| likeliest(scores))
}

/// How often the runs in an answer occur in it, on average.
fn repeated(tokens: &[u32]) -> f64 {
    let runs: HashSet<&[u32]> = tokens.windows(RUN).collect();
    tokens.windows(RUN).len() as f64 / runs.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_told_from_speech() {
        let speech: Vec<u32> = (0..50).chain(10..15).collect();
        assert!(repeated(&speech) < 1.1);
        let stuck: Vec<u32> = (0..6).cycle().take(60).collect();
        assert!(repeated(&stuck) > 9.0);
        assert!(repeated(&[1, 2]) < 1.0);
    }

    #[test]
    fn what_must_not_come_is_never_drawn() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let scores = [f32::NEG_INFINITY, 1.0, 0.0, f32::NEG_INFINITY];
        let drawn: Vec<u32> = (0..2000).filter_map(|_| sample(&scores, 0.5, &mut random)).collect();
        let ones = drawn.iter().filter(|token| **token == 1).count();
        // 1 / (1 + e⁻²)
        assert!(drawn.iter().all(|token| [1, 2].contains(token)) && (1700..1820).contains(&ones), "{ones}");
        assert_eq!(likeliest(&[0.0, 2.0, 2.0]), Some(1));
        assert_eq!(likeliest(&[f32::NEG_INFINITY]), None);
        assert_eq!(sample(&[f32::NEG_INFINITY; 2], 1.0, &mut random), None);
    }
}

//! Which times a run visits, and the level of noise at each.

use millwork_worker::{Error, Result};

use super::config::{Config, FinalSigma, Spacing};
use super::{Level, Sampler, Span, Step};

/// The steps of a run, and what noise is multiplied with at its beginning.
pub(super) fn steps(config: &Config, sampler: Sampler, span: Span) -> Result<(Vec<Step>, f64)> {
    let Span { steps: count, strength, keeps_steps } = span;
    let most = config.times();
    if !(1..=most).contains(&count) {
        let text = format!("`num_inference_steps` is {count}: 1 to {most} are possible with this model");
        return Err(Error::invalid(text));
    }
    let bars = config.alpha_bars(sampler)?;
    let (mut steps, start) = match sampler {
        Sampler::Euler | Sampler::EulerAncestral => exploding(config, sampler, &bars, count),
        Sampler::Ddim => (ddim(config, &bars, count), 1.0),
        Sampler::Lcm if keeps_steps => return lcm(config, &bars, count, strength).map(|steps| (steps, 1.0)),
        Sampler::Lcm => (lcm(config, &bars, count, 1.0)?, 1.0),
    };
    let left = ((count as f64 * strength) as usize).min(count);
    if left == 0 {
        let text = format!("`strength` {strength} of {count} steps leaves none: raise it, or `num_inference_steps`");
        return Err(Error::invalid(text));
    }
    steps.drain(..steps.len() - left);
    Ok((steps, start))
}

/// Times from the noisiest on.
fn times(config: &Config, sampler: Sampler, count: usize) -> Vec<f64> {
    let all = config.times();
    match config.spacing(sampler) {
        Spacing::Linspace => {
            let step = (all - 1) as f64 / (count.max(2) - 1) as f64;
            (0..count).rev().map(|i| i as f64 * step).collect()
        }
        Spacing::Leading => {
            let ratio = all / count;
            (0..count).rev().map(|i| (i * ratio + config.steps_offset()) as f64).collect()
        }
        Spacing::Trailing => {
            let ratio = all as f64 / count as f64;
            (0..count).map(|i| ((all as f64 - i as f64 * ratio).round_ties_even() - 1.0).max(0.0)).collect()
        }
    }
}

fn exploding(config: &Config, sampler: Sampler, bars: &[f64], count: usize) -> (Vec<Step>, f64) {
    let all: Vec<f64> = bars.iter().map(|bar| ((1.0 - bar) / bar).sqrt()).collect();
    let mut times = times(config, sampler, count);
    let mut sigmas: Vec<f64> = times.iter().map(|time| at(&all, *time)).collect();
    if config.is_karras(sampler) {
        sigmas = karras(config, &sigmas);
        times = sigmas.iter().map(|sigma| time_of(&all, *sigma)).collect();
    }
    let last = match config.final_sigma() {
        FinalSigma::SigmaMin if sampler == Sampler::Euler => all[0],
        _ => 0.0,
    };
    let most = sigmas.iter().copied().fold(last, f64::max);
    let start = match config.spacing(sampler) {
        Spacing::Linspace | Spacing::Trailing => most,
        Spacing::Leading => most.hypot(1.0),
    };
    let to = sigmas.iter().skip(1).chain([&last]);
    let steps = times.iter().zip(&sigmas).zip(to).map(|((time, from), to)| Step {
        time: *time,
        from: Level::exploding(*from),
        to: Level::exploding(*to),
    });
    (steps.collect(), start)
}

fn ddim(config: &Config, bars: &[f64], count: usize) -> Vec<Step> {
    let last = if config.ends_clean() { Level::CLEAN } else { Level::preserving(bars[0]) };
    let level = |time: usize| Level::preserving(bars[time]);
    let back = bars.len() / count;
    let step = |time: f64| {
        let time = (time.round_ties_even() as usize).min(bars.len() - 1);
        Step { time: time as f64, from: level(time), to: time.checked_sub(back).map_or(last, level) }
    };
    times(config, Sampler::Ddim, count).into_iter().map(step).collect()
}

/// Times spread evenly over those that the model was distilled with.
fn lcm(config: &Config, bars: &[f64], count: usize, strength: f64) -> Result<Vec<Step>> {
    let original = config.original_steps();
    let skip = bars.len() / original;
    let there = ((original as f64 * strength) as usize).min(original);
    if there < count {
        let text = format!(
            "`num_inference_steps` is {count}: the schedule that this model was distilled with has {there} for \
             `strength` {strength}"
        );
        return Err(Error::invalid(text));
    }
    let spread = there as f64 / count as f64;
    let times: Vec<usize> = (0..count).map(|i| (there - (i as f64 * spread) as usize) * skip - 1).collect();
    let to = times.iter().skip(1).map(|time| Level::preserving(bars[*time])).chain([Level::CLEAN]);
    let step = |(time, to): (&usize, Level)| Step { time: *time as f64, from: Level::preserving(bars[*time]), to };
    Ok(times.iter().zip(to).map(step).collect())
}

/// Karras et al. 2022, eq. 5, between the greatest and the least of `sigmas`.
fn karras(config: &Config, sigmas: &[f64]) -> Vec<f64> {
    const RHO: f64 = 7.0;
    let (least, most) = config.sigma_range();
    let least = least.or(sigmas.last().copied()).unwrap_or(0.0).powf(1.0 / RHO);
    let most = most.or(sigmas.first().copied()).unwrap_or(0.0).powf(1.0 / RHO);
    let step = (least - most) / (sigmas.len().max(2) - 1) as f64;
    (0..sigmas.len()).map(|i| (most + step * i as f64).powf(RHO)).collect()
}

/// The value at a place between two.
fn at(values: &[f64], place: f64) -> f64 {
    let place = place.clamp(0.0, (values.len() - 1) as f64);
    let below = (place as usize).min(values.len() - 2);
    values[below] + (values[below + 1] - values[below]) * (place - below as f64)
}

/// The time of a σ, by the logarithms of those around it.
fn time_of(sigmas: &[f64], sigma: f64) -> f64 {
    let log = |x: f64| x.max(1e-10).ln();
    let below = sigmas.partition_point(|other| log(*other) <= log(sigma)).clamp(1, sigmas.len() - 1) - 1;
    let (low, high) = (log(sigmas[below]), log(sigmas[below + 1]));
    below as f64 + ((log(sigma) - low) / (high - low)).clamp(0.0, 1.0)
}

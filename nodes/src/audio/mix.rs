//! Several sounds into one: Mix at the same time, Concat one after the other.

use millwork_worker::convert::audio::check_size;
use millwork_worker::prelude::*;

use super::channels::with_channels;
use super::gain_of;
use super::resample::resample;

/// Plays sounds at the same time: their sum. Shorter ones end in silence.
///
/// The sample rate is the first sound's, the number of channels the largest; mono is heard on all channels.
#[derive(Node)]
#[node("audio.Mix")]
pub(super) struct Mix {
    /// The sounds.
    sounds: Vec<Audio>,
    /// The gain of each, in decibels, in the same order; 0 for those that have none.
    #[node(default)]
    gains_db: Vec<f64>,
    /// Where each begins, in seconds, in the same order; 0 for those that have none.
    #[node(default)]
    starts: Vec<f64>,
}

impl Run for Mix {
    type Output = Audio;

    fn run(self, cx: &Context) -> Result<Audio> {
        let sounds = alike(self.sounds, None, cx)?;
        check_list("gains_db", &self.gains_db, sounds.len(), -200.0, 100.0)?;
        check_list("starts", &self.starts, sounds.len(), 0.0, 86_400.0)?;
        let Some(Audio { channels, sample_rate, .. }) = sounds.first() else { return Err(none_given()) };
        let (channels, sample_rate) = (*channels, *sample_rate);
        let offset = |i: usize| {
            let seconds = self.starts.get(i).copied().unwrap_or(0.0);
            super::frames_in(seconds, sample_rate) * usize::from(channels)
        };
        let length = sounds.iter().enumerate().map(|(i, sound)| offset(i) + sound.samples.len()).max().unwrap_or(0);
        check_size(length)?;
        let mut samples = vec![0f32; length];
        for (i, sound) in sounds.iter().enumerate() {
            let gain = gain_of(self.gains_db.get(i).copied().unwrap_or(0.0)) as f32;
            let place = samples.iter_mut().skip(offset(i));
            place.zip(&sound.samples).for_each(|(sum, x)| *sum += gain * x);
            cx.check()?;
        }
        Audio::new(samples, channels, sample_rate)
    }
}

/// Plays sounds one after the other.
///
/// Different sample rates and channels are brought together: the number of channels is the largest of them, and mono is
/// heard on all channels.
#[derive(Node)]
#[node("audio.Concat")]
pub(super) struct Concat {
    /// The sounds, in order.
    sounds: Vec<Audio>,
    /// Silence between them, in seconds.
    #[node(default = 0.0, min = 0, max = 3600)]
    gap: f64,
    /// Sample rate of the whole, in hertz; left out, the first sound's.
    #[node(min = 1, max = 768_000)]
    sample_rate: Option<u32>,
}

impl Run for Concat {
    type Output = Audio;

    fn run(self, cx: &Context) -> Result<Audio> {
        let sounds = alike(self.sounds, self.sample_rate, cx)?;
        let Some(Audio { channels, sample_rate, .. }) = sounds.first() else { return Err(none_given()) };
        let (channels, sample_rate) = (*channels, *sample_rate);
        let gap = super::frames_in(self.gap, sample_rate) * usize::from(channels);
        let total = sounds.iter().fold(0usize, |sum, sound| sum.saturating_add(sound.samples.len()));
        check_size(total.saturating_add(gap.saturating_mul(sounds.len() - 1)))?;
        let mut samples = Vec::with_capacity(total + gap * (sounds.len() - 1));
        for (i, sound) in sounds.iter().enumerate() {
            if i > 0 {
                samples.resize(samples.len() + gap, 0.0);
            }
            samples.extend_from_slice(&sound.samples);
        }
        Audio::new(samples, channels, sample_rate)
    }
}

/// The sounds with one sample rate, the first's unless another is wanted, and the most channels of any.
fn alike(sounds: Vec<Audio>, sample_rate: Option<u32>, cx: &Context) -> Result<Vec<Audio>> {
    let first = sounds.first().map(|sound| sound.sample_rate).ok_or_else(none_given)?;
    let rate = sample_rate.unwrap_or(first);
    let channels = sounds.iter().map(|sound| sound.channels).max().unwrap_or(1);
    sounds.into_iter().map(|sound| with_channels(resample(sound, rate, cx)?, channels)).collect()
}

fn none_given() -> Error {
    Error::invalid("`sounds` is empty: give at least one sound")
}

fn check_list(name: &str, values: &[f64], sounds: usize, low: f64, high: f64) -> Result<()> {
    if values.len() > sounds {
        return Err(Error::invalid(format!("`{name}` has {} values for {sounds} sounds", values.len())));
    }
    match values.iter().find(|x| !(low..=high).contains(*x)) {
        Some(bad) => Err(Error::invalid(format!("`{name}` must be between {low} and {high}, got {bad}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{close, heard, sine, sound, wav};
    use super::*;

    fn list(sounds: &[Audio]) -> Value {
        Value::List(sounds.iter().map(wav).collect())
    }

    #[test]
    fn a_mix_is_the_sum() {
        let sounds = [sound(1, &[0.5, 0.5, 0.5]), sound(2, &[0.1, -0.1])];
        let call = || NodeTest::new::<Mix>().field("sounds", list(&sounds));
        let plain = heard(&call().run().unwrap());
        assert_eq!(plain.channels, 2);
        close(&plain.samples, &[0.6, 0.4, 0.5, 0.5, 0.5, 0.5], 1e-7);
        let placed = call().field("gains_db", vec![Value::Int(-20), Value::Int(20)]);
        let placed = heard(&placed.field("starts", vec![Value::Int(0), Value::Float(0.004)]).run().unwrap());
        close(&placed.samples, &[0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.0, 0.0, 1.0, -1.0], 1e-6);
        let text = |call: NodeTest| call.run().unwrap_err().message().to_owned();
        assert!(text(NodeTest::new::<Mix>().field("sounds", list(&[]))).contains("at least one"));
        assert!(text(call().field("gains_db", vec![Value::Int(0); 3])).contains("3 values for 2 sounds"));
        assert!(text(call().field("starts", vec![Value::Float(-1.0)])).contains("got -1"));
        assert!(text(call().field("starts", vec![Value::Float(f64::NAN)])).contains("got NaN"));
    }

    #[test]
    fn one_after_the_other_at_one_rate() {
        let sounds = [sound(1, &[0.5, 0.25]), sound(2, &[0.1, -0.1])];
        let call = NodeTest::new::<Concat>().field("sounds", list(&sounds)).field("gap", 0.001);
        assert_eq!(heard(&call.run().unwrap()).samples, [0.5, 0.5, 0.25, 0.25, 0.0, 0.0, 0.1, -0.1]);
        let tones = [sine(100.0, 0.5, 8000), sine(100.0, 0.5, 16_000)];
        let joined = heard(&NodeTest::new::<Concat>().field("sounds", list(&tones)).run().unwrap());
        assert_eq!((joined.sample_rate, joined.frames()), (8000, 8000));
        // Half a second is whole periods: away from its edges the second half repeats the first.
        close(&joined.samples[5000..7000], &joined.samples[1000..3000], 2e-3);
        let other = NodeTest::new::<Concat>().field("sounds", list(&tones)).field("sample_rate", 4000);
        assert_eq!(heard(&other.run().unwrap()).frames(), 4000);
    }
}

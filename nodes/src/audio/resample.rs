//! Resample, and the conversion of sample rates that other nodes use.

use millwork_worker::convert::audio::check_size;
use millwork_worker::prelude::*;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler, WindowFunction};

/// Changes the sample rate; pitch and length stay. Frequencies that the new rate cannot hold are filtered out.
#[derive(Node)]
#[node("audio.Resample")]
pub(super) struct Resample {
    /// The sound.
    audio: Audio,
    /// The new rate, in hertz.
    #[node(default = 16_000, min = 1, max = 768_000)]
    sample_rate: u32,
}

impl Run for Resample {
    type Output = Audio;

    fn run(self, cx: &Context) -> Result<Audio> {
        resample(self.audio, self.sample_rate, cx)
    }
}

/// Frames that the Fourier transform takes at once, at least: longer keeps more of the highest frequencies.
const CHUNK: usize = 2048;

/// The frames it takes at once. The filter's delay is half of them, which is a whole number before and after only where
/// they are an even multiple of the smallest block that both rates share.
fn block(from: u32, to: u32) -> usize {
    let (mut gcd, mut rest) = (from, to);
    while rest > 0 {
        (gcd, rest) = (rest, gcd % rest);
    }
    let smallest = (from / gcd.max(1)).max(1) as usize;
    smallest * CHUNK.div_ceil(smallest).next_multiple_of(2)
}

/// The sound at another rate, `⌈frames · to / from⌉` frames long. Its delay is taken off.
///
/// # Errors
/// Where the result would be too large, and `cancelled`.
pub fn resample(audio: Audio, to: u32, cx: &Context) -> Result<Audio> {
    resample_with(audio, to, |done, total| {
        cx.progress(done as f64, total as f64);
        cx.check()
    })
}

/// [`resample`] for work that has a progress of its own: `step` is told how many of how many samples there are.
///
/// # Errors
/// Where the result would be too large, and as `step`.
pub fn resample_with(audio: Audio, to: u32, mut step: impl FnMut(usize, usize) -> Result<()>) -> Result<Audio> {
    let (from, frames) = (audio.sample_rate, audio.frames());
    if from == to {
        return Ok(audio);
    }
    let channels = usize::from(audio.channels.max(1));
    let wanted = (frames as u128 * u128::from(to)).div_ceil(u128::from(from.max(1)));
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    check_size(wanted.saturating_mul(channels))?;
    let mut samples = vec![0f32; wanted * channels];
    // A channel at a time: rates without a common factor need buffers as long as a second of sound.
    let window = WindowFunction::BlackmanHarris2;
    let block = block(from, to);
    let mut resampler = Fft::<f32>::new_custom(from as usize, to as usize, block, 1, 1, window, FixedSync::Both)?;
    let mut chunk = vec![0f32; resampler.input_frames_max()];
    for channel in 0..audio.channels {
        resampler.reset();
        let mut input = audio.channel(channel);
        let mut skip = resampler.output_delay();
        let mut place = samples.iter_mut().skip(usize::from(channel)).step_by(channels);
        let mut left = wanted;
        while left > 0 {
            let filled = chunk.iter_mut().zip(&mut input).map(|(slot, x)| *slot = x).count();
            let whole = Indexing::new().partial_len(filled);
            let out = resampler.process(&InterleavedSlice::new(&chunk, 1, chunk.len())?, Some(&whole))?.take_data();
            for x in out.iter().skip(skip).take(left) {
                place.next().into_iter().for_each(|slot| *slot = *x);
            }
            left = left.saturating_sub(out.len().saturating_sub(skip));
            skip = skip.saturating_sub(out.len());
            let done = (usize::from(channel) + 1) * wanted - left;
            step(done, wanted * channels)?;
        }
    }
    Audio::new(samples, audio.channels, to)
}

#[cfg(test)]
mod tests {
    use millwork_worker::CancelToken;
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{close, heard, sine, sound, wav};
    use super::super::{peak, rms};
    use super::*;

    fn call(audio: &Audio, rate: u32) -> NodeTest {
        NodeTest::new::<Resample>().field("audio", wav(audio)).field("sample_rate", rate)
    }

    #[test]
    fn a_tone_stays_what_it_is() {
        for (from, to) in [(44_100, 48_000), (48_000, 16_000), (8000, 44_100), (16_000, 15_999)] {
            let done = heard(&call(&sine(440.0, 0.5, from), to).run().unwrap());
            let ideal = sine(440.0, 0.5, to);
            assert_eq!(done.sample_rate, to);
            assert!(done.frames().abs_diff(ideal.frames()) <= 1, "{from} to {to}: {}", done.frames());
            // The sudden beginning and end ring; between them it is the tone.
            let middle = to as usize / 8..to as usize * 3 / 8;
            close(&done.samples[middle.clone()], &ideal.samples[middle], 1e-3);
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_gone() {
        let done = heard(&call(&sine(6000.0, 0.5, 44_100), 8000).run().unwrap());
        assert!(rms(&done.samples[1000..3000]) < 1e-4, "{}", rms(&done.samples[1000..3000]));
    }

    #[test]
    fn channels_stay_apart_and_limits_hold() {
        let tone = sine(100.0, 0.25, 8000);
        let stereo = Audio::new(tone.samples.iter().flat_map(|x| [*x, 0.0]).collect(), 2, 8000).unwrap();
        let done = heard(&call(&stereo, 16_000).run().unwrap());
        assert_eq!((done.channels, done.frames()), (2, 4000));
        assert!(done.channel(1).all(|x| x == 0.0) && peak(&done.samples) > 0.9);
        assert_eq!(heard(&call(&sound(1, &[]), 44_100).run().unwrap()).frames(), 0);
        assert_eq!(heard(&call(&sound(1, &[0.5]), 3).run().unwrap()).frames(), 1);
        let slow = Audio::new(vec![0.0; 1000], 1, 1).unwrap();
        assert!(call(&slow, 768_000).run().unwrap_err().message().contains("768000000 samples"));
        assert!(call(&tone, 0).run().unwrap_err().message().contains("between 1 and 768000"));
        let token = CancelToken::default();
        token.cancel();
        assert_eq!(*call(&tone, 4000).cancel(&token).run().unwrap_err().kind(), ErrorKind::Cancelled);
    }
}

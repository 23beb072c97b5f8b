//! Channels: ToMono, and how sounds with different channels are brought together.

use millwork_worker::convert::audio::check_size;
use millwork_worker::prelude::*;

/// Mixes all channels into one: their mean.
#[derive(Node)]
#[node("audio.ToMono")]
pub(super) struct ToMono {
    /// The sound.
    audio: Audio,
}

impl Run for ToMono {
    type Output = Audio;

    fn run(self, _: &Context) -> Result<Audio> {
        with_channels(self.audio, 1)
    }
}

/// The sound with that many channels: the mean for one, one copied to all, and otherwise the first ones kept and silence
/// for those that are new.
pub fn with_channels(audio: Audio, channels: u16) -> Result<Audio> {
    if audio.channels == channels {
        return Ok(audio);
    }
    let (from, to) = (usize::from(audio.channels.max(1)), usize::from(channels));
    check_size(audio.frames().saturating_mul(to))?;
    let mut samples = Vec::with_capacity(audio.frames() * to);
    for frame in audio.samples.chunks_exact(from) {
        match (frame, to) {
            (_, 1) => samples.push((frame.iter().map(|x| f64::from(*x)).sum::<f64>() / from as f64) as f32),
            ([only], _) => samples.extend(std::iter::repeat_n(*only, to)),
            _ => samples.extend(frame.iter().copied().chain(std::iter::repeat(0.0)).take(to)),
        }
    }
    Audio::new(samples, channels, audio.sample_rate)
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{heard, sound, wav};
    use super::*;

    #[test]
    fn the_mean_of_the_channels() {
        let stereo = sound(2, &[1.0, 0.0, -0.5, 0.25]);
        let mono = heard(&NodeTest::new::<ToMono>().field("audio", wav(&stereo)).run().unwrap());
        assert_eq!(mono, sound(1, &[0.5, -0.125]));
        assert_eq!(with_channels(mono, 2).unwrap().samples, [0.5, 0.5, -0.125, -0.125]);
        assert_eq!(with_channels(stereo, 3).unwrap().samples, [1.0, 0.0, 0.0, -0.5, 0.25, 0.0]);
        assert!(with_channels(sound(1, &[0.0]), 0).is_err());
    }
}

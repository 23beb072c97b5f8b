//! Loudness: Gain, Normalize.

use millwork_worker::prelude::*;

use super::{gain_of, peak, rms, scale};

/// Makes a sound louder or softer. Above full scale nothing is clipped until it is encoded as integers.
#[derive(Node)]
#[node("audio.Gain")]
pub(super) struct Gain {
    /// The sound.
    audio: Audio,
    /// Decibels: 6.02 doubles the amplitude, −6.02 halves it.
    #[node(default = 0.0, min = -200, max = 100)]
    db: f64,
}

impl Run for Gain {
    type Output = Audio;

    fn run(mut self, _: &Context) -> Result<Audio> {
        scale(&mut self.audio, gain_of(self.db));
        Ok(self.audio)
    }
}

/// What is measured.
#[derive(Choice, Clone, Copy)]
pub(super) enum Measure {
    Peak,
    Rms,
}

/// Brings a sound to a level. Silence stays as it is.
#[derive(Node)]
#[node("audio.Normalize")]
pub(super) struct Normalize {
    /// The sound.
    audio: Audio,
    /// The loudest sample, or the RMS level over all channels. By RMS, peaks may rise above full scale.
    #[node(default = Measure::Peak)]
    measure: Measure,
    /// The level to reach, in dBFS: −1 suits peaks, −20 RMS.
    #[node(default = -1.0, min = -120, max = 0)]
    level_db: f64,
}

impl Run for Normalize {
    type Output = Audio;

    fn run(mut self, _: &Context) -> Result<Audio> {
        let level = match self.measure {
            Measure::Peak => peak(&self.audio.samples),
            Measure::Rms => rms(&self.audio.samples),
        };
        if level > 0.0 {
            scale(&mut self.audio, gain_of(self.level_db) / level);
        }
        Ok(self.audio)
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{close, heard, sine, sound, wav};
    use super::*;

    #[test]
    fn gain_in_decibels() {
        let call = |db: f64| NodeTest::new::<Gain>().field("audio", wav(&sound(2, &[0.5, -0.25]))).field("db", db);
        // 20 dB is a factor of ten.
        close(&heard(&call(20.0).run().unwrap()).samples, &[5.0, -2.5], 1e-6);
        close(&heard(&call(-20.0).run().unwrap()).samples, &[0.05, -0.025], 1e-7);
        assert!(call(1000.0).run().unwrap_err().message().contains("between -200 and 100"));
        assert!(call(f64::NAN).run().is_err());
    }

    #[test]
    fn normalized_sound_has_the_level() {
        let quiet = NodeTest::new::<Normalize>().field("audio", wav(&sound(1, &[0.1, -0.2])));
        close(&heard(&quiet.field("level_db", 0).run().unwrap()).samples, &[0.5, -1.0], 1e-6);
        let tone = NodeTest::new::<Normalize>().field("audio", wav(&sine(50.0, 1.0, 8000)));
        let tone = heard(&tone.field("measure", "rms").field("level_db", -20).run().unwrap());
        // An RMS of 0.1 is a sine with amplitude 0.1·√2.
        assert!((rms(&tone.samples) - 0.1).abs() < 1e-6 && (peak(&tone.samples) - 0.141_421).abs() < 1e-5);
        let silence = sound(1, &[0.0, 0.0]);
        assert_eq!(heard(&NodeTest::new::<Normalize>().field("audio", wav(&silence)).run().unwrap()), silence);
    }
}

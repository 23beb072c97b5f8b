//! Cutting and shaping in time: Trim, TrimSilence, Reverse, Fade.

use millwork_worker::prelude::*;

use super::{frames_in, gain_of};

/// Keeps the part between two times.
#[derive(Node)]
#[node("audio.Trim")]
pub(super) struct Trim {
    /// The sound.
    audio: Audio,
    /// Where the part begins, in seconds.
    #[node(default = 0.0, min = 0)]
    start: f64,
    /// Where it ends, in seconds; left out, or later than the end of the sound, that end.
    #[node(min = 0)]
    end: Option<f64>,
}

impl Run for Trim {
    type Output = Audio;

    fn run(self, _: &Context) -> Result<Audio> {
        let Self { audio, start, end } = self;
        if let Some(end) = end.filter(|end| *end < start) {
            return Err(Error::invalid(format!("`end` ({end} s) lies before `start` ({start} s): swap them")));
        }
        let end = end.map_or(usize::MAX, |end| frames_in(end, audio.sample_rate));
        let start = frames_in(start, audio.sample_rate);
        Ok(keep(audio, start, end))
    }
}

/// Cuts silence from the beginning and the end.
#[derive(Node)]
#[node("audio.TrimSilence")]
pub(super) struct TrimSilence {
    /// The sound.
    audio: Audio,
    /// What counts as silence: frames in which no channel is louder than this, in dBFS.
    #[node(default = -60.0, min = -200, max = 0)]
    threshold_db: f64,
    /// Silence to leave on both sides, in seconds.
    #[node(default = 0.0, min = 0, max = 3600)]
    padding: f64,
}

impl Run for TrimSilence {
    type Output = Audio;

    fn run(self, _: &Context) -> Result<Audio> {
        let audio = self.audio;
        let (threshold, channels) = (gain_of(self.threshold_db), usize::from(audio.channels.max(1)));
        let loud = |x: &f32| f64::from(x.abs()) > threshold;
        let (Some(first), Some(last)) = (audio.samples.iter().position(loud), audio.samples.iter().rposition(loud))
        else {
            return Ok(Audio { samples: Vec::new(), ..audio });
        };
        let padding = frames_in(self.padding, audio.sample_rate);
        let (start, end) = ((first / channels).saturating_sub(padding), last / channels + 1 + padding);
        Ok(keep(audio, start, end))
    }
}

/// The frames from `start` to before `end`, as far as there are any.
fn keep(mut audio: Audio, start: usize, end: usize) -> Audio {
    let channels = usize::from(audio.channels.max(1));
    let end = end.min(audio.frames());
    audio.samples.truncate(end * channels);
    audio.samples.drain(..start.min(end) * channels);
    audio
}

/// Plays a sound backwards.
#[derive(Node)]
#[node("audio.Reverse")]
pub(super) struct Reverse {
    /// The sound.
    audio: Audio,
}

impl Run for Reverse {
    type Output = Audio;

    fn run(mut self, _: &Context) -> Result<Audio> {
        // Reversing everything also turns the channels of each frame around: turn them back.
        self.audio.samples.reverse();
        self.audio.samples.chunks_exact_mut(usize::from(self.audio.channels.max(1))).for_each(<[f32]>::reverse);
        Ok(self.audio)
    }
}

/// How a fade rises.
#[derive(Choice, Clone, Copy)]
pub(super) enum Curve {
    Linear,
    Cosine,
    Exponential,
}

impl Curve {
    /// The gain at a place from 0 to 1.
    fn gain(self, at: f64) -> f64 {
        match self {
            Self::Linear => at,
            Self::Cosine => (1.0 - (std::f64::consts::PI * at).cos()) / 2.0,
            // The same number of decibels in the same time.
            Self::Exponential if at > 0.0 => gain_of(-60.0 * (1.0 - at)),
            Self::Exponential => 0.0,
        }
    }
}

/// Fades a sound in and out.
#[derive(Node)]
#[node("audio.Fade")]
pub(super) struct Fade {
    /// The sound.
    audio: Audio,
    /// Length of the fade at the beginning, in seconds; a longer one than the sound is cut to it.
    #[node(default = 0.01, min = 0)]
    fade_in: f64,
    /// Length of the fade at the end, in seconds.
    #[node(default = 0.01, min = 0)]
    fade_out: f64,
    /// Linear in amplitude, cosine (soft at both ends), or exponential (60 dB, even to the ear).
    #[node(default = Curve::Linear)]
    curve: Curve,
}

impl Run for Fade {
    type Output = Audio;

    fn run(mut self, _: &Context) -> Result<Audio> {
        let (frames, channels) = (self.audio.frames(), usize::from(self.audio.channels.max(1)));
        let length = |seconds| frames_in(seconds, self.audio.sample_rate).min(frames);
        let (fade_in, fade_out) = (length(self.fade_in), length(self.fade_out));
        let at = |i: usize, length: usize| self.curve.gain(i as f64 / length as f64);
        let fade = |frame: &mut [f32], gain: f64| frame.iter_mut().for_each(|x| *x = (f64::from(*x) * gain) as f32);
        for (i, frame) in self.audio.samples.chunks_exact_mut(channels).take(fade_in).enumerate() {
            fade(frame, at(i, fade_in));
        }
        for (i, frame) in self.audio.samples.rchunks_exact_mut(channels).take(fade_out).enumerate() {
            fade(frame, at(i, fade_out));
        }
        Ok(self.audio)
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{close, heard, sound, wav};
    use super::*;

    #[test]
    fn a_part_by_time() {
        let call = |start: f64| {
            NodeTest::new::<Trim>()
                .field("audio", wav(&sound(2, &[0.1, -0.1, 0.2, -0.2, 0.3, -0.3])))
                .field("start", start)
        };
        let samples = |call: NodeTest| heard(&call.run().unwrap()).samples;
        assert_eq!(samples(call(0.001)), [0.2, -0.2, 0.3, -0.3]);
        assert_eq!(samples(call(0.001).field("end", 0.002)), [0.2, -0.2]);
        assert_eq!(samples(call(0.0).field("end", 1e300)).len(), 6);
        assert!(samples(call(7.0)).is_empty() && samples(call(0.002).field("end", 0.002)).is_empty());
        let error = call(2.0).field("end", 1.0).run().unwrap_err();
        assert_eq!(error.message(), "`end` (1 s) lies before `start` (2 s): swap them");
        assert!(call(f64::NAN).run().is_err());
    }

    #[test]
    fn silence_goes_from_both_ends_only() {
        let audio = sound(2, &[0.0, 0.0, 0.0009, 0.0, 0.0, -0.5, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0]);
        let call = || NodeTest::new::<TrimSilence>().field("audio", wav(&audio));
        assert_eq!(heard(&call().run().unwrap()).samples, [0.0, -0.5, 0.0, 0.0, 0.2, 0.0]);
        let padded = heard(&call().field("padding", 0.001).run().unwrap());
        assert_eq!(padded.samples, audio.samples[2..]);
        assert_eq!(heard(&call().field("threshold_db", 0).run().unwrap()).frames(), 0);
    }

    #[test]
    fn backwards_twice_is_forwards() {
        let audio = sound(2, &[0.1, -0.1, 0.2, -0.2, 0.3, -0.3]);
        let back = |audio: &Audio| heard(&NodeTest::new::<Reverse>().field("audio", wav(audio)).run().unwrap());
        assert_eq!(back(&audio).samples, [0.3, -0.3, 0.2, -0.2, 0.1, -0.1]);
        assert_eq!(back(&back(&audio)), audio);
    }

    #[test]
    fn fades_rise_and_fall() {
        let call = |curve: &str, fade_in: f64, fade_out: f64| {
            let call = NodeTest::new::<Fade>().field("audio", wav(&sound(1, &[1.0; 6]))).field("curve", curve);
            heard(&call.field("fade_in", fade_in).field("fade_out", fade_out).run().unwrap()).samples
        };
        close(&call("linear", 0.004, 0.002), &[0.0, 0.25, 0.5, 0.75, 0.5, 0.0], 1e-7);
        close(&call("cosine", 0.004, 0.0), &[0.0, 0.146_446_6, 0.5, 0.853_553_4, 1.0, 1.0], 1e-6);
        // −60, −40, −20 dB on the way, but the very first frame is silent.
        close(&call("exponential", 0.003, 0.0), &[0.0, 0.01, 0.1, 1.0, 1.0, 1.0], 1e-6);
        close(&call("linear", 99.0, 0.0)[..2], &[0.0, 1.0 / 6.0], 1e-7);
    }
}

//! Delay: echoes.

use millwork_worker::convert::audio::check_size;
use millwork_worker::prelude::*;

/// Adds echoes. The sound gets longer, until they are 60 dB down.
#[derive(Node)]
#[node("audio.Delay")]
pub(super) struct Delay {
    /// The sound.
    audio: Audio,
    /// Time from one echo to the next, in seconds.
    #[node(default = 0.3, min = 0.001, max = 10)]
    time: f64,
    /// How loud each echo is beside the one before: 0 for a single echo.
    #[node(default = 0.4, min = 0, max = 0.95)]
    feedback: f64,
    /// How loud the first echo is beside the sound.
    #[node(default = 0.5, min = 0, max = 1)]
    level: f64,
}

impl Run for Delay {
    type Output = Audio;

    fn run(self, cx: &Context) -> Result<Audio> {
        let Self { audio, time, feedback, level } = self;
        let step = super::frames_in(time, audio.sample_rate).max(1) * usize::from(audio.channels.max(1));
        // `feedback` to the power of the echoes after the first is a thousandth.
        let echoes = if feedback > 0.0 { (1e-3f64.ln() / feedback.ln()).ceil() as usize + 1 } else { 1 };
        let length = audio.samples.len().saturating_add(step.saturating_mul(echoes));
        check_size(length)?;
        if audio.samples.is_empty() {
            return Ok(audio);
        }
        // The echoes alone: e[n] = x[n − step] + feedback · e[n − step].
        let mut echo = vec![0f32; length];
        for i in step..length {
            let sound = audio.samples.get(i - step).copied().unwrap_or(0.0);
            let before = echo.get(i - step).copied().unwrap_or(0.0);
            if let Some(slot) = echo.get_mut(i) {
                *slot = sound + feedback as f32 * before;
            }
        }
        cx.check()?;
        let sound = audio.samples.iter().copied().chain(std::iter::repeat(0.0));
        let samples = sound.zip(&echo).map(|(x, e)| x + level as f32 * e).collect();
        Audio::new(samples, audio.channels, audio.sample_rate)
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{close, heard, sound, wav};
    use super::*;

    #[test]
    fn echoes_come_back_softer() {
        let click = sound(2, &[1.0, -0.5]);
        let call = || NodeTest::new::<Delay>().field("audio", wav(&click)).field("time", 0.002);
        let done = heard(&call().field("feedback", 0.1).field("level", 0.5).run().unwrap());
        // One echo and three more, each a tenth: 60 dB down.
        let expected =
            [1.0, -0.5, 0.0, 0.0, 0.5, -0.25, 0.0, 0.0, 0.05, -0.025, 0.0, 0.0, 5e-3, -2.5e-3, 0.0, 0.0, 5e-4, -2.5e-4];
        close(&done.samples, &expected, 1e-7);
        close(&heard(&call().field("feedback", 0).run().unwrap()).samples, &[1.0, -0.5, 0.0, 0.0, 0.5, -0.25], 0.0);
        assert!(call().field("feedback", 1).run().unwrap_err().message().contains("between 0 and 0.95"));
        assert!(heard(&NodeTest::new::<Delay>().field("audio", wav(&sound(1, &[]))).run().unwrap()).samples.is_empty());
    }
}

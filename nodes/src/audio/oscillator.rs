//! Oscillator: test tones, waves and noise.
//!
//! Square, saw and triangle are smoothed at their corners against aliasing by polynomial residuals: Välimäki and
//! Huovilainen, "Antialiasing oscillators in subtractive synthesis", 2007 (jumps, polyBLEP); Esqueda, Välimäki and
//! Bilbao, "Rounding corners with BLAMP", 2016 (bends). That is cheap and not perfect: some aliasing is left above about
//! a tenth of the sample rate. Noise is white, from SplitMix64 (Steele, Lea and Flood, 2014).

use millwork_worker::convert::audio::check_size;
use millwork_worker::prelude::*;

use super::frames_in;

/// The form of the wave.
#[derive(Choice, Clone, Copy, PartialEq)]
pub(super) enum Wave {
    Sine,
    Square,
    Saw,
    Triangle,
    Noise,
}

/// Makes a tone or noise, mono.
#[derive(Node)]
#[node("audio.Oscillator")]
pub(super) struct Oscillator {
    /// The wave. Sine and triangle begin at 0 and rise, square begins high, saw begins low and rises; noise is white.
    #[node(default = Wave::Sine)]
    wave: Wave,
    /// Periods a second, in hertz, below half the sample rate. Noise has none.
    #[node(default = 440.0, min = 0)]
    frequency: f64,
    /// Length in seconds.
    #[node(default = 1.0, min = 0, max = 86_400)]
    duration: f64,
    /// The largest value: 1 is full scale.
    #[node(default = 0.5, min = 0, max = 1)]
    amplitude: f64,
    /// Samples a second, in hertz.
    #[node(default = 44_100, min = 1, max = 768_000)]
    sample_rate: u32,
    /// Where noise begins: the same number gives the same noise.
    #[node(default = 0)]
    seed: i64,
}

impl Run for Oscillator {
    type Output = Audio;

    fn run(self, cx: &Context) -> Result<Audio> {
        let Self { wave, frequency, amplitude, sample_rate, .. } = self;
        let step = frequency / f64::from(sample_rate);
        if wave != Wave::Noise && step >= 0.5 {
            return Err(Error::invalid(format!(
                "a `frequency` of {frequency} Hz needs a sample rate above {} Hz, got {sample_rate}",
                2.0 * frequency
            )));
        }
        let frames = frames_in(self.duration, sample_rate);
        check_size(frames)?;
        let mut noise = SplitMix64(self.seed as u64);
        let mut samples = Vec::with_capacity(frames);
        for i in 0..frames {
            let phase = (i as f64 * step).fract();
            let value = match wave {
                Wave::Sine => (std::f64::consts::TAU * phase).sin(),
                Wave::Square => {
                    let naive = if phase < 0.5 { 1.0 } else { -1.0 };
                    naive + 2.0 * jump(phase, step) - 2.0 * jump((phase + 0.5).fract(), step)
                }
                Wave::Saw => 2.0 * phase - 1.0 - 2.0 * jump(phase, step),
                Wave::Triangle => {
                    let naive = 1.0 - 4.0 * ((phase + 0.25).fract() - 0.5).abs();
                    let bends = bend((phase + 0.25).fract(), step) - bend((phase + 0.75).fract(), step);
                    naive + 8.0 * step * bends
                }
                Wave::Noise => noise.next(),
            };
            samples.push((amplitude * value) as f32);
            if i % 65_536 == 0 {
                cx.check()?;
            }
        }
        Audio::new(samples, 1, sample_rate)
    }
}

/// Samples from a corner at phase 0 to this one, where that is less than one.
fn distance(phase: f64, step: f64) -> Option<f64> {
    if phase < step {
        Some(phase / step)
    } else if phase > 1.0 - step {
        Some((phase - 1.0) / step)
    } else {
        None
    }
}

/// What smooths a jump up by one at phase 0.
fn jump(phase: f64, step: f64) -> f64 {
    distance(phase, step).map_or(0.0, |t| -t.signum() * (1.0 - t.abs()).powi(2) / 2.0)
}

/// What smooths a bend up by one a sample at phase 0: the integral of [`jump`].
fn bend(phase: f64, step: f64) -> f64 {
    distance(phase, step).map_or(0.0, |t| (1.0 - t.abs()).powi(3) / 6.0)
}

struct SplitMix64(u64);

impl SplitMix64 {
    /// The next number from −1 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{close, heard};
    use super::super::{peak, rms};
    use super::*;

    fn call(wave: &str, frequency: f64, sample_rate: u32) -> NodeTest {
        let call = NodeTest::new::<Oscillator>().field("wave", wave).field("frequency", frequency);
        call.field("sample_rate", sample_rate).field("amplitude", 1)
    }

    fn samples(wave: &str, frequency: f64, sample_rate: u32) -> Vec<f32> {
        heard(&call(wave, frequency, sample_rate).run().unwrap()).samples
    }

    /// The amplitude of a frequency in one second of sound.
    fn strength(samples: &[f32], hertz: f64) -> f64 {
        let n = samples.len() as f64;
        let (mut re, mut im) = (0.0, 0.0);
        for (i, x) in samples.iter().enumerate() {
            let angle = std::f64::consts::TAU * hertz * i as f64 / n;
            re += f64::from(*x) * angle.cos();
            im += f64::from(*x) * angle.sin();
        }
        2.0 * re.hypot(im) / n
    }

    #[test]
    fn a_sine_is_exact() {
        let sine = samples("sine", 1.0, 8);
        let half = std::f32::consts::FRAC_1_SQRT_2;
        close(&sine, &[0.0, half, 1.0, half, 0.0, -half, -1.0, -half], 1e-6);
    }

    #[test]
    fn waves_have_their_harmonics_and_little_else() {
        // Fourier series: square 4/(πk) for odd k, saw 2/(πk), triangle 8/(πk)² for odd k.
        use std::f64::consts::PI;
        for (wave, first, second, third) in [
            ("square", 4.0 / PI, 0.0, 4.0 / (3.0 * PI)),
            ("saw", 2.0 / PI, 1.0 / PI, 2.0 / (3.0 * PI)),
            ("triangle", 8.0 / (PI * PI), 0.0, 8.0 / (9.0 * PI * PI)),
        ] {
            let tone = samples(wave, 101.0, 44_100);
            for (k, expected) in [(1.0, first), (2.0, second), (3.0, third)] {
                let found = strength(&tone, k * 101.0);
                assert!((found - expected).abs() < 2e-3, "{wave} {k}: {found}, not {expected}");
            }
        }
        // The 19th harmonic of 2500 Hz is 47.5 kHz and falls on 3400 Hz: a naive saw has 2/(19π) there.
        let alias = strength(&samples("saw", 2500.0, 44_100), 3400.0);
        assert!(alias < 0.1 * 2.0 / (19.0 * std::f64::consts::PI), "{alias}");
    }

    #[test]
    fn waves_have_their_form() {
        let at = |wave: &str, i: usize| samples(wave, 1.0, 1000)[i];
        for (wave, expected) in
            [("square", [1.0, -1.0, -1.0]), ("saw", [-0.75, 0.25, 0.5]), ("triangle", [0.5, -0.5, -1.0])]
        {
            close(&[at(wave, 125), at(wave, 625), at(wave, 750)], &expected, 2e-3);
        }
    }

    #[test]
    fn noise_is_even_and_repeats() {
        let noise = samples("noise", 0.0, 48_000);
        assert_eq!(noise, samples("noise", 0.0, 48_000));
        assert_ne!(noise, heard(&call("noise", 0.0, 48_000).field("seed", 1).run().unwrap()).samples);
        // Even from −1 to 1: the mean is 0 and the mean square 1/3.
        let mean = noise.iter().sum::<f32>() / 48_000.0;
        assert!(mean.abs() < 0.01 && (rms(&noise) - 3f64.sqrt().recip()).abs() < 0.01 && peak(&noise) <= 1.0);
        // The generator's first number for the seed 0, as published: 0xe220a8397b1dcdaf.
        let first = (0xe220_a839_7b1d_cdafu64 >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
        assert_eq!(noise[0], first as f32);
    }

    #[test]
    fn limits() {
        let text = |call: NodeTest| call.run().unwrap_err().message().to_owned();
        assert!(text(call("sine", 4000.0, 8000)).contains("above 8000 Hz"));
        assert!(text(call("sine", 1.0, 768_000).field("duration", 86_400)).contains("66355200000 samples"));
        assert!(text(call("sine", f64::INFINITY, 8000)).contains("Hz"));
        assert_eq!(heard(&call("saw", 5.0, 8000).field("duration", 0).run().unwrap()).frames(), 0);
        assert!(samples("square", 0.0, 10).iter().all(|x| x.is_finite()));
    }
}

//! Sound as numbers and back: ToTensor, FromTensor.

use millwork_worker::convert::audio::{MAX_CHANNELS, check_size};
use millwork_worker::prelude::*;
use ndarray::{Array2, Ix2};

/// Gives the samples as numbers: f32 `[channels, samples]`, full scale −1 to 1.
#[derive(Node)]
#[node("audio.ToTensor")]
pub(super) struct ToTensor {
    /// The sound.
    audio: Audio,
}

/// The samples and what they do not say.
#[derive(Outputs)]
pub(super) struct Numbers {
    output: Tensor,
    sample_rate: u32,
}

impl Run for ToTensor {
    type Output = Numbers;

    fn run(self, _: &Context) -> Result<Numbers> {
        let Audio { channels, sample_rate, .. } = self.audio;
        let shape = (self.audio.frames(), usize::from(channels));
        let frames = Array2::from_shape_vec(shape, self.audio.samples)?;
        Ok(Numbers { output: Tensor::from_array(frames.reversed_axes().into_dyn()), sample_rate })
    }
}

/// Makes sound of numbers.
#[derive(Node)]
#[node("audio.FromTensor")]
pub(super) struct FromTensor {
    /// `[channels, samples]`, or `[samples]` for mono. Floats are −1 to 1; int16, int32 and uint8 are scaled from their
    /// whole range.
    tensor: Tensor,
    /// Samples a second, in hertz.
    #[node(default = 44_100, min = 1, max = 768_000)]
    sample_rate: u32,
}

impl Run for FromTensor {
    type Output = Audio;

    fn run(self, _: &Context) -> Result<Audio> {
        let Tensor { dtype, shape, .. } = &self.tensor;
        let (channels, frames) = match shape.as_slice() {
            [frames] => (1, *frames),
            [channels, frames] => (*channels, *frames),
            _ => {
                return Err(Error::invalid(format!(
                    "`tensor` has the shape {shape:?}; sound is [channels, samples] or [samples]"
                )));
            }
        };
        let channels = u16::try_from(channels).ok().filter(|n| (1..=MAX_CHANNELS).contains(n)).ok_or_else(|| {
            Error::invalid(format!(
                "`tensor` has the shape {shape:?}, that is {channels} channels of {frames} samples; \
                 1 to {MAX_CHANNELS} are possible: transpose it if the samples come first"
            ))
        })?;
        check_size(self.tensor.len())?;
        let (scale, zero) = match dtype {
            DType::F16 | DType::F32 | DType::F64 => (1.0, 0.0),
            DType::I16 => (1.0 / 32_768.0, 0.0),
            DType::I32 => (1.0 / 2_147_483_648.0, 0.0),
            DType::U8 => (1.0 / 128.0, 128.0),
            other => {
                return Err(Error::invalid(format!(
                    "`tensor` has the dtype {other}; sound is float16, float32, float64, int16, int32 or uint8"
                )));
            }
        };
        let planes = self.tensor.to_array_as::<f32>().invalid("`tensor`")?;
        let planes = planes.into_shape_with_order((usize::from(channels), frames))?.into_dimensionality::<Ix2>()?;
        let samples = planes.t().iter().map(|x| (x - zero) * scale).collect();
        Audio::new(samples, channels, self.sample_rate)
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::tests::{heard, sound, wav};
    use super::*;

    fn from<T: millwork_worker::convert::Element>(shape: &[usize], elements: &[T]) -> NodeTest {
        let tensor = Tensor::from_slice(shape, elements).unwrap();
        let map = millwork_worker::protocol::map! {
            "type" => "np_array", "value" => tensor.data, "dtype" => tensor.dtype.numpy(), "shape" => tensor.shape,
        };
        NodeTest::new::<FromTensor>().field("tensor", map).field("sample_rate", 1000)
    }

    #[test]
    fn channels_become_rows_and_back() {
        let audio = sound(2, &[0.1, -0.1, 0.2, -0.2, 0.3, -0.3]);
        let done = NodeTest::new::<ToTensor>().field("audio", wav(&audio)).run().unwrap();
        let map = done.outputs["output"].as_map().unwrap();
        assert_eq!(map["shape"], Value::from(vec![Value::Int(2), Value::Int(3)]));
        let floats: Vec<u8> = [0.1f32, 0.2, 0.3, -0.1, -0.2, -0.3].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(map["value"], Value::Bytes(floats.into()));
        assert_eq!(done.outputs["sample_rate"], Value::Int(1000));
        let back = NodeTest::new::<FromTensor>().field("tensor", map.clone()).field("sample_rate", 1000);
        assert_eq!(heard(&back.run().unwrap()), audio);
    }

    #[test]
    fn integers_are_scaled() {
        assert_eq!(heard(&from(&[2], &[i16::MIN, 16_384]).run().unwrap()), sound(1, &[-1.0, 0.5]));
        assert_eq!(heard(&from(&[1, 2], &[i32::MIN, 1 << 30]).run().unwrap()), sound(1, &[-1.0, 0.5]));
        assert_eq!(heard(&from(&[3], &[0u8, 128, 192]).run().unwrap()), sound(1, &[-1.0, 0.0, 0.5]));
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        let text = |call: NodeTest| call.run().unwrap_err().message().to_owned();
        assert!(text(from(&[100, 2], &[0f32; 200])).contains("transpose it"));
        assert!(text(from(&[0, 2], &[0f32; 0])).contains("0 channels"));
        assert!(text(from(&[1, 1, 1], &[0f32])).contains("[channels, samples]"));
        assert!(text(from(&[1], &[1i64])).contains("dtype int64"));
        assert!(text(from(&[2], &[0.0, f64::NAN])).contains("NaN (frame 1)"));
        assert!(text(from(&[1], &[1e300f64])).contains("inf"));
        assert_eq!(heard(&from(&[1, 0], &[0f32; 0]).run().unwrap()).frames(), 0);
    }
}

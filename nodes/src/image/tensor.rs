//! Pictures to tensors and back.

use millwork_worker::prelude::*;

use super::raster::{Depth, Raster, check_size};

/// The order of a tensor's axes: height, width, channels, and a batch of one.
#[derive(Debug, Clone, Copy, PartialEq, Choice)]
pub(crate) enum Layout {
    /// Height, width, channels.
    Hwc,
    /// Channels, height, width.
    Chw,
    /// A batch of one, height, width, channels.
    Nhwc,
    /// A batch of one, channels, height, width.
    Nchw,
}

impl Layout {
    fn is_planar(self) -> bool {
        matches!(self, Layout::Chw | Layout::Nchw)
    }

    fn shape(self, height: usize, width: usize, channels: usize) -> Vec<usize> {
        match self {
            Layout::Hwc => vec![height, width, channels],
            Layout::Chw => vec![channels, height, width],
            Layout::Nhwc => vec![1, height, width, channels],
            Layout::Nchw => vec![1, channels, height, width],
        }
    }

    /// Height, width and channels of a shape; a picture of one channel may come without its axis.
    fn read(self, shape: &[usize]) -> Result<(usize, usize, usize)> {
        let refused = || {
            let wanted = match self {
                Layout::Hwc => "[height, width, channels]",
                Layout::Chw => "[channels, height, width]",
                Layout::Nhwc => "[1, height, width, channels]",
                Layout::Nchw => "[1, channels, height, width]",
            };
            Error::invalid(format!(
                "a picture in the layout {} has the shape {wanted} with 1 to 4 channels, or [height, width]; got {shape:?}",
                self.name()
            ))
        };
        let (height, width, channels) = match (self, shape) {
            (_, [h, w]) => (*h, *w, 1),
            (Layout::Hwc, [h, w, c]) | (Layout::Nhwc, [1, h, w, c]) => (*h, *w, *c),
            (Layout::Chw, [c, h, w]) | (Layout::Nchw, [1, c, h, w]) => (*h, *w, *c),
            _ => return Err(refused()),
        };
        if (1..=4).contains(&channels) { Ok((height, width, channels)) } else { Err(refused()) }
    }
}

/// Which channels a tensor gets.
#[derive(Debug, Clone, Copy, Choice)]
pub(crate) enum Channels {
    /// Those of the picture.
    Keep,
    /// One: Rec. 601 luma.
    Grey,
    /// Three, without alpha.
    Rgb,
    /// Four, opaque where the picture has no alpha.
    Rgba,
}

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Choice)]
pub(crate) enum Elements {
    /// 32 bit floats.
    F32,
    /// Bytes.
    U8,
}

/// Turns a picture into a tensor.
///
/// Elements are `(sample * scale - mean) / std`, where a sample is 0 (black) to 1 (white) as stored.
#[derive(Node)]
#[node("image.ToTensor")]
pub(crate) struct ToTensor {
    /// The picture.
    image: Image,
    /// Order of the axes: hwc, chw, and nhwc or nchw with a batch of one in front.
    #[node(default = Layout::Nchw)]
    layout: Layout,
    /// keep takes the picture's channels; grey, rgb and rgba make 1, 3 and 4 of any picture.
    #[node(default = Channels::Keep)]
    channels: Channels,
    /// f32, or u8 with samples from 0 to 255, which takes no scale, mean or std.
    #[node(default = Elements::F32)]
    dtype: Elements,
    /// What white becomes before mean and std: 1, or 255 for models that want bytes as floats.
    #[node(default = 1.0, min = -1e6, max = 1e6)]
    scale: f32,
    /// Subtracted: one number, or one for each channel.
    #[node(default = Vec::new())]
    mean: Vec<f32>,
    /// Divided by, after the mean: one number, or one for each channel.
    #[node(default = Vec::new())]
    std: Vec<f32>,
}

impl Run for ToTensor {
    type Output = Tensor;

    fn run(self, cx: &Context) -> Result<Tensor> {
        let raster = Raster::new(&self.image)?;
        let channels = match self.channels {
            Channels::Keep => raster.channels,
            Channels::Grey => 1,
            Channels::Rgb => 3,
            Channels::Rgba => 4,
        };
        let raster = raster.with_channels(channels)?;
        cx.check()?;
        let shape = self.layout.shape(raster.height, raster.width, channels);
        if self.dtype == Elements::U8 {
            if self.scale != 1.0 || !self.mean.is_empty() || !self.std.is_empty() {
                return Err(Error::invalid("a tensor of u8 takes no `scale`, `mean` or `std`: use dtype f32"));
            }
            let bytes: Vec<u8> = raster.samples.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
            let bytes = if self.layout.is_planar() { planar(&bytes, channels) } else { bytes };
            return Ok(Tensor::from_slice(&shape, &bytes)?);
        }
        let scaling = Scaling::new(self.scale, &self.mean, &self.std, channels)?;
        let floats: Vec<f32> = raster.pixels().flat_map(|pixel| scaling.apply(pixel)).collect();
        let floats = if self.layout.is_planar() { planar(&floats, channels) } else { floats };
        Ok(Tensor::from_slice(&shape, &floats)?)
    }
}

/// Turns a tensor into a picture: the inverse of `image.ToTensor`.
///
/// Samples are `(element * std + mean) / scale`, clipped to 0 to 1. Elements of u8 and u16 are taken as they are, from 0 to
/// 255 or 65535; u16 gives a picture of 16 bits, everything else one of 8. 1 to 4 channels are grey, grey with alpha, RGB
/// and RGBA.
#[derive(Node)]
#[node("image.FromTensor")]
pub(crate) struct FromTensor {
    /// The tensor.
    tensor: Tensor,
    /// Order of the axes: hwc, chw, and nhwc or nchw with a batch of one in front. A shape of [height, width] is grey.
    #[node(default = Layout::Nchw)]
    layout: Layout,
    /// What white is before mean and std: 1, or 255 for models that give bytes as floats.
    #[node(default = 1.0, min = -1e6, max = 1e6)]
    scale: f32,
    /// Added after std: one number, or one for each channel.
    #[node(default = Vec::new())]
    mean: Vec<f32>,
    /// Multiplied with: one number, or one for each channel.
    #[node(default = Vec::new())]
    std: Vec<f32>,
}

impl Run for FromTensor {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let (height, width, channels) = self.layout.read(&self.tensor.shape)?;
        check_size(width, height, channels)?;
        let scaling = match self.tensor.dtype {
            DType::U8 | DType::U16 if self.scale != 1.0 || !self.mean.is_empty() || !self.std.is_empty() => {
                return Err(Error::invalid(format!(
                    "a tensor of {} takes no `scale`, `mean` or `std`: use tensor.Cast to float32 first",
                    self.tensor.dtype
                )));
            }
            DType::U8 => Scaling::new(255.0, &[], &[], channels)?,
            DType::U16 => Scaling::new(65_535.0, &[], &[], channels)?,
            _ => Scaling::new(self.scale, &self.mean, &self.std, channels)?,
        };
        let (elements, _) = self.tensor.to_array_f32().invalid("tensor")?.into_raw_vec_and_offset();
        cx.check()?;
        let elements = if self.layout.is_planar() { planar(&elements, width * height) } else { elements };
        let samples: Vec<f32> = elements.chunks_exact(channels).flat_map(|pixel| scaling.undo(pixel)).collect();
        let depth = if self.tensor.dtype == DType::U16 { Depth::U16 } else { Depth::U8 };
        Raster { width, height, channels, depth, samples }.into_image()
    }
}

/// Interleaved elements in groups of `inner`, the groups' first elements first: a transpose.
fn planar<T: Copy>(elements: &[T], inner: usize) -> Vec<T> {
    (0..inner).flat_map(|i| elements.iter().skip(i).step_by(inner).copied()).collect()
}

/// `(sample * scale - mean) / std`, channel by channel.
struct Scaling {
    scale: f32,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Scaling {
    fn new(scale: f32, mean: &[f32], std: &[f32], channels: usize) -> Result<Self> {
        let spread = |name: &str, given: &[f32], default: f32| match given {
            [] => Ok(vec![default; channels]),
            [one] => Ok(vec![*one; channels]),
            each if each.len() == channels => Ok(each.to_vec()),
            each => Err(Error::invalid(format!(
                "`{name}` has {} numbers and the picture {channels} channels: give one number, or one for each channel",
                each.len()
            ))),
        };
        let (mean, std) = (spread("mean", mean, 0.0)?, spread("std", std, 1.0)?);
        if scale == 0.0 || std.contains(&0.0) {
            return Err(Error::invalid("`scale` and `std` cannot be 0"));
        }
        if mean.iter().chain(&std).any(|v| !v.is_finite()) {
            return Err(Error::invalid("`mean` and `std` must be finite numbers"));
        }
        Ok(Self { scale, mean, std })
    }

    fn channels(&self) -> impl Iterator<Item = (&f32, &f32)> {
        self.mean.iter().zip(&self.std)
    }

    fn apply(&self, pixel: &[f32]) -> impl Iterator<Item = f32> {
        pixel.iter().zip(self.channels()).map(|(v, (mean, std))| (v * self.scale - mean) / std)
    }

    fn undo(&self, pixel: &[f32]) -> impl Iterator<Item = f32> {
        pixel.iter().zip(self.channels()).map(|(v, (mean, std))| (v * std + mean) / self.scale)
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::node::Emitted;
    use millwork_worker::testing::NodeTest;

    use super::super::testing::*;
    use super::*;

    const PIXELS: [[u8; 3]; 2] = [[0, 51, 255], [102, 153, 204]];

    fn parts(emitted: &Emitted) -> (Vec<i64>, Vec<f32>) {
        let map = emitted.outputs["output"].as_map().unwrap();
        let shape = map["shape"].as_list().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
        let Value::Bytes(bytes) = &map["value"] else { panic!("no bytes") };
        let floats = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (shape, floats)
    }

    fn near(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    fn back(tensor: Value) -> NodeTest {
        NodeTest::new::<FromTensor>().field("tensor", tensor)
    }

    #[test]
    fn layouts_order_the_axes() {
        let call = |layout: &str| parts(&on::<ToTensor>(rgb(2, &PIXELS)).field("layout", layout).run().unwrap());
        let (planar, interleaved) = ([0.0, 0.4, 0.2, 0.6, 1.0, 0.8], [0.0, 0.2, 1.0, 0.4, 0.6, 0.8]);
        for (layout, shape, values) in [
            ("chw", vec![3, 1, 2], planar),
            ("nchw", vec![1, 3, 1, 2], planar),
            ("hwc", vec![1, 2, 3], interleaved),
            ("nhwc", vec![1, 1, 2, 3], interleaved),
        ] {
            let (found, floats) = call(layout);
            assert_eq!(found, shape, "{layout}");
            assert!(near(&floats, &values), "{layout}: {floats:?}");
        }
    }

    #[test]
    fn normalising_is_torchvisions_and_is_undone() {
        let list = |values: [f64; 3]| Value::List(values.map(Value::Float).to_vec());
        let (mean, std) = (list([0.485, 0.456, 0.406]), list([0.229, 0.224, 0.225]));
        let call = on::<ToTensor>(rgb(2, &PIXELS)).field("mean", mean.clone()).field("std", std.clone());
        let tensor = call.run().unwrap();
        // torchvision's Normalize: (v - mean) / std.
        let expected = [-2.117_904, -0.371_179, -1.142_857, 0.642_857, 2.64, 1.751_111];
        assert!(near(&parts(&tensor).1, &expected), "{:?}", parts(&tensor).1);
        let again = back(tensor.outputs["output"].clone()).field("mean", mean).field("std", std);
        assert_eq!(samples(again), PIXELS.as_flattened());
        let bytes = on::<ToTensor>(rgb(2, &PIXELS)).field("scale", 255).run().unwrap();
        assert!(near(&parts(&bytes).1, &[0.0, 102.0, 51.0, 153.0, 255.0, 204.0]));
    }

    #[test]
    fn every_kind_of_picture_comes_back() {
        for layout in ["hwc", "chw", "nhwc", "nchw"] {
            for dtype in ["f32", "u8"] {
                for source in [grey(3, &[1, 2, 3]), rgb(2, &PIXELS), rgba(1, &[[1, 2, 3, 4], [5, 6, 7, 8]])] {
                    let call = on::<ToTensor>(source.clone()).field("layout", layout).field("dtype", dtype);
                    let tensor = call.run().unwrap().outputs["output"].clone();
                    let again = back(tensor).field("layout", layout).run().unwrap();
                    assert_eq!(picture(&again), Image::decode(&source).unwrap().0, "{layout} {dtype}");
                }
            }
        }
    }

    #[test]
    fn channels_are_made_as_asked() {
        let call = |source, channels: &str| parts(&on::<ToTensor>(source).field("channels", channels).run().unwrap());
        assert!(near(&call(rgb(1, &[[255, 0, 0]]), "grey").1, &[0.299]));
        assert!(near(&call(grey(1, &[51]), "rgba").1, &[0.2, 0.2, 0.2, 1.0]));
        assert!(near(&call(rgba(1, &[[51, 0, 255, 9]]), "rgb").1, &[0.2, 0.0, 1.0]));
    }

    #[test]
    fn deep_tensors_make_deep_pictures() {
        let tensor = map! {
            "type" => "np_array", "dtype" => "<u2", "shape" => vec![1usize, 2],
            "value" => Bytes::from_static(&[0x39, 0x30, 0xff, 0xff]),
        };
        let deep = back(Value::Map(tensor)).run().unwrap();
        assert_eq!(picture(&deep).into_luma16().into_raw(), [12_345, 65_535]);
    }

    #[test]
    fn shapes_and_scalings_that_cannot_be_are_refused() {
        let zeros = |shape: &[usize]| {
            map! {
                "type" => "np_array", "dtype" => "<f4", "shape" => shape.to_vec(),
                "value" => Bytes::from(vec![0u8; shape.iter().product::<usize>() * 4]),
            }
        };
        let message = refusal(back(Value::Map(zeros(&[1, 5, 2, 2]))));
        assert!(message.contains("[1, channels, height, width]") && message.contains("got [1, 5, 2, 2]"), "{message}");
        assert!(refusal(back(Value::Map(zeros(&[2, 3, 2, 2])))).contains("got [2, 3, 2, 2]"));
        assert!(refusal(back(Value::Map(zeros(&[1, 3, 0, 2])))).contains("2×0"));
        assert!(refusal(back(Value::Map(zeros(&[4])))).contains("got [4]"));
        let pair = || Value::List(vec![Value::Float(0.5); 2]);
        assert!(refusal(on::<ToTensor>(rgb(2, &PIXELS)).field("mean", pair())).contains("`mean` has 2 numbers"));
        let zero = Value::List(vec![Value::Int(0)]);
        assert!(refusal(on::<ToTensor>(rgb(2, &PIXELS)).field("std", zero)).contains("cannot be 0"));
        let bytes = on::<ToTensor>(rgb(2, &PIXELS)).field("dtype", "u8").field("scale", 2);
        assert!(refusal(bytes).contains("u8 takes no `scale`"));
    }
}

//! The values inside a node while it runs: fields, tensors, buffers, and what outputs are made of.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use image::DynamicImage;
use indexmap::IndexMap;
use millwork_package::manifest::Format;
use millwork_worker::convert::{Audio, Image, Tensor};
use millwork_worker::node::Emitted;
use millwork_worker::protocol::Map;
use millwork_worker::{Error, Result};
use minijinja::Value;

/// Zeros of more bytes are not written out.
const MOST: usize = 1 << 30;

/// Expressions reach so many elements of a list.
const INDEXED: usize = 256;

/// Values by name.
pub(crate) type Values = IndexMap<String, Datum>;

/// One value.
#[derive(Debug, Clone)]
pub(crate) enum Datum {
    /// An optional field that was not given.
    Nil,
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Numbers(Vec<f64>),
    Texts(Vec<String>),
    Image(Arc<Image>),
    Audio(Arc<Audio>),
    Tensor(Tensor),
    Pixels(Pixels),
    /// What a host reads as a list of maps: labels, boxes.
    Maps(Vec<Map>),
}

/// A buffer's contents.
#[derive(Debug, Clone)]
pub(crate) struct Pixels {
    pub(crate) format: Format,
    /// Pixels in a row; of what is no picture, its elements.
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// None of them where it is all zero.
    pub(crate) bytes: Bytes,
}

impl Datum {
    /// What it is, for people.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Nil => "nothing",
            Self::Text(_) => "a text",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::Numbers(_) => "a list of numbers",
            Self::Texts(_) => "a list of texts",
            Self::Image(_) => "a picture",
            Self::Audio(_) => "a sound",
            Self::Tensor(_) => "a tensor",
            Self::Pixels(_) => "a buffer",
            Self::Maps(_) => "a list of maps",
        }
    }

    /// As expressions see it.
    pub(crate) fn in_expressions(&self) -> Value {
        let sizes = |pairs: &[(&str, usize)]| {
            Value::from_pairs(pairs.iter().map(|(name, size)| ((*name).to_owned(), Value::from(*size))))
        };
        match self {
            Self::Nil | Self::Maps(_) => Value::from(()),
            Self::Text(text) => Value::from(text.as_str()),
            Self::Int(number) => Value::from(*number),
            Self::Float(number) => Value::from(*number),
            Self::Bool(value) => Value::from(*value),
            Self::Numbers(numbers) => {
                let elements = numbers.iter().take(INDEXED).enumerate().map(|(i, n)| (Value::from(i), Value::from(*n)));
                Value::from_pairs(elements.chain([(Value::from("length"), Value::from(numbers.len()))]))
            }
            Self::Texts(texts) => sizes(&[("length", texts.len())]),
            Self::Image(image) => sizes(&[("width", image.width() as usize), ("height", image.height() as usize)]),
            Self::Audio(audio) => sizes(&[("length", audio.frames()), ("rate", audio.sample_rate as usize)]),
            Self::Tensor(tensor) => {
                Value::from_pairs([("length", Value::from(tensor.len())), ("shape", Value::from(tensor.shape.clone()))])
            }
            Self::Pixels(p) => {
                sizes(&[("width", p.width), ("height", p.height), ("length", p.width.saturating_mul(p.height))])
            }
        }
    }

    /// Its number, where it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            _ => None,
        }
    }

    /// As a picture: one that is, or a buffer of pixels.
    pub(crate) fn picture(&self) -> Option<Cow<'_, DynamicImage>> {
        match self {
            Self::Image(image) => Some(Cow::Borrowed(image)),
            Self::Pixels(pixels) => pixels.picture().map(Cow::Owned),
            _ => None,
        }
    }

    /// Width and height of a picture or a buffer.
    pub(crate) fn size(&self) -> Option<(usize, usize)> {
        match self {
            Self::Image(image) => Some((image.width() as usize, image.height() as usize)),
            Self::Pixels(pixels) => Some((pixels.width, pixels.height)),
            _ => None,
        }
    }

    /// Fills an output of the node.
    pub(crate) fn write(self, name: &str, out: &mut Emitted) -> Result<()> {
        match self {
            Self::Nil => out.slot(name, None::<String>),
            Self::Text(text) => out.slot(name, text),
            Self::Int(number) => out.slot(name, number),
            Self::Float(number) => out.slot(name, number),
            Self::Bool(value) => out.slot(name, value),
            Self::Numbers(numbers) => out.slot(name, numbers),
            Self::Texts(texts) => out.slot(name, texts),
            Self::Maps(maps) => out.slot(name, maps),
            Self::Image(image) => out.slot(name, Arc::unwrap_or_clone(image)),
            Self::Audio(audio) => out.slot(name, Arc::unwrap_or_clone(audio)),
            Self::Tensor(tensor) => out.slot(name, tensor),
            Self::Pixels(pixels) => match pixels.picture() {
                Some(picture) => out.slot(name, Image(in_bytes(picture))),
                None => out.slot(name, pixels.tensor()?),
            },
        }
    }
}

impl Pixels {
    /// Its bytes, zeros written out.
    fn contents(&self) -> Bytes {
        let size = self.width.saturating_mul(self.height).saturating_mul(crate::buffer::stride(self.format) as usize);
        if self.bytes.is_empty() && size <= MOST { vec![0; size].into() } else { self.bytes.clone() }
    }

    /// The picture that it is, with samples from 0 to 1 as they are.
    pub(crate) fn picture(&self) -> Option<DynamicImage> {
        let (width, height) = (u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        match self.format {
            Format::Rgba32f => image::Rgba32FImage::from_raw(width, height, floats(&self.contents())).map(Into::into),
            Format::Rgba8 => image::RgbaImage::from_raw(width, height, self.contents().to_vec()).map(Into::into),
            Format::R32f => {
                let byte = |x: f32| (x.clamp(0.0, 1.0) * 65535.0).round() as u16;
                let gray = floats(&self.contents()).into_iter().map(byte).collect();
                image::ImageBuffer::<image::Luma<u16>, _>::from_raw(width, height, gray).map(Into::into)
            }
            Format::F32 | Format::U32 | Format::I32 => None,
        }
    }

    /// Its elements: `[height, width]`, or `[length]` in one row, of pixels `[height, width, 4]`.
    pub(crate) fn tensor(&self) -> Result<Tensor> {
        use millwork_worker::convert::DType;
        let plane = if self.height == 1 { vec![self.width] } else { vec![self.height, self.width] };
        let (dtype, shape) = match self.format {
            Format::Rgba32f => (DType::F32, vec![self.height, self.width, 4]),
            Format::Rgba8 => (DType::U8, vec![self.height, self.width, 4]),
            Format::R32f => (DType::F32, vec![self.height, self.width]),
            Format::F32 => (DType::F32, plane),
            Format::U32 => (DType::U32, plane),
            Format::I32 => (DType::I32, plane),
        };
        Tensor::new(dtype, shape, self.contents()).map_err(Error::failed)
    }
}

/// Little-endian floats.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| four.try_into().map(f32::from_le_bytes).unwrap_or_default()).collect()
}

/// A picture as hosts want it: 8 bits, and alpha only where it says something.
pub(crate) fn in_bytes(picture: DynamicImage) -> DynamicImage {
    match picture {
        DynamicImage::ImageRgba32F(mut samples) => {
            samples.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
            opaque(DynamicImage::from(samples).to_rgba8().into())
        }
        DynamicImage::ImageRgba8(_) => opaque(picture),
        DynamicImage::ImageLuma16(_) => picture.to_luma8().into(),
        other => other,
    }
}

fn opaque(picture: DynamicImage) -> DynamicImage {
    match &picture {
        DynamicImage::ImageRgba8(pixels) if pixels.pixels().all(|pixel| pixel.0[3] == 255) => picture.to_rgb8().into(),
        _ => picture,
    }
}

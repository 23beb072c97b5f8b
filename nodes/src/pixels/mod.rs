//! From a picture to the tensor that an image model asks for, and back from places in that tensor to places in the picture.

pub mod boxes;
mod format;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use fast_image_resize::images::Image as Pixels;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::DynamicImage;
use millwork_worker::prelude::*;

pub use format::{Axes, Format, Wish};

/// How pixel values become numbers: `(pixel × scale − mean) / std`, pixels from 0 to 255.
#[derive(Debug, Clone)]
pub struct Scaling {
    /// The factor.
    pub scale: f32,
    /// One for all channels or one each.
    pub mean: Vec<f32>,
    /// One for all channels or one each.
    pub std: Vec<f32>,
    /// Bright becomes dark first.
    pub invert: bool,
}

/// How a picture of another form than the model's fits in.
#[derive(Choice, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Keep its form and cut off what stands out, evenly on both sides.
    Crop,
    /// Show all of it, stretched.
    Stretch,
    /// Show all of it, with a border right and below.
    Pad,
}

/// How a picture is brought to its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Averages areas where it shrinks, bilinear where it grows.
    Area,
    /// The nearest pixel.
    Nearest,
    /// Triangles.
    Bilinear,
    /// Catmull and Rom's cubic.
    Bicubic,
    /// Lanczos, three lobes.
    Lanczos,
}

/// Everything that is done to a picture.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// How it fits in.
    pub fit: Fit,
    /// How it is resized.
    pub filter: Filter,
    /// The border's value, 0 to 255.
    pub pad: f32,
    /// Whether blue comes first.
    pub bgr: bool,
    /// How pixels become numbers.
    pub scaling: Scaling,
}

/// Where a model's pixels lie in the picture: `(x − shift) · scale` along each axis, x first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Pixels of the picture to one of the model.
    pub scale: [f64; 2],
    /// Pixels of the model before the picture begins.
    pub shift: [f64; 2],
}

impl Placement {
    /// From a place in the model's picture to the place in the original.
    #[must_use]
    pub fn to_picture(&self, x: f64, y: f64) -> (f64, f64) {
        ((x - self.shift[0]) * self.scale[0], (y - self.shift[1]) * self.scale[1])
    }
}

impl Format {
    /// The picture as the model's tensor, and where it lies in it. A uint8 model takes the pixels as they are.
    ///
    /// # Errors
    /// `invalid_input` where `mean` or `std` have another number of channels, or the picture is empty.
    pub fn prepare(&self, picture: &DynamicImage, how: &Preparation) -> Result<(Tensor, Placement)> {
        let (pixels, placement) = self.fitted(picture, how)?;
        let inverted = |value: f32| if how.scaling.invert { 255.0 - value } else { value };
        let plane = pixels.len() / self.channels;
        // The i-th number of the tensor: which channel it is, and where it lies in the interleaved picture.
        let order = |i: usize| {
            let (channel, at) =
                if self.planar { (i / plane, i % plane) } else { (i % self.channels, i / self.channels) };
            let stored = if how.bgr { self.channels - 1 - channel } else { channel };
            (channel, at * self.channels + stored)
        };
        let values = (0..pixels.len()).map(|i| (order(i).0, inverted(pixels[order(i).1])));
        if self.dtype == DType::U8 {
            let data: Bytes = values.map(|(_, value)| value.round() as u8).collect::<Vec<u8>>().into();
            return Ok((Tensor::new(DType::U8, self.shape.clone(), data).context("picture")?, placement));
        }
        let mean = per_channel("mean", &how.scaling.mean, self.channels)?;
        let std = per_channel("std", &how.scaling.std, self.channels)?;
        if std.contains(&0.0) {
            return Err(Error::invalid("field `std`: must not be 0"));
        }
        let numbers = values.map(|(c, value)| (value * how.scaling.scale - mean[c]) / std[c]);
        let tensor = Tensor::from_slice(&self.shape, &numbers.collect::<Vec<f32>>()).context("picture")?;
        Ok((tensor.cast(self.dtype).context("picture")?, placement))
    }

    /// Interleaved values of the model's size and channels, 0 to 255.
    fn fitted(&self, picture: &DynamicImage, how: &Preparation) -> Result<(Vec<f32>, Placement)> {
        let (from, to) = ((picture.width(), picture.height()), (self.width, self.height));
        let ratio = [f64::from(from.0) / f64::from(to.0), f64::from(from.1) / f64::from(to.1)];
        let (scale, target) = match how.fit {
            Fit::Stretch => (ratio, to),
            Fit::Crop => ([ratio[0].min(ratio[1]); 2], to),
            Fit::Pad => {
                let scale = ratio[0].max(ratio[1]);
                let side = |from: u32, to: u32| ((f64::from(from) / scale).round() as u32).clamp(1, to);
                ([scale; 2], (side(from.0, to.0), side(from.1, to.1)))
            }
        };
        let shift = |from: u32, to: u32, scale: f64| match how.fit {
            Fit::Crop => -(f64::from(from) / scale - f64::from(to)) / 2.0,
            Fit::Stretch | Fit::Pad => 0.0,
        };
        let shift = [shift(from.0, to.0, scale[0]), shift(from.1, to.1, scale[1])];
        let resized = self.resized(picture, how, target)?;
        if target == to {
            return Ok((resized, Placement { scale, shift }));
        }
        let (row, bordered) = (target.0 as usize * self.channels, to.0 as usize * self.channels);
        let mut whole = vec![how.pad; bordered * to.1 as usize];
        for (out, line) in whole.chunks_exact_mut(bordered.max(1)).zip(resized.chunks_exact(row.max(1))) {
            out[..row].copy_from_slice(line);
        }
        Ok((whole, Placement { scale, shift }))
    }

    fn resized(&self, picture: &DynamicImage, how: &Preparation, (width, height): (u32, u32)) -> Result<Vec<f32>> {
        let (w, h) = (picture.width(), picture.height());
        // Bytes stay bytes, as the reference preprocessing has it; finer samples keep what they have.
        let is_fine = !matches!(
            picture,
            DynamicImage::ImageLuma8(_)
                | DynamicImage::ImageLumaA8(_)
                | DynamicImage::ImageRgb8(_)
                | DynamicImage::ImageRgba8(_)
        );
        let flat = on_black(picture);
        let floats = |samples: Vec<f32>| samples.iter().flat_map(|x| (x * 255.0).to_ne_bytes()).collect();
        let (kind, bytes): (PixelType, Vec<u8>) = match (self.channels, is_fine) {
            (1, false) => (PixelType::U8, flat.to_luma8().into_raw()),
            (_, false) => (PixelType::U8x3, flat.to_rgb8().into_raw()),
            (1, true) => (PixelType::F32, floats(flat.to_luma32f().into_raw())),
            (_, true) => (PixelType::F32x3, floats(flat.to_rgb32f().into_raw())),
        };
        let source = Pixels::from_vec_u8(w, h, bytes, kind).invalid("picture")?;
        let mut target = Pixels::new(width, height, kind);
        let filter = match how.filter {
            Filter::Area if w >= width && h >= height => FilterType::Box,
            Filter::Area | Filter::Bilinear => FilterType::Bilinear,
            Filter::Bicubic => FilterType::CatmullRom,
            Filter::Lanczos => FilterType::Lanczos3,
            Filter::Nearest => FilterType::Box,
        };
        let method = if how.filter == Filter::Nearest { ResizeAlg::Nearest } else { ResizeAlg::Convolution(filter) };
        let options = ResizeOptions::new().resize_alg(method).use_alpha(false);
        let options = if how.fit == Fit::Crop { options.fit_into_destination(None) } else { options };
        Resizer::new().resize(&source, &mut target, &options).invalid("picture")?;
        let bytes = target.into_vec();
        if !is_fine {
            return Ok(bytes.into_iter().map(f32::from).collect());
        }
        let float = |four: &[u8]| four.try_into().map(f32::from_ne_bytes).unwrap_or_default();
        Ok(bytes.chunks_exact(4).map(float).collect())
    }
}

/// Transparent parts have a colour too, and it may be any: they count as black.
fn on_black(picture: &DynamicImage) -> Cow<'_, DynamicImage> {
    if !picture.color().has_alpha() {
        return Cow::Borrowed(picture);
    }
    if let DynamicImage::ImageRgba32F(samples) = picture {
        let mut samples = samples.clone();
        for pixel in samples.pixels_mut() {
            let [r, g, b, a] = pixel.0;
            pixel.0 = [r * a, g * a, b * a, 1.0];
        }
        return Cow::Owned(samples.into());
    }
    let mut rgba = picture.to_rgba8();
    for pixel in rgba.pixels_mut() {
        let [r, g, b, a] = pixel.0;
        let over = |c: u8| ((u16::from(c) * u16::from(a) + 127) / 255) as u8;
        pixel.0 = [over(r), over(g), over(b), 255];
    }
    Cow::Owned(rgba.into())
}

fn per_channel(field: &str, values: &[f32], channels: usize) -> Result<Vec<f32>> {
    match values {
        [one] => Ok(vec![*one; channels]),
        each if each.len() == channels => Ok(each.to_vec()),
        other => Err(Error::invalid(format!("field `{field}`: needs 1 or {channels} numbers, got {}", other.len()))),
    }
}

//! From a picture to the tensor that an image model asks for.

use bytes::Bytes;
use fast_image_resize::images::Image as Pixels;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, GrayImage, RgbImage};
use millwork_worker::onnx::{Dim, ValueInfo};
use millwork_worker::prelude::*;

/// What an image model takes, read off its input's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    dtype: DType,
    shape: Vec<usize>,
    planar: bool,
    channels: usize,
    width: u32,
    height: u32,
}

/// How pixel values become numbers: `(pixel × scale − mean) / std`, pixels from 0 to 255.
#[derive(Debug, Clone)]
pub(super) struct Scaling {
    pub(super) scale: f32,
    /// One for all channels or one each.
    pub(super) mean: Vec<f32>,
    /// One for all channels or one each.
    pub(super) std: Vec<f32>,
    /// Bright becomes dark first.
    pub(super) invert: bool,
}

/// How a picture of another form than the model's fits in.
#[derive(Choice, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Keep its form and cut off what stands out, evenly on both sides.
    Crop,
    /// Show all of it, stretched.
    Stretch,
}

impl Format {
    /// Understands `[N, C, H, W]`, `[N, H, W, C]`, both without N, `[N, H, W]`, and `[N, H·W]` of square pictures;
    /// C is 1 or 3. Open sides become `side` long, an open C three.
    pub(super) fn of(input: &ValueInfo, side: usize) -> Result<Self> {
        let unfit = |why: &str| {
            let what = format!("input {:?} ({input}) does not look like a picture's: {why}", input.name);
            Error::invalid(format!("{what}; use onnx.Run with a tensor"))
        };
        let dims = input.shape.as_ref().ok_or_else(|| unfit("its shape is open"))?;
        let dtype = input.dtype.filter(|dtype| matches!(dtype, DType::F32 | DType::F16 | DType::U8));
        let dtype = dtype.ok_or_else(|| unfit("float32, float16 or uint8 are understood"))?;
        let colour = |dim: &Dim| matches!(dim, Dim::Fixed(1 | 3));
        let channels = |dim: &Dim| match dim {
            Dim::Fixed(n @ (1 | 3)) => Ok(*n),
            Dim::Fixed(_) => Err(unfit("1 or 3 channels are understood")),
            Dim::Symbol(_) | Dim::Unknown => Ok(3),
        };
        let long = |dim: &Dim| match dim {
            Dim::Fixed(n) => *n,
            Dim::Symbol(_) | Dim::Unknown => side,
        };
        let (batch, planar, c, h, w) = match dims.as_slice() {
            [n, c, h, w] if colour(c) => (Some(n), true, channels(c)?, long(h), long(w)),
            [n, h, w, c] if colour(c) => (Some(n), false, channels(c)?, long(h), long(w)),
            [n, c, h, w] => (Some(n), true, channels(c)?, long(h), long(w)),
            [c, h, w] if colour(c) => (None, true, channels(c)?, long(h), long(w)),
            [h, w, c] if colour(c) => (None, false, channels(c)?, long(h), long(w)),
            [n, h, w] => (Some(n), true, 1, long(h), long(w)),
            [n, Dim::Fixed(pixels)] => {
                let side = pixels.isqrt();
                if side * side != *pixels {
                    return Err(unfit("the second axis is not the pixels of a square"));
                }
                (Some(n), true, 1, side, side)
            }
            _ => return Err(unfit("2, 3 or 4 axes are understood")),
        };
        if let Some(Dim::Fixed(n)) = batch
            && *n != 1
        {
            return Err(unfit("it takes several at once"));
        }
        let shape = match (dims.len(), batch, planar) {
            (2, ..) => vec![1, h * w],
            (3, Some(_), _) => vec![1, h, w],
            (_, Some(_), true) => vec![1, c, h, w],
            (_, Some(_), false) => vec![1, h, w, c],
            (_, None, true) => vec![c, h, w],
            (_, None, false) => vec![h, w, c],
        };
        let pixels = |n: usize| u32::try_from(n).ok().filter(|n| (1..=4096).contains(n));
        let (width, height) = pixels(w).zip(pixels(h)).ok_or_else(|| unfit("sides from 1 to 4096 are understood"))?;
        Ok(Format { dtype, shape, planar, channels: c, width, height })
    }

    /// Resizes by averaging areas (smoothly where it grows), and scales. A uint8 model takes the pixels as they are.
    pub(super) fn tensor(&self, picture: &DynamicImage, fit: Fit, scaling: &Scaling) -> Result<Tensor> {
        let pixels = self.resized(picture, fit)?;
        let inverted = |byte: u8| if scaling.invert { 255 - byte } else { byte };
        let plane = pixels.len() / self.channels;
        let order = |i: usize| {
            // The i-th number of the tensor: which channel, and which byte of the interleaved picture.
            if self.planar { (i / plane, i % plane * self.channels + i / plane) } else { (i % self.channels, i) }
        };
        let bytes = (0..pixels.len()).map(|i| (order(i).0, inverted(pixels[order(i).1])));
        if self.dtype == DType::U8 {
            let data: Bytes = bytes.map(|(_, byte)| byte).collect::<Vec<u8>>().into();
            return Tensor::new(DType::U8, self.shape.clone(), data).context("picture");
        }
        let (mean, std) =
            (per_channel("mean", &scaling.mean, self.channels)?, per_channel("std", &scaling.std, self.channels)?);
        if std.contains(&0.0) {
            return Err(Error::invalid("field `std`: must not be 0"));
        }
        let numbers = bytes.map(|(c, byte)| (f32::from(byte) * scaling.scale - mean[c]) / std[c]);
        let tensor = Tensor::from_slice(&self.shape, &numbers.collect::<Vec<f32>>()).context("picture")?;
        tensor.cast(self.dtype).context("picture")
    }

    /// Interleaved bytes of the model's size and channels.
    fn resized(&self, picture: &DynamicImage, fit: Fit) -> Result<Vec<u8>> {
        let (kind, width, height, bytes) = if self.channels == 1 {
            let gray: GrayImage = on_black(picture).to_luma8();
            (PixelType::U8, gray.width(), gray.height(), gray.into_raw())
        } else {
            let rgb: RgbImage = on_black(picture).to_rgb8();
            (PixelType::U8x3, rgb.width(), rgb.height(), rgb.into_raw())
        };
        let source = Pixels::from_vec_u8(width, height, bytes, kind).invalid("picture")?;
        let mut target = Pixels::new(self.width, self.height, kind);
        let shrinks = width >= self.width && height >= self.height;
        let filter = if shrinks { FilterType::Box } else { FilterType::Bilinear };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
        let options = if fit == Fit::Crop { options.fit_into_destination(None) } else { options };
        Resizer::new().resize(&source, &mut target, &options).invalid("picture")?;
        Ok(target.into_vec())
    }
}

/// Transparent parts have a colour too, and it may be any: they count as black.
fn on_black(picture: &DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture.clone();
    }
    let mut rgba = picture.to_rgba8();
    for pixel in rgba.pixels_mut() {
        let [r, g, b, a] = pixel.0;
        let over = |c: u8| ((u16::from(c) * u16::from(a) + 127) / 255) as u8;
        pixel.0 = [over(r), over(g), over(b), 255];
    }
    rgba.into()
}

fn per_channel(field: &str, values: &[f32], channels: usize) -> Result<Vec<f32>> {
    match values {
        [one] => Ok(vec![*one; channels]),
        each if each.len() == channels => Ok(each.to_vec()),
        other => Err(Error::invalid(format!("field `{field}`: needs 1 or {channels} numbers, got {}", other.len()))),
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn format(dims: &[Dim], dtype: DType) -> Result<Format> {
        let input = ValueInfo::new("x", dtype, dims.to_vec());
        Format::of(&input, 224)
    }

    fn fixed(lengths: &[usize]) -> Vec<Dim> {
        lengths.iter().map(|n| Dim::Fixed(*n)).collect()
    }

    #[test]
    fn layouts_are_read_off_the_shape() {
        let open = Dim::Symbol("N".into());
        for (dims, shape, planar, channels) in [
            (fixed(&[1, 3, 20, 30]), vec![1, 3, 20, 30], true, 3),
            (fixed(&[1, 20, 30, 3]), vec![1, 20, 30, 3], false, 3),
            (fixed(&[1, 1, 28, 28]), vec![1, 1, 28, 28], true, 1),
            (fixed(&[3, 20, 30]), vec![3, 20, 30], true, 3),
            (fixed(&[20, 30, 3]), vec![20, 30, 3], false, 3),
            (vec![open.clone(), Dim::Fixed(28), Dim::Fixed(28)], vec![1, 28, 28], true, 1),
            (vec![open.clone(), Dim::Fixed(784)], vec![1, 784], true, 1),
            (vec![open.clone(), Dim::Fixed(3), Dim::Unknown, Dim::Unknown], vec![1, 3, 224, 224], true, 3),
            (vec![open.clone(); 4], vec![1, 3, 224, 224], true, 3),
        ] {
            let found = format(&dims, DType::F32).unwrap();
            assert_eq!((&found.shape, found.planar, found.channels), (&shape, planar, channels));
        }
        for (dims, dtype) in [
            (fixed(&[1, 4, 20, 30]), DType::F32),
            (fixed(&[8, 3, 20, 30]), DType::F32),
            (fixed(&[1, 783]), DType::F32),
            (fixed(&[5]), DType::F32),
            (fixed(&[1, 3, 0, 30]), DType::F32),
            (fixed(&[1, 3, 20, 30]), DType::I64),
        ] {
            assert!(format(&dims, dtype).unwrap_err().message().contains("does not look like a picture's"));
        }
    }

    #[test]
    fn channels_lie_where_the_layout_says_and_are_scaled_one_by_one() {
        let picture = DynamicImage::from(RgbImage::from_fn(2, 1, |x, _| Rgb([10 * x as u8, 100, 200])));
        let scaling = Scaling { scale: 1.0, mean: vec![0.0, 100.0, 0.0], std: vec![1.0, 1.0, 2.0], invert: false };
        let planar = format(&fixed(&[1, 3, 1, 2]), DType::F32).unwrap();
        let tensor = planar.tensor(&picture, Fit::Crop, &scaling).unwrap();
        assert_eq!(tensor, Tensor::from_slice(&[1, 3, 1, 2], &[0.0f32, 10.0, 0.0, 0.0, 100.0, 100.0]).unwrap());
        let mixed = format(&fixed(&[1, 1, 2, 3]), DType::F32).unwrap();
        assert!(mixed.planar, "an axis of 1 in the second place is taken for the channels");
        let interleaved = format(&fixed(&[1, 2, 3]), DType::F32).unwrap();
        assert_eq!(interleaved.channels, 1);
        let bytes = format(&fixed(&[2, 2, 3]), DType::U8).unwrap();
        assert_eq!(bytes.tensor(&picture, Fit::Stretch, &scaling).unwrap().data.len(), 12);

        let wrong = Scaling { mean: vec![0.0, 0.0], ..scaling.clone() };
        let error = planar.tensor(&picture, Fit::Crop, &wrong).unwrap_err();
        assert_eq!(error.message(), "field `mean`: needs 1 or 3 numbers, got 2");
        let zero = Scaling { std: vec![0.0], ..scaling };
        assert_eq!(planar.tensor(&picture, Fit::Crop, &zero).unwrap_err().message(), "field `std`: must not be 0");
    }

    #[test]
    fn areas_are_averaged() {
        let picture =
            DynamicImage::from(GrayImage::from_fn(4, 4, |x, y| image::Luma([if (x + y) % 2 == 0 { 0 } else { 200 }])));
        let scaling = Scaling { scale: 0.01, mean: vec![0.0], std: vec![1.0], invert: false };
        let format = format(&fixed(&[1, 1, 2, 2]), DType::F32).unwrap();
        let tensor = format.tensor(&picture, Fit::Crop, &scaling).unwrap();
        assert_eq!(tensor, Tensor::from_slice(&[1, 1, 2, 2], &[1.0f32; 4]).unwrap());
    }
}

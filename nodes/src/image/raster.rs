//! The working form of a picture: samples as `f32`, 0 black and 1 white, whatever depth they came in.

use image::{DynamicImage, ImageBuffer};
use millwork_worker::prelude::*;

/// Most bytes that one picture may take while it is worked on.
pub(crate) const MAX_BYTES: usize = 1 << 30;
/// Largest width or height, in pixels.
pub(crate) const MAX_SIDE: usize = 32_768;

/// How exactly samples are stored in the picture that comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// 0 to 255.
    U8,
    /// 0 to 65535.
    U16,
    /// Any number, not clipped.
    F32,
}

impl Depth {
    /// Steps from black to white: levels of a histogram, less one.
    pub(crate) fn steps(self) -> usize {
        if self == Depth::U8 { 255 } else { 65_535 }
    }
}

/// A picture to compute with: rows of pixels of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) interleaved samples.
///
/// It is never empty.
#[derive(Debug, Clone)]
pub(crate) struct Raster {
    /// Pixels in a row.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Samples in a pixel.
    pub(crate) channels: usize,
    /// The depth to go back to.
    pub(crate) depth: Depth,
    /// `width * height * channels` samples.
    pub(crate) samples: Vec<f32>,
}

/// Refuses a picture that is empty or too large to work on.
///
/// # Errors
/// `invalid_input`, with the size that was asked for and the size that is possible.
pub(crate) fn check_size(width: usize, height: usize, channels: usize) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::invalid(format!("a picture of {width}×{height} pixels would be empty")));
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(Error::invalid(format!("a picture of {width}×{height} pixels is over {MAX_SIDE} a side")));
    }
    let bytes = width * height * channels * size_of::<f32>();
    if bytes > MAX_BYTES {
        return Err(Error::invalid(format!(
            "a picture of {width}×{height} pixels needs {bytes} bytes to work on, more than {MAX_BYTES}"
        )));
    }
    Ok(())
}

impl Raster {
    /// The samples of a picture.
    ///
    /// # Errors
    /// `invalid_input` where it is empty or too large.
    pub(crate) fn new(image: &Image) -> Result<Self> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let channels = usize::from(image.color().channel_count());
        check_size(width, height, channels)?;
        let (depth, samples) = if let Some(flat) = image.as_flat_samples_u8() {
            (Depth::U8, flat.samples.iter().map(|v| f32::from(*v) / 255.0).collect())
        } else if let Some(flat) = image.as_flat_samples_u16() {
            (Depth::U16, flat.samples.iter().map(|v| f32::from(*v) / 65_535.0).collect())
        } else if let Some(flat) = image.as_flat_samples_f32() {
            (Depth::F32, flat.samples.to_vec())
        } else {
            return Err(Error::invalid(format!("pictures of {:?} samples are not supported", image.color())));
        };
        Ok(Self { width, height, channels, depth, samples })
    }

    /// A picture of one colour.
    ///
    /// # Errors
    /// `invalid_input` where it is empty or too large.
    pub(crate) fn filled(width: usize, height: usize, pixel: &[f32], depth: Depth) -> Result<Self> {
        check_size(width, height, pixel.len())?;
        Ok(Self { width, height, channels: pixel.len(), depth, samples: pixel.repeat(width * height) })
    }

    /// The same size and depth with other samples.
    pub(crate) fn with(&self, channels: usize, samples: Vec<f32>) -> Self {
        Self { channels, samples, ..*self }
    }

    /// The picture, each sample rounded to its depth.
    ///
    /// # Errors
    /// None for a raster whose samples match its size.
    pub(crate) fn into_image(self) -> Result<Image> {
        let (width, height) = (self.width as u32, self.height as u32);
        let scaled = |white: f32| self.samples.iter().map(move |v| (v.clamp(0.0, 1.0) * white).round());
        macro_rules! picture {
            ($variant:ident, $samples:expr) => {
                ImageBuffer::from_raw(width, height, $samples).map(DynamicImage::$variant)
            };
        }
        // There is no grey picture of floats: it is kept in 16 bits.
        let picture = match (self.depth, self.channels) {
            (Depth::U8, 1) => picture!(ImageLuma8, scaled(255.0).map(|v| v as u8).collect()),
            (Depth::U8, 2) => picture!(ImageLumaA8, scaled(255.0).map(|v| v as u8).collect()),
            (Depth::U8, 3) => picture!(ImageRgb8, scaled(255.0).map(|v| v as u8).collect()),
            (Depth::U8, _) => picture!(ImageRgba8, scaled(255.0).map(|v| v as u8).collect()),
            (_, 1) => picture!(ImageLuma16, scaled(65_535.0).map(|v| v as u16).collect()),
            (_, 2) => picture!(ImageLumaA16, scaled(65_535.0).map(|v| v as u16).collect()),
            (Depth::U16, 3) => picture!(ImageRgb16, scaled(65_535.0).map(|v| v as u16).collect()),
            (Depth::U16, _) => picture!(ImageRgba16, scaled(65_535.0).map(|v| v as u16).collect()),
            (Depth::F32, 3) => picture!(ImageRgb32F, self.samples),
            (Depth::F32, _) => picture!(ImageRgba32F, self.samples),
        };
        picture.map(Image).ok_or_else(|| Error::failed("the samples do not match the picture's size"))
    }

    /// Whether the last sample of a pixel is alpha.
    pub(crate) fn has_alpha(&self) -> bool {
        self.channels.is_multiple_of(2)
    }

    /// Samples of a pixel that are colour.
    pub(crate) fn colours(&self) -> usize {
        if self.has_alpha() { self.channels - 1 } else { self.channels }
    }

    /// The pixels in reading order.
    pub(crate) fn pixels(&self) -> std::slice::ChunksExact<'_, f32> {
        self.samples.chunks_exact(self.channels)
    }

    /// One pixel; the caller keeps inside the picture.
    pub(crate) fn pixel(&self, x: usize, y: usize) -> &[f32] {
        let start = (y * self.width + x) * self.channels;
        &self.samples[start..start + self.channels]
    }

    /// Changes the colour of each pixel, and leaves alpha alone.
    pub(crate) fn map_colours(mut self, mut change: impl FnMut(&mut [f32])) -> Self {
        let colours = self.colours();
        self.samples.chunks_exact_mut(self.channels).for_each(|pixel| change(&mut pixel[..colours]));
        self
    }

    /// With colours multiplied by alpha, as every filter that mixes pixels needs them.
    pub(crate) fn premultiplied(mut self) -> Self {
        if self.has_alpha() {
            for pixel in self.samples.chunks_exact_mut(self.channels) {
                let Some((alpha, colours)) = pixel.split_last_mut() else { continue };
                colours.iter_mut().for_each(|v| *v *= *alpha);
            }
        }
        self
    }

    /// Undoes [`Raster::premultiplied`]; what is fully transparent is black.
    pub(crate) fn straight(mut self) -> Self {
        if self.has_alpha() {
            for pixel in self.samples.chunks_exact_mut(self.channels) {
                let Some((alpha, colours)) = pixel.split_last_mut() else { continue };
                colours.iter_mut().for_each(|v| *v = if *alpha > 0.0 { *v / *alpha } else { 0.0 });
            }
        }
        self
    }

    /// The same picture with another number of channels: grey is repeated, colour becomes Rec. 601 luma, missing alpha
    /// is opaque, surplus alpha is dropped.
    ///
    /// # Errors
    /// `invalid_input` where that is too large.
    pub(crate) fn with_channels(self, channels: usize) -> Result<Self> {
        if channels == self.channels {
            return Ok(self);
        }
        check_size(self.width, self.height, channels)?;
        let mut samples = Vec::with_capacity(self.width * self.height * channels);
        let (had_alpha, has_alpha) = (self.has_alpha(), channels.is_multiple_of(2));
        let (from, to) = (self.colours(), if has_alpha { channels - 1 } else { channels });
        for pixel in self.pixels() {
            match (from, to) {
                (3, 1) => samples.push(luma(&pixel[..3])),
                (1, 3) => samples.extend([pixel[0]; 3]),
                _ => samples.extend_from_slice(&pixel[..from]),
            }
            if has_alpha {
                samples.push(if had_alpha { pixel[from] } else { 1.0 });
            }
        }
        Ok(self.with(channels, samples))
    }

    /// With an alpha channel, opaque where there was none.
    ///
    /// # Errors
    /// `invalid_input` where that is too large.
    pub(crate) fn with_alpha(self) -> Result<Self> {
        let channels = self.colours() + 1;
        self.with_channels(channels)
    }

    /// Rec. 601 luma of each pixel; alpha is dropped.
    ///
    /// # Errors
    /// None that the picture itself did not have.
    pub(crate) fn luma(self) -> Result<Self> {
        self.with_channels(1)
    }
}

/// Rec. 601 luma of an RGB or grey colour: 0.299 R + 0.587 G + 0.114 B of the stored samples, as in JPEG and Pillow.
pub(crate) fn luma(colour: &[f32]) -> f32 {
    match colour {
        [r, g, b] => 0.299 * r + 0.587 * g + 0.114 * b,
        [grey, ..] => *grey,
        [] => 0.0,
    }
}

/// Two pictures with the same channels and depth: the richer of both.
///
/// # Errors
/// `invalid_input` where that is too large.
pub(crate) fn alike(a: Raster, b: Raster) -> Result<(Raster, Raster)> {
    let alpha = usize::from(a.has_alpha() || b.has_alpha());
    let channels = a.colours().max(b.colours()) + alpha;
    let depth = a.depth.max(b.depth);
    let (mut a, mut b) = (a.with_channels(channels)?, b.with_channels(channels)?);
    (a.depth, b.depth) = (depth, depth);
    Ok((a, b))
}

/// Refuses two pictures of different sizes.
///
/// # Errors
/// `invalid_input`, with both sizes.
pub(crate) fn same_size(what: [&str; 2], a: &Raster, b: &Raster) -> Result<()> {
    if (a.width, a.height) == (b.width, b.height) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` has {}×{} pixels and `{}` {}×{}: make them the same with image.Resize or image.Crop",
        what[0], a.width, a.height, what[1], b.width, b.height
    )))
}

/// What lies beyond a picture's border; the names are numpy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub(crate) enum Border {
    /// One colour.
    Constant,
    /// The pixels at the border, for ever.
    Edge,
    /// The picture mirrored, its border not repeated: `c b | a b c | b a`.
    Reflect,
    /// The picture mirrored with its border: `b a | a b c | c b`.
    Symmetric,
    /// The picture again: `b c | a b c | a b`.
    Wrap,
}

impl Border {
    /// Where position `i` of an axis of `len` pixels is found; `None` is the constant colour.
    pub(crate) fn at(self, i: isize, len: usize) -> Option<usize> {
        let n = len as isize;
        if (0..n).contains(&i) {
            return Some(i as usize);
        }
        let found = match self {
            Border::Constant => return None,
            Border::Edge => i.clamp(0, n - 1),
            Border::Wrap => i.rem_euclid(n),
            Border::Reflect if n == 1 => 0,
            Border::Reflect => {
                let period = 2 * (n - 1);
                let i = i.rem_euclid(period);
                i.min(period - i)
            }
            Border::Symmetric => {
                let i = i.rem_euclid(2 * n);
                i.min(2 * n - 1 - i)
            }
        };
        Some(found as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_type_survives_the_working_form() {
        let bytes: Vec<u8> = (0..=255).collect();
        let words: Vec<u16> = (0..=65_535).collect();
        for picture in [
            DynamicImage::ImageLuma8(ImageBuffer::from_raw(16, 16, bytes.clone()).unwrap()),
            DynamicImage::ImageLumaA8(ImageBuffer::from_raw(16, 8, bytes.clone()).unwrap()),
            DynamicImage::ImageRgb8(ImageBuffer::from_raw(17, 5, bytes[1..].to_vec()).unwrap()),
            DynamicImage::ImageRgba8(ImageBuffer::from_raw(8, 8, bytes).unwrap()),
            DynamicImage::ImageLuma16(ImageBuffer::from_raw(256, 256, words.clone()).unwrap()),
            DynamicImage::ImageRgba16(ImageBuffer::from_raw(128, 128, words).unwrap()),
            DynamicImage::ImageRgb32F(ImageBuffer::from_raw(1, 1, vec![-0.5, 0.25, 7.0]).unwrap()),
        ] {
            let image = Image(picture);
            assert_eq!(Raster::new(&image).unwrap().into_image().unwrap(), image);
        }
    }

    #[test]
    fn premultiplying_goes_there_and_back() {
        let pixels = vec![0.2, 0.4, 0.6, 0.5, 1.0, 1.0, 1.0, 0.0];
        let raster = Raster { width: 2, height: 1, channels: 4, depth: Depth::U8, samples: pixels };
        let multiplied = raster.premultiplied();
        assert_eq!(multiplied.samples, [0.1, 0.2, 0.3, 0.5, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(multiplied.straight().samples[..4], [0.2, 0.4, 0.6, 0.5]);
    }

    #[test]
    fn borders_are_numpys() {
        // np.pad([0, 1, 2], (4, 4), mode)
        let padded = |border: Border| (-4..7).map(|i| border.at(i, 3).unwrap()).collect::<Vec<_>>();
        assert_eq!(padded(Border::Edge), [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]);
        assert_eq!(padded(Border::Reflect), [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(padded(Border::Symmetric), [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
        assert_eq!(padded(Border::Wrap), [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
        assert_eq!((Border::Constant.at(-1, 3), Border::Reflect.at(5, 1)), (None, Some(0)));
    }

    #[test]
    fn sizes_that_cannot_be_are_refused_with_their_numbers() {
        assert!(check_size(0, 5, 3).unwrap_err().message().contains("0×5"));
        assert!(check_size(40_000, 5, 3).unwrap_err().message().contains("32768"));
        assert!(check_size(30_000, 30_000, 3).unwrap_err().message().contains("10800000000 bytes"));
        assert!(check_size(8192, 8192, 4).is_ok());
    }
}

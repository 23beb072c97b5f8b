//! Pictures: decoded within limits and turned the way their EXIF says; written as PNG.

use std::io::Cursor;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits};
use millwork_protocol::Value;
use millwork_protocol::metadata::TypeMetadata;

use super::{Asset, FromWire, IntoWire, Reading, Writing};
use crate::{Error, Result, ResultExt};

/// Largest width and height, in pixels.
const MAX_SIDE: u32 = 32_768;
/// Most pixels: many nodes work on 16 bytes for each, whatever the file had.
const MAX_PIXELS: u64 = 100_000_000;
/// Most memory that decoding may take, in bytes.
const MAX_ALLOC: u64 = 1 << 30;

/// A decoded picture of any sample type, upright.
#[derive(Debug, Clone, PartialEq)]
pub struct Image(pub DynamicImage);

impl Image {
    /// Reads the header of a PNG, JPEG, WebP, GIF, BMP, TIFF or PNM file; the decoder then gives the rest.
    ///
    /// # Errors
    /// Where it is none of these, is damaged, or has over 32,768 pixels a side, 100 million pixels or 1 GiB.
    pub fn open(bytes: &[u8]) -> Result<(ImageFormat, impl ImageDecoder + '_)> {
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().context("image")?;
        let Some(format) = reader.format() else {
            return Err(Error::invalid(format!(
                "not an image: {}; PNG, JPEG, WebP, GIF, BMP, TIFF and PNM are read",
                describe(bytes)
            )));
        };
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_ALLOC);
        reader.limits(limits);
        let decoder = reader.into_decoder().invalid(unreadable(bytes))?;
        // Checked here and not by the limits, whose errors say no numbers and which do not count the pixels themselves.
        let ((width, height), needed) = (decoder.dimensions(), decoder.total_bytes());
        if width > MAX_SIDE || height > MAX_SIDE {
            return Err(Error::invalid(format!("the image has {width}×{height} pixels: at most {MAX_SIDE} a side")));
        }
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            let text = format!("the image has {width}×{height} pixels: at most {} million", MAX_PIXELS / 1_000_000);
            return Err(Error::invalid(text));
        }
        if needed > MAX_ALLOC {
            return Err(Error::invalid(format!(
                "the image of {width}×{height} pixels takes {needed} bytes: at most {MAX_ALLOC}"
            )));
        }
        Ok((format, decoder))
    }

    /// Decodes PNG, JPEG, WebP, GIF (its first frame), BMP, TIFF or PNM, and turns it the way its EXIF says.
    ///
    /// # Errors
    /// As [`Image::open`], and where the pixels are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (_, mut decoder) = Self::open(bytes)?;
        // A damaged EXIF block is no reason to refuse the picture.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).invalid(unreadable(bytes))?;
        picture.apply_orientation(orientation);
        Ok(Self(picture))
    }

    /// The picture as a PNG file, packed quickly rather than tightly.
    ///
    /// # Errors
    /// Where the picture is empty or of a sample type that PNG does not have.
    pub fn to_png(&self) -> Result<Bytes> {
        let picture = match &self.0 {
            DynamicImage::ImageRgb32F(_) => &DynamicImage::from(self.0.to_rgb16()),
            DynamicImage::ImageRgba32F(_) => &DynamicImage::from(self.0.to_rgba16()),
            other => other,
        };
        let mut out = Vec::new();
        PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive)
            .write_image(picture.as_bytes(), picture.width(), picture.height(), picture.color().into())
            .context("cannot write the picture as PNG")?;
        Ok(out.into())
    }
}

fn unreadable(bytes: &[u8]) -> String {
    format!("not a readable image ({})", describe(bytes))
}

/// What bytes that are no picture seem to be.
pub(super) fn describe(bytes: &[u8]) -> String {
    let head: String = bytes.iter().take(16).map(|b| format!("{b:02x}")).collect();
    match bytes.len() {
        0 => "it has no bytes".to_owned(),
        len => format!("{len} bytes that begin {head}"),
    }
}

impl Deref for Image {
    type Target = DynamicImage;

    fn deref(&self) -> &DynamicImage {
        &self.0
    }
}

impl DerefMut for Image {
    fn deref_mut(&mut self) -> &mut DynamicImage {
        &mut self.0
    }
}

impl<T: Into<DynamicImage>> From<T> for Image {
    fn from(picture: T) -> Self {
        Self(picture.into())
    }
}

impl FromWire for Image {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::image()
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        Self::decode(&Asset::read(value, "image", reading)?.bytes)
    }
}

impl IntoWire for Image {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::image()
    }

    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        let mut map = writing.media("image", self.to_png()?);
        map.insert(
            "metadata".to_owned(),
            Value::Map(millwork_protocol::map! { "width" => self.width(), "height" => self.height() }),
        );
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        let error = Image::decode(bytes).unwrap_err();
        assert_eq!(error.kind(), &crate::ErrorKind::InvalidInput);
        error.message().to_owned()
    }

    /// A BMP file of 24 bits that claims a size.
    fn bmp(width: u32, height: u32) -> Vec<u8> {
        let mut file = Vec::new();
        DynamicImage::new_rgb8(1, 1).write_to(&mut Cursor::new(&mut file), ImageFormat::Bmp).unwrap();
        file[18..22].copy_from_slice(&width.to_le_bytes());
        file[22..26].copy_from_slice(&height.to_le_bytes());
        file
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_before_anything_is_allocated() {
        assert_eq!(refusal(&bmp(10_001, 10_000)), "the image has 10001×10000 pixels: at most 100 million");
        assert_eq!(refusal(&bmp(40_000, 1)), "the image has 40000×1 pixels: at most 32768 a side");
    }

    #[test]
    fn what_is_no_picture_is_named() {
        assert!(refusal(b"").contains("it has no bytes"));
        assert!(refusal(b"plain text").contains("10 bytes that begin 706c61696e"));
        let png = Image::from(DynamicImage::new_rgba8(40, 40)).to_png().unwrap();
        assert!(refusal(&png[..png.len() / 2]).contains("not a readable image"));
    }
}

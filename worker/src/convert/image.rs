//! Pictures: decoded within limits and turned the way their EXIF says; written as PNG.

use std::io::Cursor;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageReader, Limits};
use millwork_protocol::Value;
use millwork_protocol::metadata::TypeMetadata;

use super::{Asset, FromWire, IntoWire, Reading, Writing};
use crate::{Result, ResultExt};

/// Largest width and height, in pixels.
const MAX_SIDE: u32 = 32_768;
/// Most memory that decoding may take, in bytes.
const MAX_ALLOC: u64 = 1 << 30;

/// A decoded picture of any sample type, upright.
#[derive(Debug, Clone, PartialEq)]
pub struct Image(pub DynamicImage);

impl Image {
    /// Decodes PNG, JPEG, WebP, GIF (its first frame), BMP, TIFF or PNM.
    ///
    /// # Errors
    /// Where it is none of these, is damaged, or would take over 1 GiB or 32,768 pixels a side.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let kind = || describe(bytes);
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().context("image")?;
        if reader.format().is_none() {
            return Err(crate::Error::invalid(format!(
                "not an image: {}; PNG, JPEG, WebP, GIF, BMP, TIFF and PNM are read",
                kind()
            )));
        }
        let mut reader = reader;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_ALLOC);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().invalid(format!("not a readable image ({})", kind()))?;
        // A damaged EXIF block is no reason to refuse the picture.
        let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).invalid(format!("not a readable image ({})", kind()))?;
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

//! Pictures as files of another format.

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ColorType, DynamicImage, ImageDecoder, ImageEncoder};
use millwork_worker::convert::ImageBytes;
use millwork_worker::prelude::*;

use super::colour::Colour;
use super::raster::{Depth, Raster};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Choice)]
pub(crate) enum Format {
    /// Without loss, 8 or 16 bits, alpha.
    Png,
    /// With loss, 8 bits, no alpha.
    Jpeg,
    /// Written without loss here, 8 bits, alpha.
    Webp,
}

/// Writes a picture as a PNG, JPEG or WebP file.
///
/// It is turned the way its EXIF says. Its colour profile is kept, other metadata is not. PNG keeps 16 bits and alpha; WebP,
/// written without loss, keeps alpha; for JPEG what is transparent is laid on the background colour.
#[derive(Node)]
#[node("image.Convert")]
pub(crate) struct Convert {
    /// The picture.
    image: ImageBytes,
    /// png, jpeg or webp.
    #[node(default = Format::Png)]
    format: Format,
    /// Quality of a JPEG, 1 to 100. PNG and WebP are written without loss.
    #[node(default = 90, min = 1, max = 100)]
    quality: u8,
    /// What shows behind a transparent picture where the format has no alpha.
    #[node(default = Colour::WHITE)]
    background: Colour,
}

impl Run for Convert {
    type Output = ImageBytes;

    fn run(self, cx: &Context) -> Result<ImageBytes> {
        let profile = Image::open(&self.image.0)?.1.icc_profile().ok().flatten();
        let picture = Image::decode(&self.image.0)?;
        cx.check()?;
        let picture = match self.format {
            Format::Jpeg if picture.color().has_alpha() => flatten(&picture, self.background)?.0,
            _ => picture.0,
        };
        let picture = match (self.format, picture.color()) {
            (Format::Png, ColorType::Rgb32F) => DynamicImage::from(picture.into_rgb16()),
            (Format::Png, ColorType::Rgba32F) => DynamicImage::from(picture.into_rgba16()),
            (Format::Png, _) => picture,
            (_, ColorType::L16) => DynamicImage::from(picture.into_luma8()),
            (_, ColorType::La16) => DynamicImage::from(picture.into_luma_alpha8()),
            (_, ColorType::Rgb16 | ColorType::Rgb32F) => DynamicImage::from(picture.into_rgb8()),
            (_, ColorType::Rgba16 | ColorType::Rgba32F) => DynamicImage::from(picture.into_rgba8()),
            _ => picture,
        };
        let profile = profile.filter(|profile| describes(profile, picture.color()));
        let mut file = Vec::new();
        match self.format {
            Format::Png => {
                let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::Adaptive);
                write(encoder, &picture, profile)?;
            }
            Format::Jpeg => write(JpegEncoder::new_with_quality(&mut file, self.quality), &picture, profile)?,
            Format::Webp => write(WebPEncoder::new_lossless(&mut file), &picture, profile)?,
        }
        Ok(ImageBytes(Bytes::from(file)))
    }
}

fn write(mut encoder: impl ImageEncoder, picture: &DynamicImage, profile: Option<Vec<u8>>) -> Result<()> {
    if let Some(profile) = profile {
        // A format that takes none loses it, as it would any other metadata.
        let _ = encoder.set_icc_profile(profile);
    }
    encoder
        .write_image(picture.as_bytes(), picture.width(), picture.height(), picture.color().into())
        .context("cannot write the picture")
}

/// Whether an ICC profile is one for these colours: that of a CMYK file is not, once the file is decoded to RGB. The colour
/// space stands at byte 16 of the profile (ICC.1:2022, 7.2.6).
fn describes(profile: &[u8], colour: ColorType) -> bool {
    let space: &[u8] = if colour.has_color() { b"RGB " } else { b"GRAY" };
    profile.get(16..20) == Some(space)
}

/// The picture on a background, without alpha, in 8 bits.
fn flatten(picture: &Image, background: Colour) -> Result<Image> {
    let raster = Raster::new(picture)?;
    let back = background.pixel(raster.colours());
    let colours = raster.colours();
    let flat = raster
        .pixels()
        .flat_map(|pixel| {
            let alpha = pixel[colours];
            pixel.iter().zip(&back).map(move |(v, back)| v * alpha + back * (1.0 - alpha))
        })
        .collect();
    Raster { depth: Depth::U8, ..raster.with(colours, flat) }.into_image()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn file(call: millwork_worker::testing::NodeTest) -> Bytes {
        call.run().unwrap().blobs["output"].clone()
    }

    #[test]
    fn each_format_is_written_as_asked() {
        for (format, magic) in [("png", b"\x89PNG".as_slice()), ("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF")] {
            let written = file(on::<Convert>(astronaut()).field("format", format));
            assert!(written.starts_with(magic), "{format}");
            let (back, original) = (Image::decode(&written).unwrap(), Image::decode(&astronaut()).unwrap());
            if format == "jpeg" {
                let error: u64 =
                    back.as_bytes().iter().zip(original.as_bytes()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                assert!(error / (512 * 512 * 3) < 4, "{error}");
            } else {
                assert_eq!(back, original, "{format}");
            }
        }
    }

    #[test]
    fn less_quality_is_a_smaller_file() {
        let size =
            |quality: i64| file(on::<Convert>(astronaut()).field("format", "jpeg").field("quality", quality)).len();
        assert!(size(10) * 3 < size(95));
        let none = on::<Convert>(astronaut()).field("quality", 0);
        assert!(refusal(none).starts_with("field `quality`"));
    }

    #[test]
    fn alpha_is_kept_or_laid_on_the_background() {
        let half = || on::<Convert>(rgba(8, &[[0, 0, 0, 128]; 64])).field("background", "#ff0000");
        for format in ["png", "webp"] {
            let kept = Image::decode(&file(half().field("format", format))).unwrap();
            assert_eq!(kept.to_rgba8().get_pixel(3, 3).0, [0, 0, 0, 128], "{format}");
        }
        let flat = Image::decode(&file(half().field("format", "jpeg").field("quality", 100))).unwrap();
        let [r, g, b] = flat.to_rgb8().get_pixel(3, 3).0;
        assert!(r.abs_diff(127) <= 3 && g <= 3 && b <= 3, "{r} {g} {b}");
    }

    #[test]
    fn exif_turns_the_pixels_and_is_gone() {
        let upright = file(on::<Convert>(turned_jpeg(3, 2, 6)).field("format", "jpeg"));
        let (_, mut decoder) = Image::open(&upright).unwrap();
        assert_eq!(decoder.dimensions(), (2, 3));
        assert_eq!(decoder.orientation().unwrap().to_exif(), 1);
    }

    #[test]
    fn sixteen_bits_stay_in_png() {
        let written = file(on::<Convert>(grey16(2, &[1, 40_000])));
        assert_eq!(Image::decode(&written).unwrap().to_luma16().into_raw(), [1, 40_000]);
        let shallow = file(on::<Convert>(grey16(2, &[0, 65_535])).field("format", "webp"));
        assert_eq!(Image::decode(&shallow).unwrap().to_luma8().into_raw(), [0, 255]);
    }

    #[test]
    fn a_profile_is_kept_where_it_fits() {
        let mut profile = vec![0u8; 128];
        profile[16..20].copy_from_slice(b"RGB ");
        let tagged = |profile: &[u8]| {
            let mut bytes = Vec::new();
            let picture = DynamicImage::new_rgb8(2, 2);
            write(PngEncoder::new(&mut bytes), &picture, Some(profile.to_vec())).unwrap();
            Bytes::from(bytes)
        };
        let kept = |source: Bytes, format: &str| {
            let written = file(on::<Convert>(source).field("format", format));
            Image::open(&written).unwrap().1.icc_profile().unwrap()
        };
        for format in ["png", "jpeg", "webp"] {
            assert_eq!(kept(tagged(&profile), format).as_deref(), Some(profile.as_slice()), "{format}");
        }
        profile[16..20].copy_from_slice(b"CMYK");
        assert_eq!(kept(tagged(&profile), "png"), None);
    }
}

//! Other sizes: `Resize` to pixels, `enlarge` by a factor. The arithmetic is that of the crate `fast_image_resize`.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::DynamicImage;
use millwork_worker::prelude::*;

use super::raster::check_size;

/// How a new pixel is made from old ones.
#[derive(Debug, Clone, Copy, Choice)]
pub(crate) enum Filter {
    /// The nearest pixel: hard edges, no new colours.
    Nearest,
    /// The mean of the pixels that a new pixel covers.
    Box,
    /// A triangle over two pixels.
    Bilinear,
    /// A sharper triangle.
    Hamming,
    /// Catmull-Rom cubic over four pixels.
    Bicubic,
    /// Mitchell-Netravali cubic: softer, with less ringing.
    Mitchell,
    /// A windowed sinc over six pixels: the sharpest.
    Lanczos,
}

impl Filter {
    fn algorithm(self) -> ResizeAlg {
        ResizeAlg::Convolution(match self {
            Filter::Nearest => return ResizeAlg::Nearest,
            Filter::Box => FilterType::Box,
            Filter::Bilinear => FilterType::Bilinear,
            Filter::Hamming => FilterType::Hamming,
            Filter::Bicubic => FilterType::CatmullRom,
            Filter::Mitchell => FilterType::Mitchell,
            Filter::Lanczos => FilterType::Lanczos3,
        })
    }
}

/// What to do where width and height are not in the picture's proportion.
#[derive(Debug, Clone, Copy, PartialEq, Choice)]
pub(crate) enum Fit {
    /// Exactly width × height, distorted where need be.
    Stretch,
    /// As large as fits inside width × height, in proportion.
    Contain,
    /// Exactly width × height, in proportion, what is over cut off evenly.
    Cover,
}

/// Resizes a picture.
///
/// Samples are mixed as stored (sRGB), as Pillow and browsers do, not in linear light; colours are weighted by alpha.
#[derive(Node)]
#[node("image.Resize")]
pub(crate) struct Resize {
    /// The picture.
    image: Image,
    /// New width in pixels; in proportion to the height where it is not given.
    #[node(min = 1, max = 32768)]
    width: Option<u32>,
    /// New height in pixels; in proportion to the width where it is not given.
    #[node(min = 1, max = 32768)]
    height: Option<u32>,
    /// Where both are given: stretch, contain (fit inside, in proportion) or cover (fill, in proportion, cut the rest).
    #[node(default = Fit::Stretch)]
    fit: Fit,
    /// How pixels are mixed; lanczos is the sharpest, nearest keeps hard edges.
    #[node(default = Filter::Lanczos)]
    filter: Filter,
}

impl Run for Resize {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        let (old_width, old_height) = (f64::from(self.image.width()), f64::from(self.image.height()));
        let scaled = |scale: f64| {
            let side = |old: f64| (old * scale).round().max(1.0) as u32;
            (side(old_width), side(old_height))
        };
        let (width, height) = match (self.width, self.height) {
            (None, None) => {
                return Err(Error::invalid("no size: give `width` or `height`, in pixels, or both"));
            }
            (Some(width), None) => (width, scaled(f64::from(width) / old_width).1),
            (None, Some(height)) => (scaled(f64::from(height) / old_height).0, height),
            (Some(width), Some(height)) if self.fit == Fit::Contain => {
                scaled((f64::from(width) / old_width).min(f64::from(height) / old_height))
            }
            (Some(width), Some(height)) => (width, height),
        };
        let options = ResizeOptions::new().resize_alg(self.filter.algorithm());
        let cover = self.fit == Fit::Cover;
        resize(&self.image, width, height, &if cover { options.fit_into_destination(None) } else { options })
    }
}

/// A picture so many times as wide and as high, by a Lanczos filter.
///
/// # Errors
/// `invalid_input` where it would be larger than pictures can be.
pub fn enlarge(image: &Image, factor: f64) -> Result<Image> {
    let side = |old: u32| (f64::from(old) * factor).round() as u32;
    let options = ResizeOptions::new().resize_alg(Filter::Lanczos.algorithm());
    resize(image, side(image.width()), side(image.height()), &options)
}

fn resize(image: &Image, width: u32, height: u32, options: &ResizeOptions) -> Result<Image> {
    check_size(image.width() as usize, image.height() as usize, 0)?;
    check_size(width as usize, height as usize, usize::from(image.color().channel_count()))?;
    let mut out = DynamicImage::new(width, height, image.color());
    Resizer::new().resize(&image.0, &mut out, options).context("cannot resize")?;
    Ok(Image(out))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    const SAMPLES: [u8; 25] =
        [0, 37, 74, 111, 148, 185, 222, 8, 45, 82, 119, 156, 193, 230, 16, 53, 90, 127, 164, 201, 238, 24, 61, 98, 135];

    #[test]
    fn filters_are_pillows() {
        // PIL.Image.fromarray(a).resize((3, 3), FILTER)
        for (filter, expected) in [
            ("lanczos", [103, 63, 95, 139, 166, 112, 102, 82, 161]),
            ("bicubic", [97, 67, 100, 138, 159, 114, 109, 85, 153]),
            ("bilinear", [95, 70, 104, 135, 150, 116, 113, 89, 147]),
            ("hamming", [84, 63, 109, 133, 162, 106, 123, 86, 146]),
            ("box", [112, 41, 97, 138, 193, 123, 102, 94, 150]),
            ("nearest", [0, 74, 148, 119, 193, 16, 238, 61, 135]),
        ] {
            let call = on::<Resize>(grey(5, &SAMPLES)).field("width", 3).field("height", 3).field("filter", filter);
            assert!(close(&samples(call), &expected, 1), "{filter}");
        }
    }

    #[test]
    fn enlarging_is_pillows_lanczos() {
        // PIL.Image.fromarray([[60, 97], [145, 182]]).resize((4, 4), LANCZOS)
        let expected = [39, 54, 73, 88, 74, 89, 108, 123, 119, 134, 153, 168, 154, 169, 188, 203];
        let small = Image::decode(&grey(2, &[60, 97, 145, 182])).unwrap();
        let large = enlarge(&small, 2.0).unwrap();
        assert!(close(large.to_luma8().as_raw(), &expected, 1));
    }

    #[test]
    fn transparent_colours_do_not_bleed() {
        let picture = rgba(2, &[[255, 0, 0, 255], [0, 0, 255, 0], [255, 0, 0, 255], [0, 0, 255, 0]]);
        let call = on::<Resize>(picture).field("width", 4).field("filter", "bilinear");
        // PIL.Image.resize((4, 2), BILINEAR), first row
        let expected = [255, 0, 0, 255, 255, 0, 0, 191, 255, 0, 0, 64, 0, 0, 0, 0];
        assert!(close(&samples(call)[..16], &expected, 1));
    }

    #[test]
    fn sizes_follow_the_proportion_and_the_fit() {
        let size = |width: Option<i64>, height: Option<i64>, fit: &str| {
            let mut call = on::<Resize>(grey(200, &[9; 200 * 100])).field("fit", fit);
            for (name, side) in [("width", width), ("height", height)] {
                if let Some(side) = side {
                    call = call.field(name, side);
                }
            }
            let picture = picture(&call.run().unwrap());
            (picture.width(), picture.height())
        };
        assert_eq!(size(Some(50), None, "stretch"), (50, 25));
        assert_eq!(size(None, Some(1), "stretch"), (2, 1));
        assert_eq!(size(Some(50), Some(50), "stretch"), (50, 50));
        assert_eq!(size(Some(50), Some(50), "contain"), (50, 25));
        assert_eq!(size(Some(50), Some(50), "cover"), (50, 50));
    }

    #[test]
    fn cover_cuts_both_sides_evenly() {
        let picture = grey(4, &[10, 20, 30, 40, 10, 20, 30, 40]);
        let call = on::<Resize>(picture).field("width", 2).field("height", 2).field("fit", "cover");
        assert_eq!(samples(call), [20, 30, 20, 30]);
    }

    #[test]
    fn sixteen_bits_stay() {
        let call = on::<Resize>(grey16(2, &[1000, 1002, 1000, 1002])).field("width", 1).field("height", 1);
        assert_eq!(picture(&call.run().unwrap()).into_luma16().into_raw(), [1001]);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let call = || on::<Resize>(grey(1, &[0]));
        assert!(refusal(call()).contains("`width` or `height`"));
        assert!(refusal(call().field("width", 0)).starts_with("field `width`"));
        let message = refusal(call().field("width", 32_768).field("height", 32_768));
        assert_eq!(message, "a picture of 32768×32768 pixels needs 4294967296 bytes to work on, more than 1073741824");
        assert!(refusal(on::<Resize>(grey(1, &[0; 4])).field("width", 10_000)).contains("over 32768 a side"));
        assert!(refusal(call().field("width", 2).field("filter", "magic")).contains("nearest, box, bilinear"));
    }
}

//! Softer and sharper: the Gaussian blur and the unsharp mask built on it.

use millwork_worker::prelude::*;

use super::gaussian;
use super::raster::Raster;

/// Blurs a picture with a Gaussian kernel.
///
/// The time does not grow with sigma. What is transparent does not bleed into what is opaque.
#[derive(Node)]
#[node("image.Blur")]
pub(crate) struct Blur {
    /// The picture to blur.
    image: Image,
    /// Standard deviation of the kernel, in pixels; 0 changes nothing.
    #[node(default = 2.0, min = 0.0, max = 1000.0)]
    sigma: f64,
}

impl Run for Blur {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        if self.sigma == 0.0 {
            return Ok(self.image);
        }
        let mut raster = Raster::new(&self.image)?.premultiplied();
        gaussian::blur(&mut raster, self.sigma, cx)?;
        raster.straight().into_image()
    }
}

/// Sharpens a picture with an unsharp mask: adds `amount` times what a Gaussian blur takes away. Alpha is left alone.
#[derive(Node)]
#[node("image.Sharpen")]
pub(crate) struct Sharpen {
    /// The picture to sharpen.
    image: Image,
    /// Standard deviation of the blur, in pixels: the size of the details that are raised.
    #[node(default = 1.5, min = 0.0, max = 1000.0)]
    sigma: f64,
    /// How much is added: 1 doubles the difference to the blurred picture.
    #[node(default = 1.0, min = 0.0, max = 20.0)]
    amount: f32,
    /// Differences smaller than this part of the range (0 to 1) are left alone, so that noise is not raised.
    #[node(default = 0.0, min = 0.0, max = 1.0)]
    threshold: f32,
}

impl Run for Sharpen {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let sharp = Raster::new(&self.image)?;
        let mut soft = sharp.clone().premultiplied();
        gaussian::blur(&mut soft, self.sigma, cx)?;
        let soft = soft.straight();
        let mut pixels = soft.pixels();
        let raster = sharp.map_colours(|pixel| {
            for (v, soft) in pixel.iter_mut().zip(pixels.next().unwrap_or_default()) {
                let detail = *v - soft;
                if detail.abs() >= self.threshold {
                    *v += self.amount * detail;
                }
            }
        });
        raster.into_image()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    /// `arange(25) * 37 % 251` as a 5×5 picture.
    const SAMPLES: [u8; 25] =
        [0, 37, 74, 111, 148, 185, 222, 8, 45, 82, 119, 156, 193, 230, 16, 53, 90, 127, 164, 201, 238, 24, 61, 98, 135];

    #[test]
    fn blur_is_scipys_gaussian_filter() {
        // scipy.ndimage.gaussian_filter(a, 1.0, mode="nearest", truncate=4)
        let expected = [
            61, 72, 82, 99, 116, 114, 115, 106, 102, 98, 124, 129, 131, 126, 108, 121, 114, 121, 134, 135, 147, 103,
            94, 115, 135,
        ];
        assert!(close(&samples(on::<Blur>(grey(5, &SAMPLES)).field("sigma", 1.0)), &expected, 1));
    }

    #[test]
    fn the_photograph_blurs_as_in_scipy_and_shows_progress() {
        // The same on the photograph, truncate=5, at (0, 0), (256, 100), (400, 300), (511, 511), (10, 256).
        let places = [(0, 0), (256, 100), (400, 300), (511, 511), (10, 256)];
        let small = [
            [158.83, 153.13, 159.86],
            [146.46, 120.82, 96.32],
            [0.87, 0.59, 0.40],
            [17.69, 16.68, 15.41],
            [127.62, 15.24, 23.21],
        ];
        let large = [
            [112.65, 105.21, 120.61],
            [154.67, 130.61, 105.13],
            [65.06, 54.59, 49.97],
            [33.74, 32.08, 30.51],
            [150.23, 68.60, 70.61],
        ];
        for (sigma, expected) in [(4.0, small), (30.0, large)] {
            let outcome = on::<Blur>(astronaut()).field("sigma", sigma).outcome();
            let blurred = picture(&outcome.result.unwrap()).into_rgb8();
            for ((x, y), expected) in places.into_iter().zip(expected) {
                for (found, expected) in blurred.get_pixel(x, y).0.into_iter().zip(expected) {
                    assert!(
                        (f64::from(found) - expected).abs() <= 1.0,
                        "sigma {sigma} at {x}, {y}: {found}, {expected}"
                    );
                }
            }
            let last = outcome.progress.last().unwrap();
            assert!((20..=200).contains(&outcome.progress.len()) && last["progress"] == last["total"]);
        }
    }

    #[test]
    fn blur_keeps_colours_clear_of_what_is_transparent() {
        let picture = rgba(2, &[[255, 0, 0, 255], [0, 0, 255, 0]]);
        let blurred = samples(on::<Blur>(picture).field("sigma", 1.0));
        assert_eq!((&blurred[..3], &blurred[4..7]), ([255, 0, 0].as_slice(), [255, 0, 0].as_slice()));
        assert!(blurred[3] > blurred[7] && blurred[7] > 0);
    }

    #[test]
    fn blur_takes_zero_and_refuses_what_is_no_sigma() {
        assert_eq!(samples(on::<Blur>(grey(5, &SAMPLES)).field("sigma", 0)), SAMPLES);
        let message = refusal(on::<Blur>(grey(5, &SAMPLES)).field("sigma", -1.0));
        assert_eq!(message, "field `sigma`: must be between 0 and 1000, got -1");
        assert!(refusal(on::<Blur>(grey(5, &SAMPLES)).field("sigma", f64::NAN)).contains("sigma"));
        assert!(refusal(on::<Blur>("no picture".into())).contains("not an image"));
    }

    #[test]
    fn a_cancelled_blur_stops() {
        let token = millwork_worker::CancelToken::default();
        token.cancel();
        let error = on::<Blur>(astronaut()).cancel(&token).run().unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Cancelled);
    }

    #[test]
    fn sharpen_is_scikit_images_unsharp_mask() {
        // a + 1.5 * (a - gaussian_filter(a, 1.0, mode="nearest")), as skimage.filters.unsharp_mask computes it.
        let expected =
            [0, 0, 62, 129, 196, 255, 255, 0, 0, 58, 111, 196, 255, 255, 0, 0, 54, 135, 209, 255, 255, 0, 12, 72, 135];
        let call = || on::<Sharpen>(grey(5, &SAMPLES)).field("sigma", 1.0);
        assert!(close(&samples(call().field("amount", 1.5)), &expected, 1));
        assert_eq!(samples(call().field("threshold", 1.0)), SAMPLES);
    }
}

//! Rotation by any angle.

use millwork_worker::prelude::*;

use super::colour::Colour;
use super::raster::{Border, Raster, check_size};
use super::steps::Steps;

/// How a pixel between pixels is found.
#[derive(Debug, Clone, Copy, Choice)]
pub(crate) enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// Linear between 2×2 pixels.
    Bilinear,
    /// Catmull-Rom cubic between 4×4 pixels.
    Bicubic,
}

/// Rotates a picture about its centre.
///
/// Right angles move pixels and change none of them, unless the picture is not square and may not grow.
#[derive(Node)]
#[node("image.Rotate")]
pub(crate) struct Rotate {
    /// The picture.
    image: Image,
    /// Degrees, counter-clockwise.
    #[node(default = 90.0, min = -3600.0, max = 3600.0)]
    angle: f64,
    /// Whether the picture grows until all of it is seen; otherwise it keeps its size and loses its corners.
    #[node(default = true)]
    expand: bool,
    /// The colour of what is bare after the turn; one that is not opaque adds an alpha channel.
    #[node(default = Colour::BLACK)]
    fill: Colour,
    /// How pixels between pixels are found.
    #[node(default = Interpolation::Bicubic)]
    interpolation: Interpolation,
}

impl Run for Rotate {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let square = self.image.width() == self.image.height();
        let angle = self.angle.rem_euclid(360.0);
        if angle == 0.0 {
            return Ok(self.image);
        } else if angle == 180.0 {
            return Ok(Image(self.image.rotate180()));
        } else if angle == 90.0 && (square || self.expand) {
            return Ok(Image(self.image.rotate270()));
        } else if angle == 270.0 && (square || self.expand) {
            return Ok(Image(self.image.rotate90()));
        }
        let mut old = Raster::new(&self.image)?;
        if !self.fill.is_opaque() {
            old = old.with_alpha()?;
        }
        let old = old.premultiplied();
        let (sin, cos) = angle.to_radians().sin_cos();
        let (old_width, old_height) = (old.width as f64, old.height as f64);
        let (mut width, mut height) = (old.width, old.height);
        if self.expand {
            // Rounding must not add an empty row.
            let side = |x: f64, y: f64| (x.abs() + y.abs() - 1e-6).ceil() as usize;
            (width, height) = (side(old_width * cos, old_height * sin), side(old_width * sin, old_height * cos));
            check_size(width, height, old.channels)?;
        }
        let fill = self.fill.pixel(old.channels);
        let fill = Raster::filled(1, 1, &fill, old.depth)?.premultiplied().samples;
        let mut samples = vec![0.0; width * height * old.channels];
        let mut steps = Steps::new(cx, height);
        for (y, row) in samples.chunks_exact_mut(width * old.channels).enumerate() {
            let v = y as f64 + 0.5 - height as f64 / 2.0;
            for (x, pixel) in row.chunks_exact_mut(old.channels).enumerate() {
                let u = x as f64 + 0.5 - width as f64 / 2.0;
                let (x, y) = (u * cos - v * sin + old_width / 2.0 - 0.5, u * sin + v * cos + old_height / 2.0 - 0.5);
                self.interpolation.sample(&old, x, y, &fill, pixel);
            }
            steps.step()?;
        }
        Raster { width, height, samples, ..old }.straight().into_image()
    }
}

impl Interpolation {
    /// Writes what `raster` shows at a place between its pixels; `fill` lies all around it.
    fn sample(self, raster: &Raster, x: f64, y: f64, fill: &[f32], out: &mut [f32]) {
        let (x0, wx) = self.taps(x);
        let (y0, wy) = self.taps(y);
        for (j, wy) in wy.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            let row = Border::Constant.at(y0 + j as isize, raster.height);
            for (i, wx) in wx.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                let column = Border::Constant.at(x0 + i as isize, raster.width);
                let pixel = row.zip(column).map_or(fill, |(y, x)| raster.pixel(x, y));
                out.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += wx * wy * v);
            }
        }
    }

    /// The first pixel that counts at a position, and the weights from there on.
    fn taps(self, at: f64) -> (isize, [f32; 4]) {
        let floor = at.floor();
        let t = (at - floor) as f32;
        match self {
            Interpolation::Nearest => ((at + 0.5).floor() as isize, [1.0, 0.0, 0.0, 0.0]),
            Interpolation::Bilinear => (floor as isize, [1.0 - t, t, 0.0, 0.0]),
            Interpolation::Bicubic => {
                let (t2, t3) = (t * t, t * t * t);
                let weights =
                    [-t3 + 2.0 * t2 - t, 3.0 * t3 - 5.0 * t2 + 2.0, -3.0 * t3 + 4.0 * t2 + t, t3 - t2].map(|w| w / 2.0);
                (floor as isize - 1, weights)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    const SAMPLES: [u8; 25] =
        [0, 37, 74, 111, 148, 185, 222, 8, 45, 82, 119, 156, 193, 230, 16, 53, 90, 127, 164, 201, 238, 24, 61, 98, 135];

    #[test]
    fn right_angles_only_move_pixels() {
        let six = || grey(3, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(samples(on::<Rotate>(six())), [3, 6, 2, 5, 1, 4]);
        assert_eq!(samples(on::<Rotate>(six()).field("angle", -90)), [4, 1, 5, 2, 6, 3]);
        assert_eq!(samples(on::<Rotate>(six()).field("angle", 540)), [6, 5, 4, 3, 2, 1]);
        assert_eq!(samples(on::<Rotate>(six()).field("angle", 720)), [1, 2, 3, 4, 5, 6]);
        let kept = on::<Rotate>(grey(3, &[1, 2, 3])).field("expand", false).field("fill", "white");
        // A row of three stood on end keeps its centre.
        assert_eq!(samples(kept), [255, 2, 255]);
    }

    #[test]
    fn any_angle_is_scipys_affine_transform() {
        // scipy.ndimage.affine_transform(a, matrix of 30 degrees, order=1, mode="grid-constant")
        let kept = [
            13, 61, 93, 92, 17, 53, 77, 51, 118, 31, 195, 177, 193, 192, 191, 98, 118, 117, 116, 115, 19, 93, 42, 43,
            24,
        ];
        let grown = [
            0, 0, 0, 52, 85, 0, 0, 0, 13, 61, 93, 92, 17, 0, 0, 53, 77, 51, 118, 31, 0, 37, 195, 177, 193, 192, 191,
            68, 0, 98, 118, 117, 116, 115, 77, 0, 19, 93, 42, 43, 24, 0, 0, 0, 136, 53, 0, 0, 0,
        ];
        let call = || on::<Rotate>(grey(5, &SAMPLES)).field("angle", 30).field("interpolation", "bilinear");
        assert!(close(&samples(call().field("expand", false)), &kept, 1));
        assert!(close(&samples(call()), &grown, 1));
    }

    #[test]
    fn a_flat_picture_stays_flat_inside() {
        for interpolation in ["nearest", "bilinear", "bicubic"] {
            let call = on::<Rotate>(grey(21, &[77; 21 * 21])).field("angle", 33).field("expand", false);
            let turned = samples(call.field("interpolation", interpolation));
            assert_eq!((turned[10 * 21 + 10], turned[7 * 21 + 12], turned[0]), (77, 77, 0), "{interpolation}");
        }
    }

    #[test]
    fn a_transparent_fill_adds_alpha_and_no_dark_rim() {
        let call = on::<Rotate>(rgb(8, &[[200, 100, 50]; 64])).field("angle", 45).field("fill", "transparent");
        let turned = samples(call.field("interpolation", "bilinear"));
        for pixel in turned.chunks(4).filter(|pixel| pixel[3] > 0) {
            assert!(close(&pixel[..3], &[200, 100, 50], 1), "{pixel:?}");
        }
        assert!(turned.chunks(4).any(|pixel| pixel[3] == 0) && turned.chunks(4).any(|pixel| pixel[3] == 255));
    }

    #[test]
    fn angles_that_are_none_are_refused() {
        assert!(refusal(on::<Rotate>(grey(1, &[0])).field("angle", f64::INFINITY)).starts_with("field `angle`"));
    }
}

//! Edges: where brightness changes.

use image::{DynamicImage, GrayImage};
use millwork_worker::prelude::*;

use super::gaussian;
use super::raster::{Border, Raster};

/// How edges are found.
#[derive(Debug, Clone, Copy, Choice)]
pub(crate) enum Detector {
    /// How steep the brightness is at each pixel.
    Sobel,
    /// Thin lines, black or white.
    Canny,
}

/// The steepest edge that there can be, as `imageproc` counts it: √5 · 2 · 255.
const STEEPEST: f32 = 1140.39;

/// Finds the edges in a picture, by its Rec. 601 luma. The output is grey and has no alpha.
///
/// sobel gives the gradient's magnitude, scaled as in scikit-image so that no edge is over white. canny smooths with a
/// sigma of 1.4 and gives thin lines in 8 bits.
#[derive(Node)]
#[node("image.FindEdges")]
pub(crate) struct FindEdges {
    /// The picture.
    image: Image,
    /// sobel for steepness in greys, canny for thin white lines.
    #[node(default = Detector::Sobel)]
    method: Detector,
    /// Standard deviation of a blur before, in pixels: hides edges of small things. Canny's own blur comes on top.
    #[node(default = 0.0, min = 0.0, max = 100.0)]
    sigma: f64,
    /// Only for canny: edges as steep as this (0 to 1) count where they join a stronger one.
    #[node(default = 0.05, min = 0.0, max = 1.0)]
    low: f32,
    /// Only for canny: edges as steep as this (0 to 1) always count.
    #[node(default = 0.1, min = 0.0, max = 1.0)]
    high: f32,
}

impl Run for FindEdges {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let mut grey = Raster::new(&self.image)?.luma()?;
        gaussian::blur(&mut grey, self.sigma, cx)?;
        match self.method {
            Detector::Sobel => sobel(&grey, cx),
            Detector::Canny if self.low > self.high => {
                Err(Error::invalid(format!("`low` must not be above `high`, got {} and {}", self.low, self.high)))
            }
            Detector::Canny => {
                let grey: GrayImage = grey.into_image()?.to_luma8();
                let edges = imageproc::edges::canny(&grey, self.low * STEEPEST, self.high * STEEPEST);
                Ok(Image(DynamicImage::ImageLuma8(edges)))
            }
        }
    }
}

/// √((gx² + gy²) / 2), each gradient from -1 to 1.
fn sobel(grey: &Raster, cx: &Context) -> Result<Image> {
    let mut samples = Vec::with_capacity(grey.samples.len());
    for y in 0..grey.height as isize {
        cx.check()?;
        for x in 0..grey.width as isize {
            let at = |dx: isize, dy: isize| {
                let column = Border::Edge.at(x + dx, grey.width).unwrap_or(0);
                let row = Border::Edge.at(y + dy, grey.height).unwrap_or(0);
                grey.samples[row * grey.width + column]
            };
            let across = at(1, -1) + 2.0 * at(1, 0) + at(1, 1) - at(-1, -1) - 2.0 * at(-1, 0) - at(-1, 1);
            let down = at(-1, 1) + 2.0 * at(0, 1) + at(1, 1) - at(-1, -1) - 2.0 * at(0, -1) - at(1, -1);
            samples.push((across * across + down * down).sqrt() / 32.0f32.sqrt());
        }
    }
    grey.with(1, samples).into_image()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn sobel_is_scikit_images() {
        // skimage.filters.sobel(a / 255, mode="nearest") * 255
        let a = [
            0, 37, 74, 111, 148, 185, 222, 8, 45, 82, 119, 156, 193, 230, 16, 53, 90, 127, 164, 201, 238, 24, 61, 98,
            135,
        ];
        let expected =
            [133, 87, 8, 70, 54, 88, 92, 92, 41, 52, 97, 50, 41, 92, 105, 44, 50, 107, 50, 44, 138, 81, 70, 70, 54];
        assert!(close(&samples(on::<FindEdges>(grey(5, &a))), &expected, 1));
        assert_eq!(samples(on::<FindEdges>(rgba(2, &[[9, 9, 9, 1], [9, 9, 9, 255]]))), [0, 0]);
    }

    #[test]
    fn canny_draws_a_thin_line_at_a_step() {
        let step: Vec<u8> = (0..20 * 20).map(|i| if i % 20 < 10 { 20 } else { 220 }).collect();
        let lines = samples(on::<FindEdges>(grey(20, &step)).field("method", "canny"));
        for row in lines.chunks(20).take(15).skip(5) {
            let at: Vec<usize> = row.iter().enumerate().filter(|(_, v)| **v == 255).map(|(x, _)| x).collect();
            assert!((1..=2).contains(&at.len()) && at.iter().all(|x| (9..=10).contains(x)), "{row:?}");
        }
        assert!(samples(on::<FindEdges>(grey(1, &[5])).field("method", "canny")) == [0]);
        let call = on::<FindEdges>(grey(1, &[5])).field("method", "canny").field("low", 0.5);
        assert_eq!(refusal(call), "`low` must not be above `high`, got 0.5 and 0.1");
    }
}

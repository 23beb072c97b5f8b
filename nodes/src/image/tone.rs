//! Colours changed pixel by pixel: grey, inverted, brighter, more contrast, more colour.

use millwork_worker::prelude::*;

use super::raster::{Raster, luma};

/// How red, green and blue make grey; the weights are applied to samples as stored.
#[derive(Debug, Clone, Copy, Choice)]
pub(crate) enum Weights {
    /// 0.299, 0.587, 0.114: television of old, JPEG, Pillow.
    Rec601,
    /// 0.2126, 0.7152, 0.0722: HDTV, and the primaries of sRGB.
    Rec709,
    /// A third each.
    Average,
}

/// Makes a picture grey: one channel, and alpha where there was alpha.
#[derive(Node)]
#[node("image.Grayscale")]
pub(crate) struct Grayscale {
    /// The picture.
    image: Image,
    /// How much red, green and blue count: rec601 (0.299, 0.587, 0.114), rec709 (0.2126, 0.7152, 0.0722) or average.
    #[node(default = Weights::Rec601)]
    weights: Weights,
}

impl Run for Grayscale {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        let raster = Raster::new(&self.image)?.map_colours(|pixel| {
            if let [r, g, b] = *pixel {
                pixel[0] = match self.weights {
                    Weights::Rec601 => luma(pixel),
                    Weights::Rec709 => 0.2126 * r + 0.7152 * g + 0.0722 * b,
                    Weights::Average => (r + g + b) / 3.0,
                };
            }
        });
        let (colours, alpha) = (raster.colours(), raster.has_alpha());
        let grey =
            raster.pixels().flat_map(|pixel| [Some(pixel[0]), alpha.then(|| pixel[colours])]).flatten().collect();
        raster.with(1 + usize::from(alpha), grey).into_image()
    }
}

/// Inverts the colours of a picture; alpha is left alone.
#[derive(Node)]
#[node("image.Invert")]
pub(crate) struct Invert {
    /// The picture.
    image: Image,
}

impl Run for Invert {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        Raster::new(&self.image)?.map_colours(|pixel| pixel.iter_mut().for_each(|v| *v = 1.0 - *v)).into_image()
    }
}

/// Makes a picture brighter or darker: every sample times a factor.
#[derive(Node)]
#[node("image.Brightness")]
pub(crate) struct Brightness {
    /// The picture.
    image: Image,
    /// 0 is black, 1 changes nothing, 2 is twice as bright.
    #[node(default = 1.2, min = 0.0, max = 100.0)]
    factor: f32,
}

impl Run for Brightness {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        Raster::new(&self.image)?.map_colours(|pixel| pixel.iter_mut().for_each(|v| *v *= self.factor)).into_image()
    }
}

/// Changes the contrast: every sample's distance from a grey in the middle times a factor.
#[derive(Node)]
#[node("image.Contrast")]
pub(crate) struct Contrast {
    /// The picture.
    image: Image,
    /// 0 is flat grey, 1 changes nothing, 2 is twice the contrast.
    #[node(default = 1.2, min = 0.0, max = 100.0)]
    factor: f32,
    /// The grey that stays as it is, 0 (black) to 1 (white); the picture's mean Rec. 601 luma where it is not given.
    #[node(min = 0.0, max = 1.0)]
    pivot: Option<f32>,
}

impl Run for Contrast {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        let raster = Raster::new(&self.image)?;
        let mean = || {
            let colours = raster.colours();
            let sum: f64 = raster.pixels().map(|pixel| f64::from(luma(&pixel[..colours]))).sum();
            (sum / (raster.width * raster.height) as f64) as f32
        };
        let pivot = self.pivot.unwrap_or_else(mean);
        let stretch = |v: &mut f32| *v = pivot + self.factor * (*v - pivot);
        raster.map_colours(|pixel| pixel.iter_mut().for_each(stretch)).into_image()
    }
}

/// Changes how strong colours are: each pixel's distance from its own grey (Rec. 601 luma) times a factor.
///
/// A grey picture stays as it is.
#[derive(Node)]
#[node("image.Saturation")]
pub(crate) struct Saturation {
    /// The picture.
    image: Image,
    /// 0 is grey, 1 changes nothing, 2 is twice as colourful.
    #[node(default = 1.2, min = 0.0, max = 100.0)]
    factor: f32,
}

impl Run for Saturation {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        let raster = Raster::new(&self.image)?.map_colours(|pixel| {
            let grey = luma(pixel);
            pixel.iter_mut().for_each(|v| *v = grey + self.factor * (*v - grey));
        });
        raster.into_image()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    const COLOURS: [[u8; 3]; 4] = [[200, 100, 50], [10, 20, 30], [255, 0, 128], [90, 90, 90]];

    #[test]
    fn grey_is_weighed_as_asked_and_alpha_stays() {
        // Image.convert("L"), and the sums of the weights by hand.
        assert_eq!(samples(on::<Grayscale>(rgb(2, &COLOURS))), [124, 18, 91, 90]);
        assert_eq!(samples(on::<Grayscale>(rgb(2, &COLOURS)).field("weights", "rec709")), [118, 19, 63, 90]);
        assert_eq!(samples(on::<Grayscale>(rgb(2, &COLOURS)).field("weights", "average")), [117, 20, 128, 90]);
        assert_eq!(samples(on::<Grayscale>(rgba(1, &[[200, 100, 50, 7]]))), [124, 7]);
    }

    #[test]
    fn inverting_twice_is_nothing() {
        let once = on::<Invert>(rgba(1, &[[0, 100, 255, 9]])).run().unwrap();
        assert_eq!(picture(&once).as_bytes(), [255, 155, 0, 9]);
        assert_eq!(samples(on::<Invert>(once.blobs["output"].clone())), [0, 100, 255, 9]);
    }

    #[test]
    fn brightness_contrast_and_saturation_are_pillows() {
        // PIL.ImageEnhance.Brightness/Contrast/Color(picture).enhance(1.5)
        let bright = [255, 150, 75, 15, 30, 45, 255, 0, 192, 135, 135, 135];
        let contrast = [255, 109, 34, 0, 0, 4, 255, 0, 151, 94, 94, 94];
        let colourful = [238, 88, 13, 6, 21, 36, 255, 0, 146, 90, 90, 90];
        assert!(close(&samples(on::<Brightness>(rgb(2, &COLOURS)).field("factor", 1.5)), &bright, 1));
        assert!(close(&samples(on::<Contrast>(rgb(2, &COLOURS)).field("factor", 1.5)), &contrast, 1));
        assert!(close(&samples(on::<Saturation>(rgb(2, &COLOURS)).field("factor", 1.5)), &colourful, 1));
        let about_white = on::<Contrast>(grey(1, &[200])).field("factor", 2).field("pivot", 1);
        assert_eq!(samples(about_white), [145]);
    }

    #[test]
    fn factors_below_zero_are_refused() {
        let pixel = || grey(1, &[0]);
        assert!(refusal(on::<Brightness>(pixel()).field("factor", -1)).starts_with("field `factor`"));
        assert!(refusal(on::<Contrast>(pixel()).field("pivot", 2)).starts_with("field `pivot`"));
        assert!(refusal(on::<Saturation>(pixel()).field("factor", "x")).starts_with("field `factor`"));
        assert!(refusal(on::<Grayscale>(pixel()).field("weights", "rec2020")).contains("rec601, rec709, average"));
    }
}

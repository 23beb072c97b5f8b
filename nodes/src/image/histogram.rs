//! What the histogram decides: contrast stretched, levels equalised, a threshold found.

use millwork_worker::prelude::*;

use super::raster::{Raster, luma};

/// How often each level occurs: 256 levels for a picture of 8 bits, 65,536 for a deeper one.
struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    fn of(values: impl Iterator<Item = f32>, steps: usize) -> Self {
        let mut counts = vec![0; steps + 1];
        let mut total = 0;
        for value in values {
            counts[level(value, steps)] += 1;
            total += 1;
        }
        Self { counts, total }
    }

    /// The darkest and the brightest level that are left when the part `cutoff` is ignored at either end.
    fn ends(&self, cutoff: f64) -> (usize, usize) {
        let ignored = (self.total as f64 * cutoff) as u64;
        let levels = || self.counts.iter().enumerate();
        (reach(levels(), ignored), reach(levels().rev(), ignored))
    }

    /// N. Otsu, "A threshold selection method from gray-level histograms", 1979: the last level of the darker class
    /// where the variance between the two classes is largest.
    fn otsu(&self) -> usize {
        let sum_of_all: f64 = self.counts.iter().enumerate().map(|(i, n)| i as f64 * *n as f64).sum();
        let total = self.total as f64;
        let (mut best, mut best_level, mut dark, mut dark_sum) = (-1.0, 0, 0.0, 0.0);
        for (level, count) in self.counts.iter().enumerate() {
            dark += *count as f64;
            dark_sum += level as f64 * *count as f64;
            let bright = total - dark;
            if *count == 0 || bright == 0.0 {
                continue;
            }
            let between = dark * bright * (dark_sum / dark - (sum_of_all - dark_sum) / bright).powi(2);
            if between > best {
                (best, best_level) = (between, level);
            }
        }
        best_level
    }
}

/// The first level where more pixels than `ignored` have been passed.
fn reach<'a>(mut counts: impl Iterator<Item = (usize, &'a u64)>, ignored: u64) -> usize {
    let mut seen = 0;
    let found = counts.find(|(_, count)| {
        seen += **count;
        seen > ignored
    });
    found.map_or(0, |(level, _)| level)
}

/// The level of a sample.
fn level(value: f32, steps: usize) -> usize {
    // A cast takes NaN to 0 and stops at either end.
    ((value.clamp(0.0, 1.0) * steps as f32).round() as usize).min(steps)
}

/// Stretches the contrast of a picture until its darkest pixels are black and its brightest white.
#[derive(Node)]
#[node("image.AutoContrast")]
pub(crate) struct AutoContrast {
    /// The picture.
    image: Image,
    /// Percent of the pixels at either end of the histogram that may be clipped, 0 to 49.
    #[node(default = 0.0, min = 0.0, max = 49.0)]
    cutoff: f64,
    /// Whether all channels are stretched alike, by their Rec. 601 luma, so that hues stay; otherwise each on its own.
    #[node(default = false)]
    keep_hue: bool,
}

impl Run for AutoContrast {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        let raster = Raster::new(&self.image)?;
        let (steps, colours) = (raster.depth.steps(), raster.colours());
        let ends = |histogram: Histogram| {
            let (low, high) = histogram.ends(self.cutoff / 100.0);
            (low as f32 / steps as f32, high as f32 / steps as f32)
        };
        let ends: Vec<(f32, f32)> = (0..colours)
            .map(|channel| {
                ends(if self.keep_hue {
                    Histogram::of(raster.pixels().map(|pixel| luma(&pixel[..colours])), steps)
                } else {
                    Histogram::of(raster.pixels().map(|pixel| pixel[channel]), steps)
                })
            })
            .collect();
        let stretched = raster.map_colours(|pixel| {
            for (v, (low, high)) in pixel.iter_mut().zip(&ends) {
                // A flat channel has nothing to stretch.
                if high > low {
                    *v = (*v - low) / (high - low);
                }
            }
        });
        stretched.into_image()
    }
}

/// Equalises the histogram of a picture, so that every brightness is about as frequent.
#[derive(Node)]
#[node("image.Equalize")]
pub(crate) struct Equalize {
    /// The picture.
    image: Image,
    /// Whether red, green and blue are each equalised on their own, which changes hues; otherwise the Rec. 601 luma is,
    /// and red, green and blue move with it.
    #[node(default = false)]
    per_channel: bool,
}

impl Run for Equalize {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        let raster = Raster::new(&self.image)?;
        let (steps, colours) = (raster.depth.steps(), raster.colours());
        if self.per_channel {
            let curves: Vec<Vec<f32>> = (0..colours)
                .map(|channel| curve(&Histogram::of(raster.pixels().map(|pixel| pixel[channel]), steps)))
                .collect();
            let equal = raster.map_colours(|pixel| {
                pixel.iter_mut().zip(&curves).for_each(|(v, curve)| *v = curve[level(*v, steps)]);
            });
            return equal.into_image();
        }
        let curve = curve(&Histogram::of(raster.pixels().map(|pixel| luma(&pixel[..colours])), steps));
        let equal = raster.map_colours(|pixel| {
            let old = luma(pixel);
            let shift = curve[level(old, steps)] - old;
            pixel.iter_mut().for_each(|v| *v += shift);
        });
        equal.into_image()
    }
}

/// For each level its share of the pixels at or below it, from 0 at the darkest level that occurs to 1.
fn curve(histogram: &Histogram) -> Vec<f32> {
    let first = histogram.counts.iter().copied().find(|count| *count > 0).unwrap_or(0);
    let range = histogram.total - first;
    let steps = (histogram.counts.len() - 1) as f32;
    let mut below = 0;
    let share = |(level, count): (usize, &u64)| {
        below += count;
        // One level alone stays where it is.
        if range == 0 { level as f32 / steps } else { below.saturating_sub(first) as f32 / range as f32 }
    };
    histogram.counts.iter().enumerate().map(share).collect()
}

/// Where black ends and white begins.
#[derive(Debug, Clone, Copy, PartialEq, Choice)]
pub(crate) enum Method {
    /// At the level given.
    Fixed,
    /// Where the two classes differ most.
    Otsu,
}

/// Makes a picture black and white: what is brighter than a level is white.
///
/// Brightness is Rec. 601 luma. The output is a grey picture of 8 bits without alpha, as masks are.
#[derive(Node)]
#[node("image.Threshold")]
pub(crate) struct Threshold {
    /// The picture.
    image: Image,
    /// fixed takes `level`; otsu finds the level that separates the histogram best.
    #[node(default = Method::Fixed)]
    method: Method,
    /// The level, 0 (black) to 1 (white); only for fixed.
    #[node(default = 0.5, min = 0.0, max = 1.0)]
    level: f32,
    /// Whether what is brighter becomes black instead.
    #[node(default = false)]
    invert: bool,
}

/// A mask and the level it was cut at.
#[derive(Outputs)]
pub(crate) struct Cut {
    /// The black and white picture.
    output: Image,
    /// The level, 0 to 1.
    level: f32,
}

impl Run for Threshold {
    type Output = Cut;

    fn run(self, _: &Context) -> Result<Cut> {
        let grey = Raster::new(&self.image)?.luma()?;
        let steps = grey.depth.steps();
        // In whole levels, so that what is stored as equal compares as equal.
        let at = match self.method {
            Method::Fixed => self.level * steps as f32,
            Method::Otsu => Histogram::of(grey.samples.iter().copied(), steps).otsu() as f32,
        };
        let (white, black) = if self.invert { (0.0, 1.0) } else { (1.0, 0.0) };
        let cut = |v: &f32| if level(*v, steps) as f32 > at { white } else { black };
        let mask = Raster { depth: super::raster::Depth::U8, ..grey.with(1, grey.samples.iter().map(cut).collect()) };
        Ok(Cut { output: mask.into_image()?, level: at / steps as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    /// `arange(25) * 37 % 251 // 3 + 40`.
    const DULL: [u8; 25] =
        [40, 52, 64, 77, 89, 101, 114, 42, 55, 67, 79, 92, 104, 116, 45, 57, 70, 82, 94, 107, 119, 48, 60, 72, 85];

    #[test]
    fn auto_contrast_is_pillows() {
        // PIL.ImageOps.autocontrast, which cuts fractions off.
        let all = [
            0, 38, 77, 119, 158, 196, 238, 6, 48, 87, 125, 167, 206, 245, 16, 54, 96, 135, 174, 216, 254, 25, 64, 103,
            145,
        ];
        let clipped = [
            0, 25, 70, 118, 162, 206, 254, 0, 36, 81, 125, 173, 218, 255, 0, 44, 92, 136, 181, 229, 255, 11, 55, 99,
            147,
        ];
        assert!(close(&samples(on::<AutoContrast>(grey(5, &DULL))), &all, 1));
        assert!(close(&samples(on::<AutoContrast>(grey(5, &DULL)).field("cutoff", 10)), &clipped, 1));
        let colours = rgb(2, &[[200, 100, 50], [10, 20, 30], [255, 0, 128], [90, 90, 90]]);
        let apart = [197, 254, 52, 0, 51, 0, 255, 0, 255, 83, 229, 156];
        assert!(close(&samples(on::<AutoContrast>(colours.clone())), &apart, 1));
        // preserve_tone=True, there by a luma in whole levels.
        let together = [255, 197, 76, 0, 4, 28, 255, 0, 255, 173, 173, 173];
        assert!(close(&samples(on::<AutoContrast>(colours).field("keep_hue", true)), &together, 2));
        assert_eq!(samples(on::<AutoContrast>(grey(2, &[7, 7]))), [7, 7]);
        assert!(refusal(on::<AutoContrast>(grey(1, &[0])).field("cutoff", 50)).starts_with("field `cutoff`"));
    }

    #[test]
    fn auto_contrast_uses_all_of_sixteen_bits() {
        let stretched = on::<AutoContrast>(grey16(3, &[1000, 1001, 1004])).run().unwrap();
        assert_eq!(picture(&stretched).into_luma16().into_raw(), [0, 16_384, 65_535]);
    }

    #[test]
    fn equalize_follows_the_cumulative_histogram() {
        // round((cumsum(bincount(v)) - 3) / (9 - 3) * 255)[v]
        let nine = || grey(3, &[10, 10, 10, 20, 20, 30, 40, 50, 50]);
        let expected = [0, 0, 0, 85, 85, 128, 170, 255, 255];
        assert_eq!(samples(on::<Equalize>(nine())), expected);
        assert_eq!(samples(on::<Equalize>(nine()).field("per_channel", true)), expected);
        assert_eq!(samples(on::<Equalize>(grey(2, &[7, 7]))), [7, 7]);
        let coloured = samples(on::<Equalize>(rgba(1, &[[9, 9, 9, 5], [99, 99, 99, 6]])));
        assert_eq!(coloured, [0, 0, 0, 5, 255, 255, 255, 6]);
    }

    #[test]
    fn otsu_is_scikit_images() {
        // skimage.filters.threshold_otsu of the photograph in grey: 100, with 159431 pixels above it.
        let cut = on::<Threshold>(astronaut()).field("method", "otsu").run().unwrap();
        assert!((cut.outputs["level"].as_f64().unwrap() * 255.0 - 100.0).abs() <= 1.0);
        let mask = picture(&cut);
        assert_eq!(mask.color(), image::ColorType::L8);
        let white = mask.as_bytes().iter().filter(|v| **v == 255).count();
        assert!(white.abs_diff(159_431) < 1500, "{white}");
        assert!(mask.as_bytes().iter().all(|v| matches!(v, 0 | 255)));
    }

    #[test]
    fn a_fixed_threshold_is_exclusive() {
        let call = || on::<Threshold>(grey(3, &[127, 128, 200]));
        assert_eq!(samples(call()), [0, 255, 255]);
        assert_eq!(samples(call().field("level", 128.0 / 255.0)), [0, 0, 255]);
        assert_eq!(samples(call().field("invert", true)), [255, 0, 0]);
        assert_eq!(samples(on::<Threshold>(grey16(2, &[32_767, 32_768]))), [0, 255]);
        assert!(refusal(call().field("level", 1.5)).starts_with("field `level`"));
    }
}

//! Masks: grey pictures that say where something acts.

use millwork_worker::prelude::*;

use super::gaussian;
use super::raster::Raster;
use super::steps::Steps;

/// A picture read as a mask: its Rec. 601 luma times its alpha, in one channel.
///
/// # Errors
/// `invalid_input` where the picture is empty or too large.
pub(crate) fn as_mask(image: &Image) -> Result<Raster> {
    // Premultiplied, luma is luma times alpha.
    Raster::new(image)?.premultiplied().luma()
}

/// Adjusts a mask: levels first, then inverted, grown or shrunk, and feathered.
///
/// A picture with colours counts by its Rec. 601 luma times its alpha. The output is grey.
#[derive(Node)]
#[node("image.MaskAdjust")]
pub(crate) struct MaskAdjust {
    /// The mask: white acts, black does not.
    image: Image,
    /// What is this dark (0 to 1) becomes black.
    #[node(default = 0.0, min = 0.0, max = 1.0)]
    black: f32,
    /// What is this bright (0 to 1) becomes white; above `black`.
    #[node(default = 1.0, min = 0.0, max = 1.0)]
    white: f32,
    /// Bends the greys between: above 1 brightens them, below 1 darkens them.
    #[node(default = 1.0, min = 0.01, max = 100.0)]
    gamma: f32,
    /// Whether white and black change places.
    #[node(default = false)]
    invert: bool,
    /// Pixels by which white grows to every side, as a disc; negative shrinks it.
    #[node(default = 0, min = -500, max = 500)]
    grow: i64,
    /// Standard deviation of the blur that softens the edge at the end, in pixels.
    #[node(default = 0.0, min = 0.0, max = 1000.0)]
    feather: f64,
}

impl Run for MaskAdjust {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        if self.black >= self.white {
            return Err(Error::invalid(format!(
                "`black` must be below `white`, got {} and {}",
                self.black, self.white
            )));
        }
        let mut mask = as_mask(&self.image)?.map_colours(|pixel| {
            for v in pixel {
                *v = ((*v - self.black) / (self.white - self.black)).clamp(0.0, 1.0).powf(1.0 / self.gamma);
                *v = if self.invert { 1.0 - *v } else { *v };
            }
        });
        if self.grow != 0 {
            let radius = self.grow.unsigned_abs() as usize;
            // Shrinking white is growing black.
            let negate =
                |mask: Raster| if self.grow < 0 { mask.map_colours(|pixel| pixel[0] = 1.0 - pixel[0]) } else { mask };
            mask = negate(dilate(&negate(mask), radius, cx)?);
        }
        gaussian::blur(&mut mask, self.feather, cx)?;
        mask.into_image()
    }
}

/// The largest sample within a disc around each pixel.
fn dilate(mask: &Raster, radius: usize, cx: &Context) -> Result<Raster> {
    let (width, height) = (mask.width, mask.height);
    let mut out = mask.clone();
    let rows = radius.min(height - 1);
    let mut steps = Steps::new(cx, rows + 1);
    let mut wide = vec![0.0; width];
    for dy in 0..=rows {
        let reach = (radius * radius - dy * dy).isqrt();
        for (y, row) in mask.samples.chunks_exact(width).enumerate() {
            widen(row, reach, &mut wide);
            for target in [y.checked_sub(dy), Some(y + dy).filter(|y| *y < height)].into_iter().flatten() {
                let row = &mut out.samples[target * width..(target + 1) * width];
                row.iter_mut().zip(&wide).for_each(|(v, wide)| *v = v.max(*wide));
            }
        }
        steps.step()?;
    }
    Ok(out)
}

/// The largest sample within `reach` to either side: M. van Herk, "A fast algorithm for local minimum and maximum
/// filters on rectangular and octagonal kernels", 1992. Blocks as long as the window, their running maxima from either end.
fn widen(row: &[f32], reach: usize, out: &mut [f32]) {
    let len = 2 * reach + 1;
    let at = |i: usize| i.checked_sub(reach).and_then(|i| row.get(i)).copied().unwrap_or(f32::NEG_INFINITY);
    let padded = (row.len() + 2 * reach).next_multiple_of(len);
    let mut forward: Vec<f32> = (0..padded).map(at).collect();
    let mut backward = forward.clone();
    for block in forward.chunks_exact_mut(len) {
        (1..len).for_each(|i| block[i] = block[i].max(block[i - 1]));
    }
    for block in backward.chunks_exact_mut(len) {
        (0..len - 1).rev().for_each(|i| block[i] = block[i].max(block[i + 1]));
    }
    for (i, v) in out.iter_mut().enumerate() {
        *v = backward[i].max(forward[i + len - 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn dot() -> bytes::Bytes {
        let mut samples = [0; 49];
        (samples[24], samples[6]) = (255, 100);
        grey(7, &samples)
    }

    #[test]
    fn growing_is_scipys_grey_dilation_with_a_disc() {
        // scipy.ndimage.grey_dilation(z, footprint=x² + y² <= 4)
        let (w, g) = (255, 100);
        let expected = [
            [0, 0, 0, 0, g, g, g],
            [0, 0, 0, w, 0, g, g],
            [0, 0, w, w, w, 0, g],
            [0, w, w, w, w, w, 0],
            [0, 0, w, w, w, 0, 0],
            [0, 0, 0, w, 0, 0, 0],
            [0; 7],
        ];
        assert_eq!(samples(on::<MaskAdjust>(dot()).field("grow", 2)), expected.as_flattened());
        // Shrinking the negative is the negative of growing.
        let shrunk = samples(on::<MaskAdjust>(dot()).field("invert", true).field("grow", -2));
        assert_eq!(shrunk, expected.as_flattened().iter().map(|v| 255 - v).collect::<Vec<_>>());
        assert_eq!(samples(on::<MaskAdjust>(dot()).field("grow", 500)), [255; 49]);
    }

    #[test]
    fn the_photograph_grows_as_in_scipy() {
        // The sum of grey_dilation(Image.convert("L"), footprint=x² + y² <= 25).
        let grown = samples(on::<MaskAdjust>(astronaut()).field("grow", 5));
        let sum: i64 = grown.iter().map(|v| i64::from(*v)).sum();
        assert!((sum - 38_870_515).abs() < 20_000, "{sum}");
    }

    #[test]
    fn levels_bend_and_invert() {
        let call = || on::<MaskAdjust>(grey(4, &[0, 51, 102, 255]));
        assert!(close(&samples(call().field("black", 0.2).field("white", 0.6)), &[0, 0, 128, 255], 1));
        assert_eq!(samples(call().field("gamma", 2)), [0, 114, 161, 255]);
        assert_eq!(samples(call().field("invert", true)), [255, 204, 153, 0]);
        assert_eq!(refusal(call().field("black", 1)), "`black` must be below `white`, got 1 and 1");
        assert!(refusal(call().field("grow", 501)).starts_with("field `grow`"));
    }

    #[test]
    fn alpha_counts_and_feathering_keeps_the_sum() {
        assert_eq!(samples(on::<MaskAdjust>(rgba(1, &[[255, 255, 255, 51]]))), [51]);
        let mut samples_in = [0; 41 * 41];
        samples_in[20 * 41 + 20..20 * 41 + 25].fill(255);
        let soft = samples(on::<MaskAdjust>(grey(41, &samples_in)).field("feather", 1.5));
        let sum: i64 = soft.iter().map(|v| i64::from(*v)).sum();
        assert!((sum - 5 * 255).abs() < 40, "{sum}");
        assert!(soft[20 * 41 + 22] < 255);
    }
}

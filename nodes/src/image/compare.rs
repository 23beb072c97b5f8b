//! How alike two pictures are: PSNR and SSIM.

use millwork_worker::prelude::*;

use super::gaussian;
use super::raster::{Raster, alike, same_size};

/// The window of SSIM: Gaussian, 11×11, sigma 1.5.
const SIGMA: f64 = 1.5;
const RADIUS: usize = 5;

/// Compares two pictures of the same size.
///
/// Samples count from 0 (black) to 1 (white), over all channels, alpha too where either has it.
#[derive(Node)]
#[node("image.Compare")]
pub(crate) struct Compare {
    /// The picture.
    image: Image,
    /// The picture that it is compared with.
    other: Image,
}

/// What the comparison found.
#[derive(Outputs)]
pub(crate) struct Likeness {
    /// Peak signal-to-noise ratio in dB, higher is closer; nothing where the pictures are the same.
    psnr: Option<f64>,
    /// Structural similarity (Wang et al. 2004, Gaussian window 11×11 with sigma 1.5), 1 for the same picture; the mean
    /// over channels and over all windows inside. Nothing where a side is under 11 pixels.
    ssim: Option<f64>,
    /// Mean squared difference.
    mse: f64,
    /// Mean absolute difference.
    mae: f64,
    /// Largest difference.
    max: f64,
    /// Whether every sample is the same.
    identical: bool,
}

impl Run for Compare {
    type Output = Likeness;

    fn run(self, cx: &Context) -> Result<Likeness> {
        let (a, b) = alike(Raster::new(&self.image)?, Raster::new(&self.other)?)?;
        same_size(["image", "other"], &a, &b)?;
        let differences = || a.samples.iter().zip(&b.samples).map(|(a, b)| f64::from((a - b).abs()));
        let count = a.samples.len() as f64;
        let mse = differences().map(|d| d * d).sum::<f64>() / count;
        Ok(Likeness {
            psnr: (mse > 0.0).then(|| -10.0 * mse.log10()),
            ssim: ssim(&a, &b, cx)?,
            mse,
            mae: differences().sum::<f64>() / count,
            max: differences().fold(0.0, f64::max),
            identical: mse == 0.0,
        })
    }
}

/// Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment: from error visibility to structural
/// similarity", 2004, with K1 = 0.01, K2 = 0.03.
fn ssim(a: &Raster, b: &Raster, cx: &Context) -> Result<Option<f64>> {
    if a.width <= 2 * RADIUS || a.height <= 2 * RADIUS {
        return Ok(None);
    }
    let mean = |of: &mut dyn Iterator<Item = f32>| {
        let mut raster = a.with(a.channels, of.collect());
        gaussian::blur_within(&mut raster, SIGMA, RADIUS, cx).map(|()| raster)
    };
    let pairs = || a.samples.iter().zip(&b.samples);
    let (mean_a, mean_b) = (mean(&mut a.samples.iter().copied())?, mean(&mut b.samples.iter().copied())?);
    let (square_a, square_b) =
        (mean(&mut a.samples.iter().map(|a| a * a))?, mean(&mut b.samples.iter().map(|b| b * b))?);
    let product = mean(&mut pairs().map(|(a, b)| a * b))?;
    let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
    let row = a.width * a.channels;
    let inside = RADIUS * a.channels..row - RADIUS * a.channels;
    let mut sum = 0.0;
    for y in RADIUS..a.height - RADIUS {
        cx.check()?;
        for i in inside.clone().map(|x| y * row + x) {
            let of = |raster: &Raster| f64::from(raster.samples[i]);
            let (ma, mb) = (of(&mean_a), of(&mean_b));
            let (va, vb, cov) = (of(&square_a) - ma * ma, of(&square_b) - mb * mb, of(&product) - ma * mb);
            sum += ((2.0 * ma * mb + c1) * (2.0 * cov + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
        }
    }
    Ok(Some(sum / (inside.len() * (a.height - 2 * RADIUS)) as f64))
}

#[cfg(test)]
mod tests {
    use millwork_worker::node::Emitted;

    use super::super::testing::*;
    use super::*;

    fn number(emitted: &Emitted, slot: &str) -> f64 {
        emitted.outputs[slot].as_f64().unwrap()
    }

    #[test]
    fn the_numbers_are_scikit_images() {
        // The photograph against itself in steps of 32: skimage.metrics with gaussian_weights=True, sigma=1.5,
        // use_sample_covariance=False, data_range=255.
        let mut coarse = Image::decode(&astronaut()).unwrap().to_rgb8();
        coarse.iter_mut().for_each(|v| *v = *v / 32 * 32);
        let likeness = on::<Compare>(astronaut()).blob("other", Image::from(coarse).to_png().unwrap()).run().unwrap();
        assert!((number(&likeness, "psnr") - 23.734_044).abs() < 1e-4);
        assert!((number(&likeness, "ssim") - 0.781_056).abs() < 1e-4, "{}", number(&likeness, "ssim"));
        assert!((number(&likeness, "mse") - 0.004_232_487).abs() < 1e-7);
        assert!((number(&likeness, "mae") - 0.051_980_75).abs() < 1e-6);
        assert!((number(&likeness, "max") * 255.0 - 31.0).abs() < 1e-4);
        assert_eq!(likeness.outputs["identical"], Value::Bool(false));
    }

    #[test]
    fn a_picture_is_like_itself() {
        let same = on::<Compare>(astronaut()).blob("other", astronaut()).run().unwrap();
        assert_eq!((&same.outputs["psnr"], &same.outputs["identical"]), (&Value::Nil, &Value::Bool(true)));
        assert!((number(&same, "ssim") - 1.0).abs() < 1e-9);
        let small = on::<Compare>(grey(1, &[0])).blob("other", rgb(1, &[[255; 3]])).run().unwrap();
        assert_eq!((number(&small, "psnr"), &small.outputs["ssim"]), (0.0, &Value::Nil));
        let sizes = refusal(on::<Compare>(grey(1, &[0])).blob("other", grey(2, &[0, 0])));
        assert!(sizes.starts_with("`image` has 1×1 pixels and `other` 2×1"));
    }
}

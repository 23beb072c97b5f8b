//! Finds a small picture in a large one.

use millwork_worker::prelude::*;
use realfft::RealFftPlanner;

use super::raster::{MAX_BYTES, Raster};

/// Finds where a small picture occurs in a larger one.
///
/// Slides the template over the picture and takes the place with the highest zero-mean normalised cross-correlation of
/// their Rec. 601 luma (J. Lewis, "Fast template matching", 1995): brightness and contrast do not matter, size and angle do.
#[derive(Node)]
#[node("image.TemplateMatch")]
pub(crate) struct TemplateMatch {
    /// The picture to search.
    image: Image,
    /// What to find: no larger than the picture, and not of one flat colour.
    template: Image,
}

/// The best place.
#[derive(Outputs)]
pub(crate) struct Match {
    /// Left edge of the place, in pixels from the left.
    x: usize,
    /// Upper edge of the place, in pixels from the top.
    y: usize,
    /// Width of the template.
    width: usize,
    /// Height of the template.
    height: usize,
    /// From -1, the negative of the template, to 1, the template itself.
    score: f64,
}

impl Run for TemplateMatch {
    type Output = Match;

    fn run(self, cx: &Context) -> Result<Match> {
        let picture = Raster::new(&self.image)?.luma()?;
        let template = Raster::new(&self.template)?.luma()?;
        if template.width > picture.width || template.height > picture.height {
            return Err(Error::invalid(format!(
                "the template of {}×{} pixels is larger than the picture of {}×{}",
                template.width, template.height, picture.width, picture.height
            )));
        }
        let area = (template.width * template.height) as f64;
        let mean = template.samples.iter().map(|v| f64::from(*v)).sum::<f64>() / area;
        let energy: f64 = template.samples.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
        if energy / area < 1e-9 {
            return Err(Error::invalid("the template is of one flat colour: there is nothing to find"));
        }
        let products = correlate(&picture, &template, mean, cx)?;
        let window = Integral::new(&picture);
        cx.check()?;
        let mut best = Match { x: 0, y: 0, width: template.width, height: template.height, score: f64::NEG_INFINITY };
        for y in 0..=picture.height - template.height {
            for x in 0..=picture.width - template.width {
                let (sum, squares) = window.sums(x, y, template.width, template.height);
                let spread = squares - sum * sum / area;
                // A flat place is like nothing.
                let flat = spread / area < 1e-9;
                let score = if flat { 0.0 } else { products[y * picture.width + x] / (spread * energy).sqrt() };
                if score > best.score {
                    best = Match { x, y, score: score.clamp(-1.0, 1.0), ..best };
                }
            }
        }
        Ok(best)
    }
}

/// At each place the sum of products with the template less its mean.
///
/// Both lie row behind row in one line as long as the picture: a template that fits never wraps around, so that the
/// correlation of the lines is the correlation of the pictures.
fn correlate(picture: &Raster, template: &Raster, mean: f64, cx: &Context) -> Result<Vec<f64>> {
    let len = picture.samples.len().next_power_of_two();
    // Two lines, two spectra, and the room that the transform works in.
    let bytes = len * size_of::<f64>() * 5;
    if bytes > MAX_BYTES {
        return Err(Error::invalid(format!(
            "searching a picture of {}×{} pixels needs {bytes} bytes, more than {MAX_BYTES}: make both smaller with image.Resize",
            picture.width, picture.height
        )));
    }
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
    let mut line = forward.make_input_vec();
    line.iter_mut().zip(&picture.samples).for_each(|(v, sample)| *v = f64::from(*sample));
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut line, &mut spectrum)?;
    cx.progress(1.0, 3.0);
    cx.check()?;
    line.fill(0.0);
    for (row, samples) in line.chunks_mut(picture.width).zip(template.samples.chunks_exact(template.width)) {
        row.iter_mut().zip(samples).for_each(|(v, sample)| *v = f64::from(*sample) - mean);
    }
    let mut other = forward.make_output_vec();
    forward.process(&mut line, &mut other)?;
    cx.progress(2.0, 3.0);
    cx.check()?;
    spectrum.iter_mut().zip(&other).for_each(|(a, b)| *a *= b.conj());
    // Rounding leaves traces where a real line has none, and the inverse insists.
    if let Some(first) = spectrum.first_mut() {
        first.im = 0.0;
    }
    if let Some(last) = spectrum.last_mut() {
        last.im = 0.0;
    }
    inverse.process(&mut spectrum, &mut line)?;
    cx.progress(3.0, 3.0);
    line.truncate(picture.samples.len());
    line.iter_mut().for_each(|v| *v /= len as f64);
    Ok(line)
}

/// Sums, and sums of squares, of all samples above and to the left of each place.
struct Integral {
    stride: usize,
    sums: Vec<[f64; 2]>,
}

impl Integral {
    fn new(grey: &Raster) -> Self {
        let stride = grey.width + 1;
        let mut sums = vec![[0.0; 2]; stride * (grey.height + 1)];
        for (y, row) in grey.samples.chunks_exact(grey.width).enumerate() {
            let mut so_far = [0.0; 2];
            for (x, v) in row.iter().enumerate() {
                let v = f64::from(*v);
                so_far = [so_far[0] + v, so_far[1] + v * v];
                let above = sums[y * stride + x + 1];
                sums[(y + 1) * stride + x + 1] = [above[0] + so_far[0], above[1] + so_far[1]];
            }
        }
        Self { stride, sums }
    }

    fn sums(&self, x: usize, y: usize, width: usize, height: usize) -> (f64, f64) {
        let at = |x: usize, y: usize| self.sums[y * self.stride + x];
        let [a, b, c, d] = [at(x, y), at(x + width, y), at(x, y + height), at(x + width, y + height)];
        (d[0] - b[0] - c[0] + a[0], d[1] - b[1] - c[1] + a[1])
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::testing::*;
    use super::*;

    fn find(picture: Bytes, template: Bytes) -> (i64, i64, f64) {
        let found = on::<TemplateMatch>(picture).blob("template", template).run().unwrap();
        let number = |slot: &str| found.outputs[slot].as_f64().unwrap();
        (number("x") as i64, number("y") as i64, number("score"))
    }

    #[test]
    fn a_piece_of_the_photograph_is_found_even_when_it_is_paler() {
        let piece = Image::decode(&astronaut()).unwrap().crop_imm(180, 90, 70, 60);
        let (x, y, score) = find(astronaut(), Image(piece.clone()).to_png().unwrap());
        assert_eq!((x, y), (180, 90));
        assert!((score - 1.0).abs() < 1e-4, "{score}");
        let mut pale = piece.to_rgb8();
        pale.iter_mut().for_each(|v| *v = *v / 2 + 60);
        let (x, y, score) = find(astronaut(), Image::from(pale).to_png().unwrap());
        assert_eq!((x, y), (180, 90));
        assert!(score > 0.99, "{score}");
    }

    #[test]
    fn the_score_is_scikit_images() {
        // skimage.feature.match_template: 0.7957 at (1, 0), first of two.
        let a = [
            0, 37, 74, 111, 148, 185, 222, 8, 45, 82, 119, 156, 193, 230, 16, 53, 90, 127, 164, 201, 238, 24, 61, 98,
            135,
        ];
        let (x, y, score) = find(grey(5, &a), grey(2, &[10, 200, 220, 30]));
        assert!((score - 0.7957).abs() < 1e-3 && [(1, 0), (3, 1), (0, 3)].contains(&(x, y)), "{x} {y} {score}");
    }

    #[test]
    fn templates_that_cannot_be_found_are_refused() {
        let with = |template: Bytes| refusal(on::<TemplateMatch>(grey(2, &[1, 2, 3, 4])).blob("template", template));
        assert_eq!(with(grey(3, &[0; 3])), "the template of 3×1 pixels is larger than the picture of 2×2");
        assert!(with(grey(2, &[7; 4])).contains("one flat colour"));
        let whole = || grey(2, &[1, 2, 3, 4]);
        assert!((find(whole(), whole()).2 - 1.0).abs() < 1e-6);
    }
}

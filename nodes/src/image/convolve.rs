//! Convolution with a kernel that the user gives.

use millwork_worker::prelude::*;

use super::raster::{Border, Raster};
use super::steps::Steps;

/// Largest width and height of a kernel.
const MAX_KERNEL: usize = 99;

/// Weighs each pixel's neighbours with a kernel and adds them up.
///
/// The kernel lies on the picture as it is written (correlation, as in Pillow), not mirrored. Alpha is left alone.
#[derive(Node)]
#[node("image.Convolve")]
pub(crate) struct Convolve {
    /// The picture.
    image: Image,
    /// Rows of numbers, all of one length; width and height are odd and at most 99: `[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]`.
    kernel: Vec<Vec<f32>>,
    /// What the sum is divided by; the sum of the kernel, or 1 where that is 0, if it is not given.
    scale: Option<f32>,
    /// Added to the result, where 1 is white: 0.5 shows negative results as dark greys.
    #[node(default = 0.0, min = -1.0, max = 1.0)]
    offset: f32,
    /// What lies beyond the border: constant (black), edge, reflect, symmetric or wrap.
    #[node(default = Border::Edge)]
    border: Border,
}

impl Convolve {
    /// The kernel's rows and columns.
    fn size(&self) -> Result<(usize, usize)> {
        let (rows, columns) = (self.kernel.len(), self.kernel.first().map_or(0, Vec::len));
        if let Some((i, row)) = self.kernel.iter().enumerate().find(|(_, row)| row.len() != columns) {
            return Err(Error::invalid(format!(
                "the kernel's rows must be equally long: the first has {columns} numbers and row {i} has {}",
                row.len()
            )));
        }
        if rows.is_multiple_of(2) || columns.is_multiple_of(2) || rows > MAX_KERNEL || columns > MAX_KERNEL {
            return Err(Error::invalid(format!(
                "the kernel's width and height must be odd and at most {MAX_KERNEL}, got {columns}×{rows}"
            )));
        }
        if self.kernel.iter().flatten().any(|weight| !weight.is_finite()) {
            return Err(Error::invalid("the kernel must hold finite numbers"));
        }
        Ok((rows, columns))
    }
}

impl Run for Convolve {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let (rows, columns) = self.size()?;
        let sum: f32 = self.kernel.iter().flatten().sum();
        let scale = self.scale.unwrap_or(if sum.abs() < 1e-6 { 1.0 } else { sum });
        if !scale.is_finite() || scale == 0.0 {
            return Err(Error::invalid(format!("`scale` divides the sum: it cannot be {scale}")));
        }
        let old = Raster::new(&self.image)?;
        let (channels, colours, row) = (old.channels, old.colours(), old.width * old.channels);
        let mut out = old.clone();
        let mut steps = Steps::new(cx, old.height);
        let mut sums = vec![0.0; row];
        for (y, pixels) in out.samples.chunks_exact_mut(row).enumerate() {
            sums.fill(0.0);
            for (j, weights) in self.kernel.iter().enumerate() {
                let y = y as isize + j as isize - (rows / 2) as isize;
                let Some(y) = self.border.at(y, old.height) else { continue };
                let from = &old.samples[y * row..(y + 1) * row];
                for (i, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
                    self.border.add_shifted(
                        &mut sums,
                        from,
                        channels,
                        i as isize - (columns / 2) as isize,
                        weight / scale,
                    );
                }
            }
            for (pixel, sum) in pixels.chunks_exact_mut(channels).zip(sums.chunks_exact(channels)) {
                pixel[..colours].iter_mut().zip(sum).for_each(|(v, sum)| *v = sum + self.offset);
            }
            steps.step()?;
        }
        out.into_image()
    }
}

impl Border {
    /// Adds `weight` times a row to `sums`, the row moved by `shift` pixels to the left.
    fn add_shifted(self, sums: &mut [f32], row: &[f32], channels: usize, shift: isize, weight: f32) {
        let width = row.len() / channels;
        let inside = |x: usize| (x as isize + shift) >= 0 && (x as isize + shift) < width as isize;
        let start = (0..width).find(|x| inside(*x)).unwrap_or(width);
        let end = (start..width).rev().find(|x| inside(*x)).map_or(start, |x| x + 1);
        if start < end {
            let first = (start as isize + shift) as usize * channels;
            let targets = &mut sums[start * channels..end * channels];
            targets.iter_mut().zip(&row[first..]).for_each(|(sum, v)| *sum += weight * v);
        }
        for x in (0..start).chain(end..width) {
            let Some(from) = self.at(x as isize + shift, width) else { continue };
            for channel in 0..channels {
                sums[x * channels + channel] += weight * row[from * channels + channel];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::*;
    use super::*;

    const SAMPLES: [u8; 25] =
        [0, 37, 74, 111, 148, 185, 222, 8, 45, 82, 119, 156, 193, 230, 16, 53, 90, 127, 164, 201, 238, 24, 61, 98, 135];

    fn kernel(rows: &[&[f64]]) -> Value {
        Value::List(rows.iter().map(|row| Value::List(row.iter().map(|v| Value::Float(*v)).collect())).collect())
    }

    fn lopsided() -> NodeTest {
        let rows: [&[f64]; 3] = [&[1.0, 2.0, 0.0], &[0.0, 3.0, -1.0], &[-2.0, 0.0, 1.0]];
        on::<Convolve>(grey(5, &SAMPLES)).field("kernel", kernel(&rows))
    }

    #[test]
    fn borders_are_scipys() {
        // scipy.ndimage.correlate(a, k / 4, mode="nearest", "mirror", "reflect", "wrap", "constant")
        for (border, expected) in [
            (
                "edge",
                [
                    0, 0, 0, 137, 174, 63, 172, 21, 0, 32, 185, 231, 143, 180, 29, 0, 40, 202, 239, 151, 99, 0, 120,
                    157, 194,
                ],
            ),
            (
                "reflect",
                [
                    83, 76, 0, 87, 124, 54, 172, 21, 0, 95, 176, 231, 143, 180, 0, 110, 40, 202, 239, 151, 199, 66,
                    103, 140, 177,
                ],
            ),
            (
                "symmetric",
                [
                    0, 0, 0, 137, 174, 63, 172, 21, 0, 32, 185, 231, 143, 180, 29, 0, 40, 202, 239, 151, 99, 0, 120,
                    157, 194,
                ],
            ),
            (
                "wrap",
                [
                    158, 0, 0, 127, 227, 151, 172, 21, 0, 32, 85, 231, 143, 180, 0, 19, 40, 202, 239, 214, 185, 80,
                    117, 154, 128,
                ],
            ),
            (
                "constant",
                [
                    46, 0, 0, 63, 89, 122, 172, 21, 0, 48, 165, 231, 143, 180, 0, 83, 40, 202, 239, 167, 199, 61, 107,
                    154, 243,
                ],
            ),
        ] {
            assert!(close(&samples(lopsided().field("border", border)), &expected, 1), "{border}");
        }
        let halved = [
            28, 20, 38, 119, 138, 82, 137, 61, 48, 67, 144, 167, 122, 141, 65, 48, 71, 152, 171, 126, 101, 30, 111,
            129, 148,
        ];
        assert!(close(&samples(lopsided().field("scale", 8).field("offset", 0.2)), &halved, 1));
    }

    #[test]
    fn a_kernel_of_one_changes_nothing_even_when_it_is_wider_than_the_picture() {
        let mut wide = [0.0; 9];
        wide[4] = 2.5;
        let call = on::<Convolve>(rgba(2, &[[1, 2, 3, 4], [5, 6, 7, 8]])).field("kernel", kernel(&[&wide]));
        assert_eq!(samples(call), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn kernels_that_are_none_are_refused() {
        let with = |rows: &[&[f64]]| refusal(on::<Convolve>(grey(1, &[0])).field("kernel", kernel(rows)));
        assert!(with(&[]).contains("got 0×0"));
        assert!(with(&[&[1.0, 1.0]]).contains("got 2×1"));
        assert!(with(&[&[1.0], &[1.0, 2.0], &[1.0]]).contains("row 1 has 2"));
        assert!(with(&[&[0.0; 101]]).contains("at most 99"));
        assert!(with(&[&[f64::NAN]]).contains("finite"));
        assert!(refusal(lopsided().field("scale", 0)).contains("`scale`"));
        assert!(refusal(on::<Convolve>(grey(1, &[0]))).contains("field `kernel` is missing"));
    }
}

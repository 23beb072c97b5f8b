//! The median filter, for any sample depth.
//!
//! T. Huang, G. Yang, G. Tang, "A fast two-dimensional median filtering algorithm", 1979: one histogram slides along
//! each row. Here it has two levels, so that 65,536 values cost little more than 256.

use millwork_worker::prelude::*;

use super::raster::{Depth, Raster};
use super::steps::Steps;

/// Replaces each pixel by the median of its neighbourhood: removes specks and keeps edges.
///
/// Every channel, alpha too, is filtered on its own; the border pixels go on beyond the border.
#[derive(Node)]
#[node("image.Median")]
pub(crate) struct Median {
    /// The picture.
    image: Image,
    /// Pixels to every side that count: 1 is a neighbourhood of 3×3.
    #[node(default = 1, min = 1, max = 100)]
    radius: usize,
}

impl Run for Median {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let old = Raster::new(&self.image)?;
        let scale = if old.depth == Depth::U8 { 255.0 } else { 65_535.0 };
        let levels: Vec<u16> = old.samples.iter().map(|v| (v.clamp(0.0, 1.0) * scale).round() as u16).collect();
        let (width, height, channels, radius) = (old.width, old.height, old.channels, self.radius as isize);
        let at = |x: isize, y: isize, channel: usize| {
            let x = x.clamp(0, width as isize - 1) as usize;
            let y = y.clamp(0, height as isize - 1) as usize;
            levels[(y * width + x) * channels + channel]
        };
        let mut out = old.clone();
        let mut steps = Steps::new(cx, height);
        let mut window = Window::new();
        let middle = (self.radius * 2 + 1).pow(2) / 2;
        for (y, row) in out.samples.chunks_exact_mut(width * channels).enumerate() {
            let rows = y as isize - radius..=y as isize + radius;
            for channel in 0..channels {
                window.clear();
                for x in -radius..=radius {
                    rows.clone().for_each(|y| window.add(at(x, y, channel)));
                }
                for x in 0..width {
                    row[x * channels + channel] = f32::from(window.nth(middle)) / scale;
                    let (leaves, enters) = (x as isize - radius, x as isize + radius + 1);
                    for y in rows.clone() {
                        window.remove(at(leaves, y, channel));
                        window.add(at(enters, y, channel));
                    }
                }
            }
            steps.step()?;
        }
        out.into_image()
    }
}

/// How often each level occurs in the neighbourhood, counted by high byte and in full.
struct Window {
    coarse: Vec<u16>,
    fine: Vec<u16>,
}

impl Window {
    fn new() -> Self {
        Self { coarse: vec![0; 256], fine: vec![0; 65_536] }
    }

    fn clear(&mut self) {
        self.coarse.fill(0);
        self.fine.fill(0);
    }

    fn add(&mut self, level: u16) {
        self.coarse[usize::from(level >> 8)] += 1;
        self.fine[usize::from(level)] += 1;
    }

    fn remove(&mut self, level: u16) {
        self.coarse[usize::from(level >> 8)] -= 1;
        self.fine[usize::from(level)] -= 1;
    }

    /// The level at place `n` in order, from 0.
    fn nth(&self, n: usize) -> u16 {
        let mut before = 0;
        let mut find = |counts: &[u16]| {
            let found = counts.iter().position(|count| {
                let reached = before + usize::from(*count) > n;
                before += if reached { 0 } else { usize::from(*count) };
                reached
            });
            found.unwrap_or(counts.len() - 1)
        };
        let high = find(&self.coarse);
        let low = find(&self.fine[high * 256..(high + 1) * 256]);
        (high * 256 + low) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    const SAMPLES: [u8; 25] =
        [0, 37, 74, 111, 148, 185, 222, 8, 45, 82, 119, 156, 193, 230, 16, 53, 90, 127, 164, 201, 238, 24, 61, 98, 135];

    #[test]
    fn median_is_scipys() {
        // scipy.ndimage.median_filter(a, size=3 and 5, mode="nearest")
        let three = [
            37, 37, 74, 82, 111, 119, 119, 111, 82, 82, 119, 127, 156, 127, 82, 119, 119, 127, 135, 135, 90, 61, 90,
            127, 135,
        ];
        let five = [
            37, 74, 82, 111, 111, 74, 90, 111, 111, 127, 119, 111, 111, 111, 127, 127, 119, 119, 98, 127, 119, 119,
            119, 127, 135,
        ];
        assert_eq!(samples(on::<Median>(grey(5, &SAMPLES))), three);
        assert_eq!(samples(on::<Median>(grey(5, &SAMPLES)).field("radius", 2)), five);
    }

    #[test]
    fn deep_samples_keep_their_low_bits_and_channels_stay_apart() {
        let deep = on::<Median>(grey16(3, &[40_001, 40_003, 12])).run().unwrap();
        assert_eq!(picture(&deep).into_luma16().into_raw(), [40_001, 40_001, 12]);
        assert_eq!(samples(on::<Median>(rgb(1, &[[1, 2, 3]])).field("radius", 100)), [1, 2, 3]);
        assert!(refusal(on::<Median>(grey(1, &[0])).field("radius", 101)).starts_with("field `radius`"));
    }
}

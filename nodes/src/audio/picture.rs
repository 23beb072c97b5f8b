//! A spectrogram as a picture. What is in it is not known here.

use image::{Rgb, RgbImage};
use millwork_worker::prelude::*;
use ndarray::{Array2, s};

/// Most pixels a side.
const MAX_SIDE: usize = 4096;
/// Decibels from the darkest colour to the brightest.
const RANGE_DB: f32 = 80.0;

/// A scale of colours, from weak to strong.
#[derive(Choice, Clone, Copy, PartialEq, Debug)]
pub(super) enum Colours {
    Viridis,
    Gray,
}

impl Colours {
    /// The colour of a value from 0 to 1, mixed of its neighbours on the scale.
    fn at(self, value: f32) -> Rgb<u8> {
        // Ten evenly spaced colours of matplotlib's viridis (Smith and van der Walt, 2015).
        const VIRIDIS: [[u8; 3]; 10] = [
            [0x44, 0x01, 0x54],
            [0x48, 0x28, 0x78],
            [0x3e, 0x49, 0x89],
            [0x31, 0x68, 0x8e],
            [0x26, 0x82, 0x8e],
            [0x1f, 0x9e, 0x89],
            [0x35, 0xb7, 0x79],
            [0x6e, 0xce, 0x58],
            [0xb5, 0xde, 0x2b],
            [0xfd, 0xe7, 0x25],
        ];
        let stops: &[[u8; 3]] = match self {
            Self::Viridis => &VIRIDIS,
            Self::Gray => &[[0; 3], [255; 3]],
        };
        let place = value.clamp(0.0, 1.0) * (stops.len() - 1) as f32;
        let below = (place as usize).min(stops.len() - 2);
        let part = place - below as f32;
        match stops.get(below..below + 2) {
            Some([a, b]) => {
                let mix = |a: u8, b: u8| (f32::from(a) + part * (f32::from(b) - f32::from(a))).round() as u8;
                Rgb([mix(a[0], b[0]), mix(a[1], b[1]), mix(a[2], b[2])])
            }
            _ => Rgb([0; 3]),
        }
    }
}

/// Power `[bins, frames]` as a picture in decibels below its strongest value: frames to the right, bins upwards. Where
/// there are more than 4096 of either, a pixel shows the strongest of those that it stands for.
pub(super) fn picture(power: &Array2<f32>, colours: Colours) -> Result<Image> {
    let (bins, frames) = power.dim();
    let (width, height) = (frames.min(MAX_SIDE), bins.min(MAX_SIDE));
    let strongest = power.iter().copied().fold(0.0, f32::max);
    let part = |i: usize, of: usize, total: usize| i * total / of..(i + 1) * total / of;
    Ok(Image::from(RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let (columns, rows) = (part(x as usize, width, frames), part(height - 1 - y as usize, height, bins));
        let value = power.slice(s![rows, columns]).iter().copied().fold(0.0, f32::max);
        let below = if strongest > 0.0 { 10.0 * (value / strongest).max(1e-20).log10() } else { -RANGE_DB };
        colours.at(1.0 + below / RANGE_DB)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_is_bright_and_low_is_below() {
        let power = ndarray::array![[1.0, 0.0], [1e-4, 1e-8]];
        let image = picture(&power, Colours::Gray).unwrap().to_luma8();
        // −40 dB is half of the range; row 0 of the tensor is the bottom of the picture.
        assert_eq!(image.as_raw(), &[128, 0, 255, 0]);
        let silence = picture(&Array2::zeros((2, 3)), Colours::Viridis).unwrap().to_rgb8();
        assert!(silence.pixels().all(|p| p.0 == [0x44, 0x01, 0x54]));
        assert_eq!(Colours::Viridis.at(1.0).0, [0xfd, 0xe7, 0x25]);
        assert_eq!(Colours::Viridis.at(f32::NAN).0.len(), 3);
        let mut long = Array2::zeros((1, 10_000));
        long[[0, 7777]] = 1.0;
        let image = picture(&long, Colours::Gray).unwrap().to_luma8();
        assert_eq!((image.width(), image.as_raw().iter().filter(|v| **v > 0).count()), (4096, 1));
    }
}

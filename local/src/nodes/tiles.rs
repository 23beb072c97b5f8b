//! A picture in tiles that overlap, and their results as one picture: where two meet, one fades into the other, so that there is
//! no seam.

use millwork_worker::image::RgbImage;
use millwork_worker::prelude::*;
use ndarray::{Array2, Array3, Zip, s};

/// The weight of what nothing else is said of, or something better.
const HARDLY: f32 = 1e-6;

/// The longest side of a tile, in pixels.
const MOST_SIDE: usize = 4096;

/// Where tiles lie. All have one size; the last of a row lies at the edge and overlaps more.
#[derive(Debug)]
pub(super) struct Tiles {
    size: [usize; 2],
    tile: [usize; 2],
    overlap: usize,
    starts: [Vec<usize>; 2],
}

impl Tiles {
    /// Tiles for a picture, width first. A picture smaller than a tile is continued by its edge.
    pub(super) fn new(size: [usize; 2], tile: [usize; 2], overlap: usize) -> Result<Self> {
        if size.contains(&0) || tile.contains(&0) {
            return Err(Error::invalid("`image` is empty"));
        }
        if let Some(side) = tile.iter().find(|side| **side > MOST_SIDE) {
            return Err(Error::invalid(format!(
                "the model wants tiles {side} pixels long: {MOST_SIDE} at most are possible"
            )));
        }
        let overlap = overlap.min(tile[0] / 2).min(tile[1] / 2);
        let starts = [0, 1].map(|axis| starts(size[axis], tile[axis], overlap));
        Ok(Self { size, tile, overlap, starts })
    }

    pub(super) fn count(&self) -> usize {
        self.starts[0].len() * self.starts[1].len()
    }

    /// Their upper left corners, row by row.
    pub(super) fn places(&self) -> impl Iterator<Item = [usize; 2]> + '_ {
        self.starts[1].iter().flat_map(|y| self.starts[0].iter().map(|x| [*x, *y]))
    }

    /// One of them from 0 to 1, `[1, 3, height, width]`.
    pub(super) fn cut(&self, picture: &RgbImage, at: [usize; 2]) -> Result<Tensor> {
        let [width, height] = self.tile;
        let inside = |axis: usize, i: usize| (at[axis] + i).min(self.size[axis] - 1) as u32;
        let mut values = Vec::with_capacity(3 * width * height);
        for channel in 0..3 {
            for y in 0..height {
                let row = (0..width).map(|x| picture.get_pixel(inside(0, x), inside(1, y)).0[channel]);
                values.extend(row.map(|value| f32::from(value) / 255.0));
            }
        }
        Ok(Tensor::from_slice(&[1, 3, height, width], &values)?)
    }
}

fn starts(size: usize, tile: usize, overlap: usize) -> Vec<usize> {
    let last = size.saturating_sub(tile);
    let mut starts: Vec<usize> = (0..last).step_by((tile - overlap).max(1)).collect();
    starts.push(last);
    starts
}

/// What tiles become, so many times as large.
#[derive(Debug)]
pub(super) struct Canvas {
    scale: usize,
    size: [usize; 2],
    /// The sum of what tiles say, by their weights.
    sum: Array3<f32>,
    weights: Array2<f32>,
    tile: [usize; 2],
    /// What two tiles have in common, and what of it at its ends does not count.
    overlap: usize,
    margin: usize,
}

impl Canvas {
    pub(super) fn new(tiles: &Tiles, scale: usize) -> Self {
        let [width, height] = [0, 1].map(|axis| tiles.size[axis] * scale);
        Self {
            scale,
            size: [width, height],
            sum: Array3::zeros((3, height, width)),
            weights: Array2::zeros((height, width)),
            tile: tiles.tile.map(|side| side * scale),
            overlap: tiles.overlap * scale,
            margin: tiles.overlap / 3 * scale,
        }
    }

    /// Adds what a tile at a place became, `[3, height, width]` from 0 to 1.
    pub(super) fn put(&mut self, made: &Array3<f32>, at: [usize; 2]) -> Result<()> {
        let [across, down] = self.tile;
        if made.dim() != (3, down, across) {
            return Err(Error::failed(format!(
                "the model gives {:?} for one tile and another size before",
                made.dim()
            )));
        }
        let [x, y] = at.map(|place| place * self.scale);
        // A tile can be larger than the picture.
        let (width, height) = (across.min(self.size[0] - x), down.min(self.size[1] - y));
        let (rows, columns) = (self.fade(1, y), self.fade(0, x));
        let fade = Array2::from_shape_fn((height, width), |(y, x)| rows[y] * columns[x]);
        let mut sum = self.sum.slice_mut(s![.., y..y + height, x..x + width]);
        for (mut to, from) in sum.outer_iter_mut().zip(made.outer_iter()) {
            Zip::from(&mut to).and(from.slice(s![..height, ..width])).and(&fade).for_each(|to, x, w| *to += x * w);
        }
        let mut weights = self.weights.slice_mut(s![y..y + height, x..x + width]);
        weights += &fade;
        Ok(())
    }

    /// How much a tile that starts here counts along an axis. What a network says of the edge of a tile, where it saw nothing behind,
    /// counts only where no other tile has a say; in the middle third of what two tiles have in common, one fades into the
    /// other. The edge of the picture is none.
    fn fade(&self, axis: usize, start: usize) -> Vec<f32> {
        let (length, end) = (self.tile[axis], start + self.tile[axis]);
        let slope = (self.overlap - 2 * self.margin + 1) as f32;
        let fade = |i: usize| {
            let before = if start == 0 { usize::MAX } else { i + 1 };
            let behind = if end >= self.size[axis] { usize::MAX } else { length - i };
            ((before.min(behind).saturating_sub(self.margin)) as f32 / slope).clamp(HARDLY, 1.0)
        };
        (0..length).map(fade).collect()
    }

    pub(super) fn picture(self) -> Result<RgbImage> {
        let side = |side: usize| u32::try_from(side).map_err(|_| Error::failed("the picture is too large"));
        let (width, height) = (side(self.size[0])?, side(self.size[1])?);
        Ok(RgbImage::from_fn(width, height, |x, y| {
            let (x, y) = (x as usize, y as usize);
            let weight = self.weights[[y, x]].max(f32::MIN_POSITIVE);
            [0, 1, 2].map(|c| ((self.sum[[c, y, x]] / weight).clamp(0.0, 1.0) * 255.0).round() as u8).into()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_picture_and_leave_no_seam() {
        for (size, tile, overlap) in [([100, 70], [32, 32], 8), ([33, 32], [32, 32], 0), ([10, 50], [32, 16], 40)] {
            let picture = RgbImage::from_fn(size[0] as u32, size[1] as u32, |x, y| [x as u8, y as u8, 7].into());
            let tiles = Tiles::new(size, tile, overlap).unwrap();
            let mut canvas = Canvas::new(&tiles, 2);
            for at in tiles.places() {
                let cut = tiles.cut(&picture, at).unwrap().to_array_f32().unwrap();
                let large = Array3::from_shape_fn((3, 2 * tile[1], 2 * tile[0]), |(c, y, x)| cut[[0, c, y / 2, x / 2]]);
                canvas.put(&large, at).unwrap();
            }
            let large = canvas.picture().unwrap();
            for (x, y, pixel) in large.enumerate_pixels() {
                assert_eq!(pixel, picture.get_pixel(x / 2, y / 2), "{size:?} {x} {y}");
            }
        }
        assert_eq!(starts(100, 32, 8), [0, 24, 48, 68]);
        assert_eq!(starts(32, 32, 8), [0]);
    }
}

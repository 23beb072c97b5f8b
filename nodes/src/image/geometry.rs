//! Pixels moved, not mixed: crop, flip and pad.

use millwork_worker::prelude::*;

use super::colour::Colour;
use super::raster::{Border, Raster, check_size};

/// Cuts a rectangle out of a picture.
#[derive(Node)]
#[node("image.Crop")]
pub(crate) struct Crop {
    /// The picture.
    image: Image,
    /// Left edge of the rectangle, in pixels from the left.
    #[node(default = 0)]
    x: u32,
    /// Upper edge of the rectangle, in pixels from the top.
    #[node(default = 0)]
    y: u32,
    /// Width of the rectangle; as far as the picture goes where it is not given.
    #[node(min = 1)]
    width: Option<u32>,
    /// Height of the rectangle; as far as the picture goes where it is not given.
    #[node(min = 1)]
    height: Option<u32>,
}

impl Run for Crop {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        let (has_width, has_height) = (self.image.width(), self.image.height());
        let width = self.width.unwrap_or(has_width.saturating_sub(self.x));
        let height = self.height.unwrap_or(has_height.saturating_sub(self.y));
        let inside = |start: u32, len: u32, of: u32| len > 0 && start.checked_add(len).is_some_and(|end| end <= of);
        if !inside(self.x, width, has_width) || !inside(self.y, height, has_height) {
            return Err(Error::invalid(format!(
                "the rectangle of {width}×{height} pixels at ({}, {}) is not inside the picture of {has_width}×{has_height}",
                self.x, self.y
            )));
        }
        Ok(Image(self.image.crop_imm(self.x, self.y, width, height)))
    }
}

/// A way to flip.
#[derive(Debug, Clone, Copy, Choice)]
pub(crate) enum Direction {
    /// Left and right change places.
    Horizontal,
    /// Top and bottom change places.
    Vertical,
    /// Both: half a turn.
    Both,
}

/// Mirrors a picture.
#[derive(Node)]
#[node("image.Flip")]
pub(crate) struct Flip {
    /// The picture.
    image: Image,
    /// horizontal swaps left and right, vertical swaps top and bottom.
    #[node(default = Direction::Horizontal)]
    direction: Direction,
}

impl Run for Flip {
    type Output = Image;

    fn run(self, _: &Context) -> Result<Image> {
        Ok(Image(match self.direction {
            Direction::Horizontal => self.image.fliph(),
            Direction::Vertical => self.image.flipv(),
            Direction::Both => self.image.rotate180(),
        }))
    }
}

/// Adds a margin around a picture.
#[derive(Node)]
#[node("image.Pad")]
pub(crate) struct Pad {
    /// The picture.
    image: Image,
    /// Pixels added on the left.
    #[node(default = 0, max = 32768)]
    left: usize,
    /// Pixels added at the top.
    #[node(default = 0, max = 32768)]
    top: usize,
    /// Pixels added on the right.
    #[node(default = 0, max = 32768)]
    right: usize,
    /// Pixels added at the bottom.
    #[node(default = 0, max = 32768)]
    bottom: usize,
    /// What the margin shows: a constant colour, the edge pixels drawn out, the picture reflected (without its border),
    /// symmetric (with it), or wrapped around.
    #[node(default = Border::Constant)]
    mode: Border,
    /// The constant colour; one that is not opaque adds an alpha channel.
    #[node(default = Colour::BLACK)]
    colour: Colour,
}

impl Run for Pad {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let mut old = Raster::new(&self.image)?;
        if self.mode == Border::Constant && !self.colour.is_opaque() {
            old = old.with_alpha()?;
        }
        let (width, height) = (old.width + self.left + self.right, old.height + self.top + self.bottom);
        check_size(width, height, old.channels)?;
        let fill = self.colour.pixel(old.channels);
        let columns: Vec<_> = (0..width).map(|x| self.mode.at(x as isize - self.left as isize, old.width)).collect();
        let mut samples = Vec::with_capacity(width * height * old.channels);
        for y in 0..height {
            cx.check()?;
            let row = self.mode.at(y as isize - self.top as isize, old.height);
            for column in &columns {
                match (column, row) {
                    (Some(x), Some(y)) => samples.extend_from_slice(old.pixel(*x, y)),
                    _ => samples.extend_from_slice(&fill),
                }
            }
        }
        Raster { width, height, samples, ..old }.into_image()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn crop_takes_the_rectangle_and_nothing_outside() {
        let nine = || grey(3, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(samples(on::<Crop>(nine()).field("x", 1).field("y", 1)), [5, 6, 8, 9]);
        assert_eq!(samples(on::<Crop>(nine()).field("x", 1).field("width", 1).field("height", 2)), [2, 5]);
        let message = refusal(on::<Crop>(nine()).field("x", 2).field("width", 2));
        assert_eq!(message, "the rectangle of 2×3 pixels at (2, 0) is not inside the picture of 3×3");
        assert!(refusal(on::<Crop>(nine()).field("y", 3)).contains("3×0"));
        assert!(refusal(on::<Crop>(nine()).field("x", u32::MAX).field("width", 2)).contains("not inside"));
    }

    #[test]
    fn flips_undo_themselves() {
        let four = || grey(2, &[1, 2, 3, 4]);
        for (direction, expected) in [("horizontal", [2, 1, 4, 3]), ("vertical", [3, 4, 1, 2]), ("both", [4, 3, 2, 1])]
        {
            let once = on::<Flip>(four()).field("direction", direction).run().unwrap();
            assert_eq!(picture(&once).as_bytes(), expected);
            let twice = on::<Flip>(once.blobs["output"].clone()).field("direction", direction);
            assert_eq!(samples(twice), [1, 2, 3, 4]);
        }
    }

    #[test]
    fn pad_is_numpys() {
        // np.pad([[1, 2, 3]], ((0, 0), (2, 4)), mode)
        for (mode, expected) in [
            ("edge", [1, 1, 1, 2, 3, 3, 3, 3, 3]),
            ("reflect", [3, 2, 1, 2, 3, 2, 1, 2, 3]),
            ("symmetric", [2, 1, 1, 2, 3, 3, 2, 1, 1]),
            ("wrap", [2, 3, 1, 2, 3, 1, 2, 3, 1]),
            ("constant", [0, 0, 1, 2, 3, 0, 0, 0, 0]),
        ] {
            let call = on::<Pad>(grey(3, &[1, 2, 3])).field("left", 2).field("right", 4).field("mode", mode);
            assert_eq!(samples(call), expected, "{mode}");
        }
    }

    #[test]
    fn a_transparent_margin_adds_alpha() {
        let call = || on::<Pad>(rgb(1, &[[1, 2, 3]])).field("top", 1);
        assert_eq!(samples(call().field("colour", "#ff000080")), [255, 0, 0, 128, 1, 2, 3, 255]);
        assert_eq!(samples(call().field("colour", "white")), [255, 255, 255, 1, 2, 3]);
        assert!(refusal(call().field("colour", "blau")).starts_with("field `colour`: expected a colour"));
        assert!(refusal(call().field("bottom", 32_768)).contains("over 32768 a side"));
    }
}

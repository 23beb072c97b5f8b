//! Two pictures made one: blended as a whole, or one laid over the other.
//!
//! Formulas: W3C, "Compositing and Blending Level 1", on samples as stored.

use millwork_worker::prelude::*;

use super::mask::as_mask;
use super::raster::{Raster, alike, same_size};

/// How an upper colour acts on the one below it; both are 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Choice)]
pub(crate) enum Mode {
    /// The upper colour.
    Normal,
    /// The product: never brighter.
    Multiply,
    /// The product of the negatives: never darker.
    Screen,
    /// Multiply where below is dark, screen where it is bright.
    Overlay,
    /// The darker of both.
    Darken,
    /// The brighter of both.
    Lighten,
    /// Brightens below to show above.
    ColorDodge,
    /// Darkens below to show above.
    ColorBurn,
    /// Multiply where above is dark, screen where it is bright.
    HardLight,
    /// A gentler hard light.
    SoftLight,
    /// The distance of both.
    Difference,
    /// A gentler difference.
    Exclusion,
    /// The sum.
    Add,
    /// Below less above.
    Subtract,
}

impl Mode {
    fn mix(self, below: f32, above: f32) -> f32 {
        match self {
            Mode::Normal => above,
            Mode::Multiply => below * above,
            Mode::Screen => below + above - below * above,
            Mode::Overlay => Mode::HardLight.mix(above, below),
            Mode::Darken => below.min(above),
            Mode::Lighten => below.max(above),
            Mode::ColorDodge if below <= 0.0 => 0.0,
            Mode::ColorDodge if above >= 1.0 => 1.0,
            Mode::ColorDodge => (below / (1.0 - above)).min(1.0),
            Mode::ColorBurn if below >= 1.0 => 1.0,
            Mode::ColorBurn if above <= 0.0 => 0.0,
            Mode::ColorBurn => 1.0 - ((1.0 - below) / above).min(1.0),
            Mode::HardLight if above <= 0.5 => 2.0 * below * above,
            Mode::HardLight => Mode::Screen.mix(below, 2.0 * above - 1.0),
            Mode::SoftLight if above <= 0.5 => below - (1.0 - 2.0 * above) * below * (1.0 - below),
            Mode::SoftLight => {
                let curve =
                    if below <= 0.25 { ((16.0 * below - 12.0) * below + 4.0) * below } else { below.max(0.0).sqrt() };
                below + (2.0 * above - 1.0) * (curve - below)
            }
            Mode::Difference => (below - above).abs(),
            Mode::Exclusion => below + above - 2.0 * below * above,
            Mode::Add => (below + above).min(1.0),
            Mode::Subtract => (below - above).max(0.0),
        }
    }

    /// Puts a pixel over another, whose alpha both have or have not; `strength` comes on top of the upper alpha.
    fn put(self, below: &mut [f32], above: &[f32], colours: usize, strength: f32) {
        let has_alpha = colours < below.len();
        let (alpha_below, alpha_above) =
            if has_alpha { (below[colours], above[colours] * strength) } else { (1.0, strength) };
        let alpha = alpha_above + alpha_below * (1.0 - alpha_above);
        for (b, a) in below[..colours].iter_mut().zip(above) {
            let mixed = (1.0 - alpha_below) * a + alpha_below * self.mix(*b, *a);
            let sum = alpha_above * mixed + (1.0 - alpha_above) * alpha_below * *b;
            *b = if alpha > 0.0 { sum / alpha } else { 0.0 };
        }
        if has_alpha {
            below[colours] = alpha;
        }
    }
}

/// Blends two pictures of the same size.
///
/// Colours are mixed on samples as stored by the formulas of W3C Compositing and Blending Level 1. The output has colour,
/// alpha and depth where either picture has.
#[derive(Node)]
#[node("image.Blend")]
pub(crate) struct Blend {
    /// The picture below.
    image: Image,
    /// The picture above.
    other: Image,
    /// How much of the upper picture shows: 0 is none, 1 all.
    #[node(default = 0.5, min = 0.0, max = 1.0)]
    alpha: f32,
    /// How the upper colours act on the lower ones.
    #[node(default = Mode::Normal)]
    mode: Mode,
}

impl Run for Blend {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let (mut below, above) = alike(Raster::new(&self.image)?, Raster::new(&self.other)?)?;
        same_size(["image", "other"], &below, &above)?;
        cx.check()?;
        let colours = below.colours();
        for (pixel, above) in below.samples.chunks_exact_mut(below.channels).zip(above.pixels()) {
            self.mode.put(pixel, above, colours, self.alpha);
        }
        below.into_image()
    }
}

/// Lays one picture over another at a position; what hangs over the border is cut.
///
/// The output has the size, channels and depth of the picture below, and colour where the overlay brings it.
#[derive(Node)]
#[node("image.Composite")]
pub(crate) struct Composite {
    /// The picture below.
    image: Image,
    /// The picture on top; its alpha counts.
    overlay: Image,
    /// Where the overlay shows: white all of it, black nothing. As large as the overlay.
    mask: Option<Image>,
    /// Left edge of the overlay, in pixels from the left of the picture below; may be negative.
    #[node(default = 0, min = -1_000_000, max = 1_000_000)]
    x: i64,
    /// Upper edge of the overlay, in pixels from the top; may be negative.
    #[node(default = 0, min = -1_000_000, max = 1_000_000)]
    y: i64,
    /// How much the overlay covers, 0 to 1, on top of its alpha and the mask.
    #[node(default = 1.0, min = 0.0, max = 1.0)]
    opacity: f32,
    /// How the overlay's colours act on the ones below.
    #[node(default = Mode::Normal)]
    mode: Mode,
}

impl Run for Composite {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let below = Raster::new(&self.image)?;
        let (depth, keeps_alpha) = (below.depth, below.has_alpha());
        let mask = self.mask.as_ref().map(as_mask).transpose()?;
        let (mut below, above) = alike(below, Raster::new(&self.overlay)?)?;
        if let Some(mask) = &mask {
            same_size(["mask", "overlay"], mask, &above)?;
        }
        let colours = below.colours();
        for y in 0..below.height {
            cx.check()?;
            let Some(from_y) = within(y, self.y, above.height) else { continue };
            for x in 0..below.width {
                let Some(from_x) = within(x, self.x, above.width) else { continue };
                let strength = self.opacity * mask.as_ref().map_or(1.0, |mask| mask.pixel(from_x, from_y)[0]);
                let start = (y * below.width + x) * below.channels;
                let pixel = &mut below.samples[start..start + below.channels];
                self.mode.put(pixel, above.pixel(from_x, from_y), colours, strength);
            }
        }
        below.depth = depth;
        // An opaque picture stays opaque whatever lies on it.
        if keeps_alpha { below.into_image() } else { below.with_channels(colours)?.into_image() }
    }
}

/// Where position `at` below lies in an overlay of `len` pixels that begins at `start`.
fn within(at: usize, start: i64, len: usize) -> Option<usize> {
    usize::try_from(at as i64 - start).ok().filter(|i| *i < len)
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::*;
    use super::*;

    fn blend(below: bytes::Bytes, above: bytes::Bytes) -> NodeTest {
        on::<Blend>(below).blob("other", above)
    }

    #[test]
    fn normal_is_the_weighted_mean() {
        // PIL.Image.blend(a, b, 0.25)
        let call = blend(rgb(1, &[[0, 100, 200]]), rgb(1, &[[100, 100, 0]])).field("alpha", 0.25);
        assert_eq!(samples(call), [25, 100, 150]);
        // Grey and opaque below, colour and half transparent above: Image.alpha_composite gives 150, 100, 50.
        let call = blend(grey(1, &[100]), rgba(1, &[[200, 100, 0, 128]])).field("alpha", 1);
        assert_eq!(samples(call), [150, 100, 50, 255]);
        let two_thirds = blend(rgba(1, &[[255, 0, 0, 128]]), rgba(1, &[[0, 0, 255, 128]])).field("alpha", 1);
        assert_eq!(samples(two_thirds), [85, 0, 170, 192]);
        let nothing = blend(rgba(1, &[[9, 9, 9, 0]]), rgba(1, &[[9, 9, 9, 0]]));
        assert_eq!(samples(nothing), [0, 0, 0, 0]);
    }

    #[test]
    fn modes_follow_the_w3c() {
        // Below 51 and 204 (0.2 and 0.8), above 153 (0.6): by hand.
        for (mode, expected) in [
            ("normal", [153, 153]),
            ("multiply", [31, 122]),
            ("screen", [173, 235]),
            ("overlay", [61, 214]),
            ("darken", [51, 153]),
            ("lighten", [153, 204]),
            ("color_dodge", [128, 255]),
            ("color_burn", [0, 170]),
            ("hard_light", [92, 214]),
            ("soft_light", [64, 209]),
            ("difference", [102, 51]),
            ("exclusion", [143, 112]),
            ("add", [204, 255]),
            ("subtract", [0, 51]),
        ] {
            let call = blend(grey(2, &[51, 204]), grey(2, &[153, 153])).field("alpha", 1).field("mode", mode);
            assert!(close(&samples(call), &expected, 1), "{mode}");
        }
    }

    #[test]
    fn pictures_of_two_sizes_are_refused() {
        let message = refusal(blend(grey(2, &[0, 0]), grey(1, &[0])));
        assert!(message.starts_with("`image` has 2×1 pixels and `other` 1×1"), "{message}");
    }

    #[test]
    fn composite_lays_the_overlay_where_it_is_told() {
        let below = || grey(3, &[0; 9]);
        let lay = |x: i64, y: i64| {
            samples(on::<Composite>(below()).blob("overlay", grey(2, &[10, 20, 30, 40])).field("x", x).field("y", y))
        };
        assert_eq!(lay(1, 1), [0, 0, 0, 0, 10, 20, 0, 30, 40]);
        assert_eq!(lay(-1, -1), [40, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(lay(2, 0), [0, 0, 10, 0, 0, 30, 0, 0, 0]);
        assert_eq!(lay(-1000, 3), [0; 9]);
    }

    #[test]
    fn composite_heeds_mask_alpha_and_opacity() {
        let call = on::<Composite>(grey(2, &[0, 0])).blob("overlay", grey(2, &[200, 200]));
        assert_eq!(samples(call.blob("mask", grey(2, &[255, 51])).field("opacity", 0.5)), [100, 20]);
        let red = rgba(2, &[[255, 0, 0, 255], [255, 0, 0, 51]]);
        let call = on::<Composite>(rgb(2, &[[0, 0, 255]; 2])).blob("overlay", red);
        assert_eq!(samples(call), [255, 0, 0, 51, 0, 204]);
        let call = on::<Composite>(grey(1, &[0])).blob("overlay", grey(1, &[0])).blob("mask", grey(2, &[0, 0]));
        assert!(refusal(call).starts_with("`mask` has 2×1 pixels and `overlay` 1×1"));
    }
}

//! `image.Upscale`: larger pictures, by a filter or by a network of ESRGAN's kind (Wang et al. 2018). Networks see a picture tile
//! by tile; `tiles` puts those together.

use indexmap::IndexMap;
use millwork_worker::image::imageops;
use millwork_worker::image::{DynamicImage, RgbImage};
use millwork_worker::onnx::Dim;
use millwork_worker::prelude::*;

use super::planes;
use super::tiles::{Canvas, Tiles};
use super::weights::Weights;
use crate::pace::Pace;

/// What a picture can have at most when it is done, in pixels: 16 bytes each are worked on.
const MOST_PIXELS: usize = 64_000_000;
/// How many times as wide a network makes a picture at most.
const MOST_SCALE: usize = 16;

/// Makes a picture larger: with a network of ESRGAN's kind, or without one with a Lanczos filter.
#[derive(Node)]
#[node("image.Upscale", idempotent)]
pub(super) struct Upscale {
    /// The picture.
    image: Image,
    /// How many times as wide and as high; left out, as the network makes it, and 2 without one.
    #[node(min = 1.0, max = 16.0)]
    factor: Option<f64>,
    /// A network (Real-ESRGAN and its like) as ONNX.
    #[node(model = "hf.image_to_image")]
    model: Option<ModelRef>,
    /// Side of the tiles that the network sees, in pixels, where it leaves that open.
    #[node(default = 192, min = 32, max = 1024)]
    tile: usize,
    /// Pixels that neighbouring tiles have in common.
    #[node(default = 16, min = 0, max = 128)]
    overlap: usize,
}

impl Run for Upscale {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let Some(model) = &self.model else { return millwork_nodes::enlarge(&self.image, self.factor.unwrap_or(2.0)) };
        let weights = Weights::load(model, cx)?;
        let large = self.through(&weights, cx)?;
        let large = with_alpha(&self.image, large);
        let Some(factor) = self.factor else { return Ok(large) };
        let side = |side: u32| ((f64::from(side) * factor).round() as u32).max(1);
        let (width, height) = (side(self.image.width()), side(self.image.height()));
        if (large.width(), large.height()) == (width, height) {
            return Ok(large);
        }
        Ok(Image(large.resize_exact(width, height, imageops::FilterType::Lanczos3)))
    }
}

impl Upscale {
    /// The colours of the picture, as large as the network makes them.
    fn through(&self, weights: &Weights, cx: &Context) -> Result<RgbImage> {
        let info = weights.info();
        let unfit = || Error::invalid(format!("field `model`: {} takes no [1, 3, height, width] alone", info.name));
        let [input] = info.inputs.as_slice() else { return Err(unfit()) };
        let Some([_, Dim::Fixed(3) | Dim::Symbol(_) | Dim::Unknown, height, width]) = input.shape.as_deref() else {
            return Err(unfit());
        };
        let picture = self.image.to_rgb8();
        let side = |dim: &Dim, own: u32| match dim {
            Dim::Fixed(side) => *side,
            _ => self.tile.min(own as usize),
        };
        let tile = [side(width, picture.width()), side(height, picture.height())];
        let size = [picture.width() as usize, picture.height() as usize];
        let tiles = Tiles::new(size, tile, self.overlap)?;
        let mut canvas: Option<Canvas> = None;
        let pace = Pace::start();
        for (done, at) in tiles.places().enumerate() {
            cx.check()?;
            let tensor = tiles.cut(&picture, at)?.cast(input.dtype.unwrap_or(DType::F32))?;
            let made = planes::first(weights.run(IndexMap::from([(input.name.clone(), tensor)]))?)?;
            let canvas = match &mut canvas {
                Some(canvas) => canvas,
                None => {
                    let scale = scale(made.dim(), tile)?;
                    if size[0] * size[1] * scale * scale > MOST_PIXELS {
                        let text = format!("{}×{} pixels", size[0] * scale, size[1] * scale);
                        return Err(Error::invalid(format!("`image` would have {text}, over {MOST_PIXELS} in all")));
                    }
                    canvas.insert(Canvas::new(&tiles, scale))
                }
            };
            canvas.put(&made, at)?;
            pace.report(cx, done + 1, tiles.count(), "upscaling");
        }
        canvas.ok_or_else(|| Error::invalid("`image` is empty"))?.picture()
    }
}

/// How many times as large the planes are as the tile.
fn scale((channels, height, width): (usize, usize, usize), tile: [usize; 2]) -> Result<usize> {
    let scale = width / tile[0];
    if channels == 3 && (1..=MOST_SCALE).contains(&scale) && [tile[0] * scale, tile[1] * scale] == [width, height] {
        return Ok(scale);
    }
    let text = format!("gives [{channels}, {height}, {width}] for {}×{} pixels", tile[0], tile[1]);
    Err(Error::invalid(format!("field `model`: it {text}: no whole multiple in three colours")))
}

/// The transparency of a picture on a larger one of its colours.
fn with_alpha(picture: &Image, large: RgbImage) -> Image {
    if !picture.color().has_alpha() {
        return Image::from(large);
    }
    let (width, height) = large.dimensions();
    let alpha = DynamicImage::from(picture.to_rgba8()).resize_exact(width, height, imageops::FilterType::Lanczos3);
    let alpha = alpha.to_rgba8();
    let mut out = DynamicImage::from(large).to_rgba8();
    out.pixels_mut().zip(alpha.pixels()).for_each(|(to, from)| to.0[3] = from.0[3]);
    Image::from(out)
}

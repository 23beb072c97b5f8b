//! `image.Depth`: how far away what a picture shows is, by networks of the kind of MiDaS (Ranftl et al. 2020) and Depth Anything.

use indexmap::IndexMap;
use millwork_nodes::pixels::{Fit, Format, Wish};
use millwork_worker::prelude::*;
use ndarray::Axis;

use super::planes;
use super::weights::{IMAGENET, Weights};

/// The side of a network's pictures where neither it nor the files beside it say: a multiple of 14 and of 2.
const SIDE: usize = 518;

/// Tells how far away what a picture shows is.
#[derive(Node)]
#[node("image.Depth", idempotent)]
pub(super) struct Depth {
    /// The picture.
    image: Image,
    /// A network for depth (MiDaS, DPT, Depth Anything) as ONNX.
    #[node(model = "hf.depth_estimation")]
    model: ModelRef,
    /// Bright is far and not near. Networks for metres want that as well as not.
    #[node(default)]
    invert: bool,
}

#[derive(Outputs)]
pub(super) struct Deep {
    /// What the network says from its least to its greatest value, as large as the picture, in 16 bits of grey.
    image: Image,
    /// What the network says, [height, width] of its own size: nearness up to scale and shift for most, metres for some.
    depth: Tensor,
}

impl Run for Depth {
    type Output = Deep;

    fn run(self, cx: &Context) -> Result<Deep> {
        let weights = Weights::load(&self.model, cx)?;
        let input = super::only_input(weights.info())?;
        let wish = Wish { channels: Some(3), size: super::open_size(input, &weights), ..Wish::default() };
        let format = Format::of(input, &wish, Some(SIDE))?;
        let (tensor, _) = format.prepare(&self.image, &weights.preparation(Fit::Stretch, IMAGENET))?;
        cx.check()?;
        let planes = planes::first(weights.run(IndexMap::from([(input.name.clone(), tensor)]))?)?;
        let depth = planes.index_axis(Axis(0), 0).to_owned();
        let mut shown = planes::stretched(&depth);
        if self.invert {
            shown.mapv_inplace(|x| 1.0 - x);
        }
        let image = planes::fine_gray(&shown, self.image.width(), self.image.height())?;
        Ok(Deep { image, depth: Tensor::from_array(depth.into_dyn()) })
    }
}

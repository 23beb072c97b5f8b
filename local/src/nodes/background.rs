//! `image.RemoveBackground`: what stands in front, cut out. Networks are those of U²-Net's kind (Qin et al. 2020): a picture in,
//! how much each pixel stands in front out.

use indexmap::IndexMap;
use millwork_nodes::pixels::{Filter, Fit, Format, Preparation, Scaling, Wish};
use millwork_worker::prelude::*;
use ndarray::Axis;

use super::planes;
use super::weights::{IMAGENET, Weights};

/// The side of U²-Net's pictures.
const SIDE: usize = 320;

/// Cuts out what stands in front: everything else becomes transparent.
#[derive(Node)]
#[node("image.RemoveBackground", idempotent)]
pub(super) struct RemoveBackground {
    /// The picture.
    image: Image,
    /// A network of U²-Net's kind (u2net, u2netp, silueta, isnet) as ONNX.
    #[node(model = "hf.image_segmentation")]
    model: ModelRef,
    /// What each channel has on average, from 0 to 1.
    #[node(default = IMAGENET.0.to_vec())]
    mean: Vec<f32>,
    /// How far each channel is from that.
    #[node(default = IMAGENET.1.to_vec())]
    std: Vec<f32>,
}

#[derive(Outputs)]
pub(super) struct CutOut {
    /// The picture with transparency.
    image: Image,
    /// How much each pixel stands in front.
    mask: Image,
}

impl Run for RemoveBackground {
    type Output = CutOut;

    fn run(self, cx: &Context) -> Result<CutOut> {
        let weights = Weights::load(&self.model, cx)?;
        let [input] = weights.info().inputs.as_slice() else {
            let count = weights.info().inputs.len();
            return Err(Error::invalid(format!("field `model`: it has {count} inputs, and such a network has one")));
        };
        let format = Format::of(input, &Wish { channels: Some(3), ..Wish::default() }, Some(SIDE))?;
        // The brightest value counts as 1, as these networks were trained.
        let most = self.image.to_rgb8().into_raw().into_iter().max().unwrap_or(0).max(1);
        let scaling = Scaling { scale: 1.0 / f32::from(most), mean: self.mean, std: self.std, invert: false };
        let how = Preparation { fit: Fit::Stretch, filter: Filter::Lanczos, pad: 0.0, bgr: false, scaling };
        let (tensor, _) = format.prepare(&self.image, &how)?;
        cx.check()?;
        let planes = planes::first(weights.run(IndexMap::from([(input.name.clone(), tensor)]))?)?;
        let front = planes::stretched(&planes.index_axis(Axis(0), 0).to_owned());
        let mask = planes::gray(&front, self.image.width(), self.image.height())?;
        let mut image = self.image.to_rgba8();
        for (pixel, front) in image.pixels_mut().zip(mask.pixels()) {
            // What was transparent stays so.
            pixel.0[3] = ((u16::from(pixel.0[3]) * u16::from(front.0[0]) + 127) / 255) as u8;
        }
        Ok(CutOut { image: Image::from(image), mask: Image::from(mask) })
    }
}

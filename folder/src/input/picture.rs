//! Pictures as inputs of models: what of a manifest's words is for them, held to the model's shape.

use millwork_nodes::pixels::{Axes, Filter, Fit, Format, Placement, Preparation, Scaling, Wish};
use millwork_package::Kind;
use millwork_package::manifest::{self, Channels, Input, Layout};
use millwork_worker::convert::Tensor;
use millwork_worker::onnx::{Dim, ValueInfo};
use millwork_worker::{Error, Result};
use toml::Spanned;

use crate::check::Check;
use crate::value::Datum;

/// How a picture becomes a tensor.
#[derive(Debug)]
pub(crate) struct Picture {
    wish: Wish,
    how: Preparation,
}

/// Whether anything is said that is for pictures only.
pub(crate) fn has_options(input: &Input) -> bool {
    let Input { size, fit, pad, filter, channels, scale, mean, std, invert, layout, .. } = input;
    size.is_some()
        || fit.is_some()
        || pad.is_some()
        || filter.is_some()
        || channels.is_some()
        || scale.is_some()
        || mean.is_some()
        || std.is_some()
        || *invert
        || layout.is_some()
}

pub(crate) fn axes(layout: Layout) -> Axes {
    match layout {
        Layout::Nchw => Axes::NCHW,
        Layout::Nhwc => Axes::NHWC,
        Layout::Chw => Axes::CHW,
        Layout::Hwc => Axes::HWC,
        Layout::Nhw => Axes::NHW,
        Layout::Hw => Axes::HW,
        Layout::Flat => Axes::FLAT,
    }
}

impl Picture {
    pub(crate) fn new(check: &mut Check<'_>, input: &Input, info: &ValueInfo) -> Option<Self> {
        let channels = input.channels.as_ref().map(|channels| *channels.as_ref());
        let wish = Wish {
            axes: input.layout.as_ref().map(|layout| axes(*layout.as_ref())),
            size: input.size.as_ref().map(|size| *size.as_ref()),
            channels: channels.map(|channels| if channels == Channels::Gray { 1 } else { 3 }),
        };
        // Where the model leaves its size open, the picture's own is taken: any will do for the check.
        let format = match Format::of(info, &wish, Some(224)) {
            Ok(format) => format,
            Err(error) => {
                let problem = millwork_package::Problem::new(Kind::ShapeMismatch, error.message());
                match (&input.size, &input.layout, &input.channels) {
                    (Some(at), ..) => check.told(at, problem),
                    (_, Some(at), _) => check.told(at, problem),
                    (_, _, Some(at)) => check.told(at, problem),
                    _ => check.told(&input.name, problem),
                }
                return None;
            }
        };
        let mut is_fine = true;
        let mut numbers = |key: &str, numbers: Option<&Spanned<manifest::Numbers>>, default: f32| {
            let Some(at) = numbers else { return vec![default] };
            let values = at.as_ref().as_slice();
            if values.len() != 1 && values.len() != format.channels {
                let text = format!("`{key}` needs 1 or {} numbers, and has {}", format.channels, values.len());
                check.tell(at, Kind::InvalidValue, text);
                is_fine = false;
            }
            values.to_vec()
        };
        let (mean, std) = (numbers("mean", input.mean.as_ref(), 0.0), numbers("std", input.std.as_ref(), 1.0));
        if !is_fine {
            return None;
        }
        let how = Preparation {
            fit: match input.fit.unwrap_or(manifest::Fit::Crop) {
                manifest::Fit::Crop => Fit::Crop,
                manifest::Fit::Stretch => Fit::Stretch,
                manifest::Fit::Pad => Fit::Pad,
            },
            filter: match input.filter.unwrap_or(manifest::Filter::Area) {
                manifest::Filter::Area => Filter::Area,
                manifest::Filter::Nearest => Filter::Nearest,
                manifest::Filter::Bilinear => Filter::Bilinear,
                manifest::Filter::Bicubic => Filter::Bicubic,
                manifest::Filter::Lanczos => Filter::Lanczos,
            },
            pad: input.pad.unwrap_or(0.0),
            bgr: channels == Some(Channels::Bgr),
            scaling: Scaling { scale: input.scale.unwrap_or(1.0 / 255.0), mean, std, invert: input.invert },
        };
        Some(Self { wish, how })
    }

    pub(crate) fn make(&self, value: &Datum, info: &ValueInfo) -> Result<(Tensor, Placement)> {
        let Some(picture) = value.picture() else {
            return Err(Error::invalid(format!("{} is no picture", value.what())));
        };
        let is_open = |dim: &Dim| !matches!(dim, Dim::Fixed(_));
        let mut wish = self.wish.clone();
        if wish.size.is_none() && info.shape.as_ref().is_none_or(|dims| dims.iter().skip(1).any(is_open)) {
            wish.size = Some([picture.width(), picture.height()]);
        }
        let format = Format::of(info, &wish, None).or_else(|_| Format::of(info, &self.wish, Some(224)))?;
        format.prepare(&picture, &self.how)
    }
}

//! `image.*`: pictures resized, filtered, compared, combined, and turned into tensors and files.
//!
//! Every node works on the samples as they are stored (sRGB for nearly every file), as Pillow and browsers do: not in
//! linear light. Depth (8 or 16 bits) and alpha are kept unless a node says otherwise.

mod blend;
mod blur;
mod colour;
mod compare;
mod convert;
mod convolve;
mod edges;
mod gaussian;
mod geometry;
mod histogram;
mod info;
mod mask;
mod median;
mod raster;
mod resize;
mod rotate;
mod steps;
mod template;
mod tensor;
#[cfg(test)]
mod testing;
mod tone;

use millwork_worker::prelude::*;

pub use resize::enlarge;

/// The nodes of this namespace.
pub(crate) fn package() -> Package {
    package![
        "image":
        resize::Resize,
        geometry::Crop, geometry::Flip, geometry::Pad, rotate::Rotate,
        blur::Blur, blur::Sharpen, convolve::Convolve, median::Median, edges::FindEdges,
        tone::Grayscale, tone::Invert, tone::Brightness, tone::Contrast, tone::Saturation,
        histogram::AutoContrast, histogram::Equalize, histogram::Threshold,
        blend::Blend, blend::Composite, mask::MaskAdjust,
        info::Info, compare::Compare, template::TemplateMatch,
        tensor::ToTensor, tensor::FromTensor, convert::Convert,
    ]
    .idempotent()
}

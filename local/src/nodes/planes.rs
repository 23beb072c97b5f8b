//! What image networks give, as planes of numbers, and planes as pictures.

use indexmap::IndexMap;
use millwork_worker::image::imageops::FilterType;
use millwork_worker::image::{DynamicImage, GrayImage, ImageBuffer, Luma};
use millwork_worker::prelude::*;
use ndarray::{Array2, Array3, Axis, Ix3};

/// The first output as `[channels, height, width]`: of `[1, C, H, W]`, `[1, H, W]`, `[C, H, W]` or `[H, W]`.
pub(super) fn first(outputs: IndexMap<String, Tensor>) -> Result<Array3<f32>> {
    let (name, tensor) = outputs.into_iter().next().ok_or_else(|| Error::failed("the model gives nothing"))?;
    planes(&name, &tensor)
}

pub(super) fn planes(name: &str, tensor: &Tensor) -> Result<Array3<f32>> {
    let shape = tensor.shape.clone();
    let unfit =
        || Error::invalid(format!("the model's output {name:?} has the shape {shape:?}, which is no picture's"));
    let array = tensor.to_array_f32()?;
    let array = match shape.as_slice() {
        [1, _, _, _] => array.index_axis_move(Axis(0), 0),
        [_, _] => array.insert_axis(Axis(0)),
        [_, _, _] => array,
        _ => return Err(unfit()),
    };
    let array = array.into_dimensionality::<Ix3>().map_err(|_| unfit())?;
    if array.is_empty() {
        return Err(unfit());
    }
    if array.iter().all(|x| x.is_finite()) {
        return Ok(array);
    }
    Err(Error::failed(format!("the model's output {name:?} has what is no number (NaN or infinite)")))
}

/// The plane with its least value as 0 and its greatest as 1; all 0 where there is no difference.
pub(super) fn stretched(plane: &Array2<f32>) -> Array2<f32> {
    let (least, most) =
        plane.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), x| (least.min(*x), most.max(*x)));
    let range = most - least;
    plane.mapv(|x| if range > 0.0 { (x - least) / range } else { 0.0 })
}

/// A plane from 0 to 1 as a picture of 8 bits and another size.
pub(super) fn gray(plane: &Array2<f32>, width: u32, height: u32) -> Result<GrayImage> {
    let bytes = plane.iter().map(|x| (x.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    let (h, w) = sides(plane)?;
    let picture = GrayImage::from_raw(w, h, bytes).ok_or_else(|| Error::failed("a plane has lost pixels"))?;
    Ok(resized(picture.into(), width, height).into_luma8())
}

/// The same with 16 bits.
pub(super) fn fine_gray(plane: &Array2<f32>, width: u32, height: u32) -> Result<Image> {
    let words: Vec<u16> = plane.iter().map(|x| (x.clamp(0.0, 1.0) * 65_535.0).round() as u16).collect();
    let (h, w) = sides(plane)?;
    let picture: Option<ImageBuffer<Luma<u16>, _>> = ImageBuffer::from_raw(w, h, words);
    let picture = picture.ok_or_else(|| Error::failed("a plane has lost pixels"))?;
    Ok(Image(resized(picture.into(), width, height)))
}

fn sides(plane: &Array2<f32>) -> Result<(u32, u32)> {
    let side = |n: usize| u32::try_from(n).map_err(|_| Error::failed("a plane is too large"));
    Ok((side(plane.nrows())?, side(plane.ncols())?))
}

fn resized(picture: DynamicImage, width: u32, height: u32) -> DynamicImage {
    let is_same = (picture.width(), picture.height()) == (width, height);
    if is_same { picture } else { picture.resize_exact(width, height, FilterType::Triangle) }
}

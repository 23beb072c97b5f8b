//! `image.Inpaint`: a part of a picture filled as its surroundings suggest. Networks are LaMa (Suvorov et al. 2022) and MI-GAN
//! (Sargsyan et al. 2023) in the layouts in which they are published as ONNX.

use indexmap::IndexMap;
use millwork_worker::image::imageops::{self, FilterType};
use millwork_worker::image::{DynamicImage, GrayImage, RgbImage};
use millwork_worker::onnx::{Dim, ValueInfo};
use millwork_worker::prelude::*;
use ndarray::Array3;

use super::planes;
use super::weights::Weights;

/// The side of a network's pictures where it leaves that open.
const SIDE: usize = 512;
/// Sides of pictures that networks fix.
const MOST_SIDE: usize = 4096;
/// What is seen around the part, as a multiple of it: networks need surroundings to go by.
const AROUND: u32 = 2;

/// Fills a part of a picture as its surroundings suggest: what the mask covers disappears.
#[derive(Node)]
#[node("image.Inpaint", idempotent)]
pub(super) struct Inpaint {
    /// The picture.
    image: Image,
    /// White where the picture is to be filled, black where it stays; of any size, it is stretched over the picture.
    mask: Image,
    /// LaMa or MI-GAN as ONNX.
    #[node(model = "hf.image_to_image")]
    model: ModelRef,
}

/// How a network is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// LaMa: `image` from 0 to 1 and `mask`, 1 where to fill.
    Lama,
    /// MI-GAN with everything around it: bytes, the mask 255 where the picture is known.
    Bytes,
    /// MI-GAN alone: four channels, what is known less ½, and the known part from −1 to 1.
    FourChannels,
}

impl Run for Inpaint {
    type Output = Image;

    fn run(self, cx: &Context) -> Result<Image> {
        let picture = self.image.to_rgb8();
        let (width, height) = picture.dimensions();
        let mask = self.mask.to_luma8();
        let mask = imageops::resize(&mask, width, height, FilterType::Nearest);
        let Some([left, top, right, bottom]) = bounds(&mask) else { return Ok(self.image) };
        let weights = Weights::load(&self.model, cx)?;
        let (layout, input, mask_input) = layout(&weights)?;
        let [model_width, model_height] = sides(input)?;

        // A square around the part, so that large pictures keep their sharpness in it.
        let side = (right - left).max(bottom - top).saturating_mul(AROUND).max(model_width.max(model_height));
        let span = |from: u32, to: u32, whole: u32| {
            let length = side.min(whole);
            (((from + to) / 2).saturating_sub(length / 2).min(whole - length), length)
        };
        let ((x, across), (y, down)) = (span(left, right, width), span(top, bottom, height));
        let part = imageops::crop_imm(&picture, x, y, across, down).to_image();
        let hole = imageops::crop_imm(&mask, x, y, across, down).to_image();
        let small = imageops::resize(&part, model_width, model_height, FilterType::Triangle);
        let small_hole = imageops::resize(&hole, model_width, model_height, FilterType::Nearest);
        cx.check()?;
        let inputs = tensors(layout, input, mask_input, &small, &small_hole)?;
        let made = colours(layout, &planes::first(weights.run(inputs)?)?)?;
        let made = DynamicImage::from(made).resize_exact(across, down, FilterType::CatmullRom).into_rgb8();

        let mut out = self.image.to_rgba8();
        for (i, j, hole) in hole.enumerate_pixels().filter(|(.., hole)| is_hole(hole.0[0])) {
            let _ = hole;
            let [r, g, b] = made.get_pixel(i, j).0;
            out.put_pixel(x + i, y + j, [r, g, b, 255].into());
        }
        let out = DynamicImage::from(out);
        Ok(Image(if self.image.color().has_alpha() { out } else { out.into_rgb8().into() }))
    }
}

fn is_hole(value: u8) -> bool {
    value >= 128
}

/// What the white of a mask spans: left, top, right, bottom, the last two outside.
fn bounds(mask: &GrayImage) -> Option<[u32; 4]> {
    let holes = mask.enumerate_pixels().filter(|(.., pixel)| is_hole(pixel.0[0]));
    holes.fold(None, |bounds: Option<[u32; 4]>, (x, y, _)| {
        let [left, top, right, bottom] = bounds.unwrap_or([x, y, x, y]);
        Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)])
    })
}

/// How the network is asked, and its inputs for the picture and, where there is one, for the mask.
fn layout(weights: &Weights) -> Result<(Layout, &ValueInfo, Option<&ValueInfo>)> {
    let channels = |input: &ValueInfo| input.shape.as_ref().and_then(|dims| dims.get(1)).cloned();
    match weights.info().inputs.as_slice() {
        [both] if channels(both) == Some(Dim::Fixed(4)) => Ok((Layout::FourChannels, both, None)),
        [a, b] => {
            let is_mask = |input: &ValueInfo| input.name.contains("mask") || channels(input) == Some(Dim::Fixed(1));
            let (picture, mask) = if is_mask(a) { (b, a) } else { (a, b) };
            let layout = if picture.dtype == Some(DType::U8) { Layout::Bytes } else { Layout::Lama };
            Ok((layout, picture, Some(mask)))
        }
        inputs => {
            let inputs: Vec<String> = inputs.iter().map(|input| format!("{} {input}", input.name)).collect();
            let text = format!("takes {}, which is neither LaMa's layout nor MI-GAN's", inputs.join(", "));
            Err(Error::invalid(format!("field `model`: {} {text}", weights.info().name)))
        }
    }
}

fn sides(input: &ValueInfo) -> Result<[u32; 2]> {
    let side = |at: usize| match input.shape.as_ref().and_then(|dims| dims.get(at)) {
        Some(Dim::Fixed(side)) => *side,
        _ => SIDE,
    };
    let pixels = |side: usize| u32::try_from(side).ok().filter(|_| (1..=MOST_SIDE).contains(&side));
    match (pixels(side(3)), pixels(side(2))) {
        (Some(width), Some(height)) => Ok([width, height]),
        _ => Err(Error::invalid(format!("field `model`: input {:?} ({input}) takes no picture", input.name))),
    }
}

fn tensors(
    layout: Layout,
    input: &ValueInfo,
    mask_input: Option<&ValueInfo>,
    picture: &RgbImage,
    hole: &GrayImage,
) -> Result<IndexMap<String, Tensor>> {
    let (height, width) = (picture.height() as usize, picture.width() as usize);
    let channel = |c: usize| picture.pixels().map(move |pixel| f32::from(pixel.0[c]));
    let hole =
        |known: f32, missing: f32| hole.pixels().map(move |pixel| if is_hole(pixel.0[0]) { missing } else { known });
    let values: Vec<f32> = match layout {
        Layout::Lama => (0..3).flat_map(|c| channel(c).map(|x| x / 255.0)).collect(),
        Layout::Bytes => (0..3).flat_map(channel).collect(),
        Layout::FourChannels => {
            let known = (0..3).flat_map(|c| channel(c).zip(hole(1.0, 0.0)).map(|(x, known)| (x / 127.5 - 1.0) * known));
            hole(0.5, -0.5).chain(known).collect()
        }
    };
    let channels = values.len() / (width * height);
    let tensor = |channels: usize, values: &[f32], input: &ValueInfo| {
        let tensor = Tensor::from_slice(&[1, channels, height, width], values)?;
        Ok::<_, Error>(tensor.cast(input.dtype.unwrap_or(DType::F32))?)
    };
    let mut inputs = IndexMap::from([(input.name.clone(), tensor(channels, &values, input)?)]);
    if let Some(mask_input) = mask_input {
        let mask: Vec<f32> = if layout == Layout::Bytes { hole(255.0, 0.0) } else { hole(0.0, 1.0) }.collect();
        inputs.insert(mask_input.name.clone(), tensor(1, &mask, mask_input)?);
    }
    Ok(inputs)
}

/// What the network made as a picture. LaMa's exports give values to 1 or to 255.
fn colours(layout: Layout, planes: &Array3<f32>) -> Result<RgbImage> {
    let (channels, height, width) = planes.dim();
    if channels != 3 {
        return Err(Error::failed(format!("the model gives {channels} channels and no picture")));
    }
    let byte: fn(f32) -> f32 = match layout {
        Layout::FourChannels => |x| (x + 1.0) * 127.5,
        Layout::Lama if planes.iter().all(|x| *x <= 2.0) => |x| x * 255.0,
        Layout::Lama | Layout::Bytes => |x| x,
    };
    Ok(RgbImage::from_fn(width as u32, height as u32, |x, y| {
        [0, 1, 2].map(|c| byte(planes[[c, y as usize, x as usize]]).clamp(0.0, 255.0).round() as u8).into()
    }))
}

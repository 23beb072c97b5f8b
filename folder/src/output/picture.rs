//! Pictures and masks out of tensors and buffers.

use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use millwork_package::Kind;
use millwork_package::manifest::{Activation, Channels, Layout, Output, Size};
use millwork_worker::convert::Image;
use millwork_worker::{Error, Result};
use ndarray::{Array3, ArrayD, ArrayView2, Axis, Ix3};
use toml::Spanned;

use super::array;
use super::classes::sigmoid;
use crate::check::{Check, Number};
use crate::input::axes;
use crate::scope::Known;
use crate::value::{Datum, Values};

/// How large the picture is to be.
#[derive(Debug)]
enum Sized {
    AsItIs,
    Like(String),
    Pixels(u32, u32),
}

impl Sized {
    fn new(check: &mut Check<'_>, size: Option<&Spanned<Size>>) -> Option<Self> {
        let Some(at) = size else { return Some(Self::AsItIs) };
        match at.as_ref() {
            Size::Pixels([width, height]) if (1..=16384).contains(width) && (1..=16384).contains(height) => {
                Some(Self::Pixels(*width, *height))
            }
            Size::Pixels(_) => {
                check.tell(at, Kind::InvalidValue, "`size` has sides from 1 to 16384");
                None
            }
            Size::Like(name) => {
                check.picture(&Spanned::new(at.span(), name.clone()))?;
                Some(Self::Like(name.clone()))
            }
        }
    }

    fn resize(&self, picture: DynamicImage, values: &Values, filter: FilterType) -> Result<DynamicImage> {
        let (width, height) = match self {
            Self::AsItIs => return Ok(picture),
            Self::Pixels(width, height) => (*width, *height),
            Self::Like(name) => {
                let like = values.get(name).and_then(Datum::size);
                let (width, height) = like.ok_or_else(|| Error::failed(format!("there is no picture {name}")))?;
                (pixels(width), pixels(height))
            }
        };
        let is_same = (picture.width(), picture.height()) == (width, height);
        Ok(if is_same { picture } else { picture.resize_exact(width, height, filter) })
    }
}

/// How a tensor becomes a picture.
#[derive(Debug)]
pub(crate) struct ImagePlan {
    range: [f32; 2],
    bgr: bool,
    layout: Option<Layout>,
    size: Sized,
}

impl ImagePlan {
    pub(crate) fn new(check: &mut Check<'_>, output: &Output, from: &Spanned<String>) -> Option<Self> {
        let known = check.value(from)?;
        if !matches!(known, Known::Tensor(_) | Known::Buffer(_) | Known::Image | Known::Anything) {
            let text = format!("{} is {} and cannot become a picture", from.as_ref(), known.what());
            check.tell(from, Kind::InvalidValue, text);
            return None;
        }
        if let Known::Tensor(shape) = &known {
            super::axis_count(check, from, shape.as_deref(), "a picture is [1, C, H, W] or a part of that", 2..=4)?;
        }
        Some(Self {
            range: output.range.as_ref().map_or([0.0, 1.0], |range| *range.as_ref()),
            bgr: output.channels.as_ref().is_some_and(|channels| *channels.as_ref() == Channels::Bgr),
            layout: output.layout.as_ref().map(|layout| *layout.as_ref()),
            size: Sized::new(check, output.size.as_ref())?,
        })
    }

    pub(crate) fn make(&self, value: &Datum, values: &Values) -> Result<Datum> {
        let whole = self.range == [0.0, 1.0] && !self.bgr && self.layout.is_none();
        let picture = match value.picture().filter(|_| whole) {
            Some(picture) => crate::value::in_bytes(picture.into_owned()),
            None => {
                let mut planes = planes(array(value)?, self.layout)?;
                if self.bgr && planes.dim().2 >= 3 {
                    let (blue, red) =
                        (planes.index_axis(Axis(2), 0).to_owned(), planes.index_axis(Axis(2), 2).to_owned());
                    planes.index_axis_mut(Axis(2), 0).assign(&red);
                    planes.index_axis_mut(Axis(2), 2).assign(&blue);
                }
                let [low, high] = self.range;
                bytes(&planes, |v| (v - low) / (high - low))?
            }
        };
        let picture = self.size.resize(picture, values, FilterType::CatmullRom)?;
        Ok(Datum::Image(Image(picture).into()))
    }
}

/// A side as pictures have it.
fn pixels(side: usize) -> u32 {
    u32::try_from(side).unwrap_or(u32::MAX)
}

/// Height × width × channels.
fn planes(array: ArrayD<f32>, layout: Option<Layout>) -> Result<Array3<f32>> {
    let shape = array.shape().to_vec();
    let unfit = || {
        Error::failed(format!(
            "a tensor of shape {shape:?} is no picture: [1, C, H, W], [C, H, W], [H, W, C] or [H, W]"
        ))
    };
    let is_colour = |n: usize| matches!(n, 1 | 3 | 4);
    let letters = match (layout, shape.as_slice()) {
        (Some(layout), _) => axes(layout).letters(),
        (None, [1, c, _, _]) if is_colour(*c) => "nchw",
        (None, [1, _, _, c]) if is_colour(*c) => "nhwc",
        (None, [c, _, _]) if is_colour(*c) => "chw",
        (None, [_, _, c]) if is_colour(*c) => "hwc",
        (None, [_, _]) => "hw",
        _ => return Err(unfit()),
    };
    if letters.len() != shape.len() || (letters.starts_with('n') && shape.first() != Some(&1)) || letters == "nf" {
        return Err(unfit());
    }
    let array = if letters.starts_with('n') { array.index_axis_move(Axis(0), 0) } else { array };
    let array = if letters.contains('c') { array } else { array.insert_axis(Axis(2)) };
    let array = array.into_dimensionality::<Ix3>().map_err(|_| unfit())?;
    let array = if letters.contains("ch") { array.permuted_axes([1, 2, 0]) } else { array };
    if is_colour(array.dim().2) { Ok(array.as_standard_layout().into_owned()) } else { Err(unfit()) }
}

/// As a picture of 8 bits; `to_one` brings values to 0 to 1.
fn bytes(planes: &Array3<f32>, to_one: impl Fn(f32) -> f32) -> Result<DynamicImage> {
    let (height, width, channels) = planes.dim();
    let (w, h) = (pixels(width), pixels(height));
    let data: Vec<u8> = planes.iter().map(|v| (to_one(*v).clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    let picture = match channels {
        1 => GrayImage::from_raw(w, h, data).map(DynamicImage::from),
        3 => RgbImage::from_raw(w, h, data).map(DynamicImage::from),
        _ => RgbaImage::from_raw(w, h, data).map(DynamicImage::from),
    };
    picture.ok_or_else(|| Error::failed("the picture has lost pixels"))
}

/// How a tensor becomes a mask.
#[derive(Debug)]
pub(crate) struct MaskPlan {
    activation: Activation,
    threshold: Number,
    class: Option<Number>,
    layout: Option<Layout>,
    size: Sized,
}

impl MaskPlan {
    pub(crate) fn new(check: &mut Check<'_>, output: &Output, from: &Spanned<String>) -> Option<Self> {
        let shape = check.tensor(from)?;
        super::axis_count(check, from, shape.as_deref(), "a mask is [1, C, H, W]", 2..=4)?;
        Some(Self {
            activation: output.activation.as_ref().map_or(Activation::Sigmoid, |activation| *activation.as_ref()),
            threshold: check.number(output.threshold.as_ref(), 0.5),
            class: output.class.as_ref().map(|class| check.number(Some(class), 0.0)),
            layout: output.layout.as_ref().map(|layout| *layout.as_ref()),
            size: Sized::new(check, output.size.as_ref())?,
        })
    }

    pub(crate) fn make(&self, value: &Datum, values: &Values) -> Result<Datum> {
        let scores = classes(array(value)?, self.layout)?;
        let (channels, height, width) = scores.dim();
        let threshold = self.threshold.get(values)?;
        let wanted = self.class.as_ref().map(|class| class.count(values)).transpose()?;
        let gray: Vec<u8> = if channels == 1 {
            let plane: ArrayView2<'_, f32> = scores.index_axis(Axis(0), 0);
            let score =
                |v: &f32| if self.activation == Activation::None { f64::from(*v) } else { sigmoid(f64::from(*v)) };
            let soft = |s: f64| (s.clamp(0.0, 1.0) * 255.0).round() as u8;
            let hard = |s: f64| if s >= threshold { 255 } else { 0 };
            plane.iter().map(score).map(|s| if threshold == 0.0 { soft(s) } else { hard(s) }).collect()
        } else {
            let best = |y: usize, x: usize| {
                (1..channels).fold(0, |best, c| if scores[[c, y, x]] > scores[[best, y, x]] { c } else { best })
            };
            let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
            places
                .map(|(y, x)| match wanted {
                    Some(class) => {
                        if best(y, x) == class {
                            255
                        } else {
                            0
                        }
                    }
                    None => best(y, x).min(255) as u8,
                })
                .collect()
        };
        let picture = GrayImage::from_raw(pixels(width), pixels(height), gray);
        let picture = picture.ok_or_else(|| Error::failed("the mask has lost pixels"))?;
        // Numbers of classes cannot be averaged, and edges that were decided stay.
        let is_soft = channels == 1 && threshold == 0.0;
        let filter = if is_soft { FilterType::Triangle } else { FilterType::Nearest };
        let picture = self.size.resize(picture.into(), values, filter)?;
        Ok(Datum::Image(Image(picture).into()))
    }
}

/// Channels × height × width.
fn classes(array: ArrayD<f32>, layout: Option<Layout>) -> Result<Array3<f32>> {
    let shape = array.shape().to_vec();
    let unfit = || Error::failed(format!("a tensor of shape {shape:?} is no mask: [1, C, H, W], [C, H, W] or [H, W]"));
    let is_last = matches!(layout, Some(Layout::Nhwc | Layout::Hwc));
    let array = match shape.len() {
        4 if shape.first() == Some(&1) => array.index_axis_move(Axis(0), 0),
        2 => array.insert_axis(Axis(0)),
        _ => array,
    };
    let array = array.into_dimensionality::<Ix3>().map_err(|_| unfit())?;
    let array = if is_last { array.permuted_axes([2, 0, 1]) } else { array };
    if array.is_empty() { Err(unfit()) } else { Ok(array) }
}

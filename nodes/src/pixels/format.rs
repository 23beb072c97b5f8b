//! What an image model's input takes, read off its shape.

use millwork_worker::onnx::{Dim, ValueInfo};
use millwork_worker::prelude::*;

/// The longest side of a model's picture.
const LONGEST: usize = 8192;

/// What a model's input takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// float32, float16 or uint8.
    pub dtype: DType,
    /// Its shape, without open axes.
    pub shape: Vec<usize>,
    /// Whether each channel lies by itself.
    pub planar: bool,
    /// 1 or 3.
    pub channels: usize,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// What is asked for where the model leaves it open. What it does not leave open must be the same.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// The order of the axes.
    pub axes: Option<Axes>,
    /// Width and height.
    pub size: Option<[u32; 2]>,
    /// 1 or 3.
    pub channels: Option<usize>,
}

/// The order of a picture's axes: n, c, h and w as letters, or `flat` for all values in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axes(&'static str);

impl Axes {
    /// Batch, channels, height, width.
    pub const NCHW: Self = Self("nchw");
    /// Batch, height, width, channels.
    pub const NHWC: Self = Self("nhwc");
    /// Channels, height, width.
    pub const CHW: Self = Self("chw");
    /// Height, width, channels.
    pub const HWC: Self = Self("hwc");
    /// Batch, height, width: one channel.
    pub const NHW: Self = Self("nhw");
    /// Height, width: one channel.
    pub const HW: Self = Self("hw");
    /// Batch, all values.
    pub const FLAT: Self = Self("nf");

    /// The letters.
    #[must_use]
    pub fn letters(self) -> &'static str {
        self.0
    }

    /// The order that a shape speaks for: `[N, C, H, W]`, `[N, H, W, C]`, both without N, `[N, H, W]`, `[N, H·W]`; C is 1 or 3.
    fn of(dims: &[Dim]) -> Option<Self> {
        let colour = |dim: &Dim| matches!(dim, Dim::Fixed(1 | 3));
        Some(match dims {
            [_, c, _, _] if colour(c) => Self::NCHW,
            [_, _, _, c] if colour(c) => Self::NHWC,
            [_, _, _, _] => Self::NCHW,
            [c, _, _] if colour(c) => Self::CHW,
            [_, _, c] if colour(c) => Self::HWC,
            [_, _, _] => Self::NHW,
            [_, _] => Self::FLAT,
            _ => return None,
        })
    }
}

impl Format {
    /// What an input takes; open sides become `side` long where `wish` says nothing.
    ///
    /// # Errors
    /// `invalid_input` for an input that takes no picture, or another one than is wished.
    pub fn of(input: &ValueInfo, wish: &Wish, side: Option<usize>) -> Result<Self> {
        let unfit = |why: &str| {
            Error::invalid(format!("input {:?} ({input}) does not look like a picture's: {why}", input.name))
        };
        let dims = input.shape.as_ref().ok_or_else(|| unfit("its shape is open"))?;
        let dtype = input.dtype.filter(|dtype| matches!(dtype, DType::F32 | DType::F16 | DType::U8));
        let dtype = dtype.ok_or_else(|| unfit("float32, float16 or uint8 are understood"))?;
        let axes = wish.axes.or_else(|| Axes::of(dims)).ok_or_else(|| unfit("2, 3 or 4 axes are understood"))?.0;
        if axes.len() != dims.len() {
            return Err(unfit(&format!("the layout {axes} has {} axes", axes.len())));
        }
        let dim = |letter: char| axes.find(letter).and_then(|at| dims.get(at));
        let fixed = |letter: char| match dim(letter) {
            Some(Dim::Fixed(length)) => Some(*length),
            _ => None,
        };
        if fixed('n').is_some_and(|n| n != 1) {
            return Err(unfit("it takes several at once"));
        }
        let channels = match (fixed('c'), wish.channels) {
            _ if !axes.contains('c') && axes != "nf" => 1,
            (Some(c), _) if c != 1 && c != 3 => return Err(unfit("1 or 3 channels are understood")),
            (Some(c), Some(wished)) if c != wished => return Err(unfit(&format!("{wished} channels are given"))),
            (Some(c), _) => c,
            (None, wished) => wished.unwrap_or(if axes == "nf" { 1 } else { 3 }),
        };
        let wished = wish.size.map(|[width, height]| (width as usize, height as usize));
        let (width, height) = match (fixed('f'), wished) {
            (Some(values), None) => {
                let pixels = values / channels;
                let side = pixels.isqrt();
                if side * side * channels != values {
                    return Err(unfit("the second axis is not the pixels of a square: give the size"));
                }
                (side, side)
            }
            (Some(values), Some((width, height))) if width * height * channels != values => {
                return Err(unfit(&format!("{width} × {height} pixels of {channels} channels are not {values}")));
            }
            (_, wished) => {
                let long = |letter: char, wished: Option<usize>| match (fixed(letter), wished) {
                    (Some(length), Some(wished)) if length != wished => {
                        Err(unfit(&format!("{wished} are given where {length} pixels belong")))
                    }
                    (Some(length), _) => Ok(length),
                    (None, wished) => wished.or(side).ok_or_else(|| unfit("its size is open: give the size")),
                };
                (long('w', wished.map(|(w, _)| w))?, long('h', wished.map(|(_, h)| h))?)
            }
        };
        let pixels = |n: usize| u32::try_from(n).ok().filter(|n| (1..=LONGEST as u32).contains(n));
        let sides = pixels(width).zip(pixels(height));
        let sides = sides.ok_or_else(|| unfit(&format!("sides from 1 to {LONGEST} are understood")))?;
        let length = |letter: char| match letter {
            'n' => 1,
            'c' => channels,
            'h' => height,
            'w' => width,
            _ => width * height * channels,
        };
        let planar = !matches!((axes.find('c'), axes.find('h')), (Some(c), Some(h)) if c > h);
        let shape = axes.chars().map(length).collect();
        Ok(Format { dtype, shape, planar, channels, width: sides.0, height: sides.1 })
    }
}

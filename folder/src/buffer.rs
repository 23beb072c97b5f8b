//! The buffers of a node's shaders: how large, of what, and filled from where.

use bytes::Bytes;
use image::GenericImageView;
use millwork_package::Kind;
use millwork_package::manifest::{Buffer, Format};
use millwork_worker::convert::{DType, Tensor};
use millwork_worker::{Error, Result, ResultExt};
use toml::Spanned;

use crate::check::Check;
use crate::expression::Expression;
use crate::scope::Known;
use crate::value::{Datum, Pixels, Values};

/// A buffer that can be made.
#[derive(Debug)]
pub(crate) struct BufferPlan {
    pub(crate) name: String,
    pub(crate) format: Format,
    made: Made,
}

#[derive(Debug)]
enum Made {
    From(String),
    Like(String),
    Plane(Expression, Expression),
    Row(Expression),
}

impl BufferPlan {
    pub(crate) fn new(check: &mut Check<'_>, buffer: &Buffer) -> Option<Self> {
        let (made, usual) = match buffer {
            Buffer { from: Some(from), .. } => {
                let usual = match check.value(from)? {
                    known @ (Known::Text | Known::Texts | Known::Audio | Known::Maps) => {
                        let text = format!(
                            "{} is {}; a buffer is filled from a picture, a tensor, numbers or a buffer",
                            from.as_ref(),
                            known.what()
                        );
                        check.tell(from, Kind::InvalidValue, text);
                        return None;
                    }
                    Known::Image => Format::Rgba32f,
                    Known::Buffer(format) => format,
                    // What is wrong with it has been told.
                    Known::Anything => return None,
                    _ => Format::F32,
                };
                (Made::From(from.as_ref().clone()), usual)
            }
            Buffer { like: Some(like), .. } => {
                let usual = match check.value(like)? {
                    Known::Image => Format::Rgba32f,
                    Known::Buffer(format) => format,
                    Known::Anything => return None,
                    known => {
                        check.unfit(like, Kind::InvalidValue, &known, "a buffer or a picture");
                        return None;
                    }
                };
                (Made::Like(like.as_ref().clone()), usual)
            }
            Buffer { width: Some(width), height: Some(height), .. } => {
                let (width, height) =
                    (check.numeric(width, Kind::InvalidExpression), check.numeric(height, Kind::InvalidExpression));
                (Made::Plane(width?, height?), Format::F32)
            }
            Buffer { length: Some(length), .. } => {
                (Made::Row(check.numeric(length, Kind::InvalidExpression)?), Format::F32)
            }
            // The manifest has been checked for this.
            _ => return None,
        };
        let format = buffer.format.as_ref().map_or(usual, |format| *format.as_ref());
        if let (Made::From(name), Some(at)) = (&made, &buffer.format) {
            fits(check, name, format, at)?;
        }
        Some(Self { name: buffer.name.as_ref().clone(), format, made })
    }

    /// The value that it is filled from.
    pub(crate) fn source(&self) -> Option<&str> {
        match &self.made {
            Made::From(name) => Some(name),
            _ => None,
        }
    }

    /// Its contents as it begins; without bytes where it is zero.
    pub(crate) fn make(&self, values: &Values) -> Result<Pixels> {
        let empty =
            |(width, height): (usize, usize)| Pixels { format: self.format, width, height, bytes: Bytes::new() };
        let value = |name: &str| {
            values.get(name).ok_or_else(|| Error::failed(format!("buffer `{}`: there is no value {name}", self.name)))
        };
        let count = |side: &Expression| Ok::<_, Error>(usize::try_from(side.count(values)?).unwrap_or(usize::MAX));
        Ok(match &self.made {
            Made::From(name) => {
                fill(value(name)?, self.format).context(format!("buffer `{}` from `{name}`", self.name))?
            }
            Made::Like(name) => {
                let like = value(name)?;
                let text = || Error::failed(format!("buffer `{}`: `{name}` is {}", self.name, like.what()));
                empty(like.size().ok_or_else(text)?)
            }
            Made::Plane(width, height) => empty((count(width)?, count(height)?)),
            Made::Row(length) => empty((count(length)?, 1)),
        })
    }
}

/// Whether a value of this name can be had in this format.
fn fits(check: &mut Check<'_>, name: &str, format: Format, at: &Spanned<Format>) -> Option<()> {
    let is_pixels = matches!(format, Format::Rgba32f | Format::Rgba8 | Format::R32f);
    let known = check.scope.get(name).cloned().unwrap_or(Known::Anything);
    let fits = match known {
        Known::Image => is_pixels,
        Known::Buffer(of) => of == format,
        Known::Anything | Known::Tensor(_) => true,
        _ => !is_pixels,
    };
    if !fits {
        check.tell(at, Kind::InvalidValue, format!("{name} is {} and cannot be had in this format", known.what()));
    }
    fits.then_some(())
}

/// Bytes of one element.
pub(crate) fn stride(format: Format) -> u64 {
    match format {
        Format::Rgba32f => 16,
        Format::Rgba8 | Format::R32f | Format::F32 | Format::U32 | Format::I32 => 4,
    }
}

/// What the shader's array of it is made of.
pub(crate) fn element(format: Format) -> &'static str {
    match format {
        Format::Rgba32f => "vec4<f32>",
        Format::R32f | Format::F32 => "f32",
        Format::Rgba8 | Format::U32 => "u32",
        Format::I32 => "i32",
    }
}

fn fill(value: &Datum, format: Format) -> Result<Pixels> {
    let floats = |samples: &[f32]| samples.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    if matches!(format, Format::Rgba32f | Format::Rgba8 | Format::R32f)
        && let Some(picture) = value.picture()
    {
        let (width, height) = picture.dimensions();
        let bytes = match format {
            Format::Rgba32f => floats(picture.to_rgba32f().as_raw()),
            Format::Rgba8 => picture.to_rgba8().into_raw(),
            _ => floats(picture.to_luma32f().as_raw()),
        };
        return Ok(Pixels { format, width: width as usize, height: height as usize, bytes: bytes.into() });
    }
    let tensor = match value {
        Datum::Pixels(pixels) if pixels.format == format => return Ok(pixels.clone()),
        Datum::Pixels(pixels) => pixels.tensor()?,
        Datum::Tensor(tensor) => tensor.clone(),
        Datum::Numbers(numbers) => Tensor::from_slice(&[numbers.len()], numbers).map_err(Error::failed)?,
        other => match other.number() {
            Some(number) => Tensor::from_slice(&[1], &[number]).map_err(Error::failed)?,
            None => return Err(Error::invalid(format!("{} cannot fill it", other.what()))),
        },
    };
    // Of a picture in a tensor the last axis is the pixel's four values.
    let (per_element, shape) = match (format, tensor.shape.as_slice()) {
        (Format::Rgba32f, [plane @ .., 4]) => (4, plane.to_vec()),
        (Format::Rgba32f | Format::Rgba8, shape) => {
            return Err(Error::invalid(format!("a tensor of shape {shape:?} is no picture of four channels")));
        }
        (_, shape) => (1, shape.to_vec()),
    };
    let dtype = match format {
        Format::U32 => DType::U32,
        Format::I32 => DType::I32,
        _ => DType::F32,
    };
    let data = tensor.cast(dtype).invalid("tensor")?.data;
    let (width, height) = match shape.as_slice() {
        [height, width] => (*width, *height),
        _ => (tensor.len() / per_element, 1),
    };
    Ok(Pixels { format, width, height, bytes: data })
}

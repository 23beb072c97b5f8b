//! Values that become tensors as they are: numbers, lists, tensors, buffers. And the last step of the others: the type and the
//! number of axes that the model asks for.

use millwork_package::Kind;
use millwork_package::manifest::Input;
use millwork_worker::convert::Tensor;
use millwork_worker::onnx::{Dim, ValueInfo};
use millwork_worker::{Error, Result, ResultExt};
use toml::Spanned;

use crate::check::Check;
use crate::scope::Known;
use crate::value::Datum;

/// Whether a value can become this input without being told how.
pub(crate) fn check(check: &mut Check<'_>, input: &Input, known: &Known, info: &ValueInfo) -> Option<()> {
    let how = match known {
        Known::Audio => "a sound needs `samples` or `mel`",
        Known::Text => "a text needs `tokenizer`",
        Known::Texts | Known::Maps => "it cannot become a tensor",
        Known::Tensor(Some(given)) => {
            let (Some(wanted), given) = (&info.shape, given) else { return Some(()) };
            return held_to(check, &input.from, input.from.as_ref(), given, wanted, info);
        }
        _ => return Some(()),
    };
    check.tell(&input.from, Kind::InvalidValue, format!("{} is {}: {how}", input.from.as_ref(), known.what()));
    None
}

/// Holds a shape to the model's, as far as both are known.
pub(crate) fn held<T>(
    check: &mut Check<'_>,
    at: &Spanned<T>,
    what: &str,
    given: &[Dim],
    info: &ValueInfo,
) -> Option<()> {
    match &info.shape {
        Some(wanted) => held_to(check, at, what, given, wanted, info),
        None => Some(()),
    }
}

fn held_to<T>(
    check: &mut Check<'_>,
    at: &Spanned<T>,
    what: &str,
    given: &[Dim],
    wanted: &[Dim],
    info: &ValueInfo,
) -> Option<()> {
    if fits(given, wanted) {
        return Some(());
    }
    let shown = |dims: &[Dim]| dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let text =
        format!("{what} has the shape [{}], and the input {} takes [{}]", shown(given), info.name, shown(wanted));
    check.tell(at, Kind::ShapeMismatch, text);
    None
}

/// Whether a tensor of one shape can be one of another: axes of length 1 in front do not count.
fn fits(given: &[Dim], wanted: &[Dim]) -> bool {
    let (short, long) = if given.len() < wanted.len() { (given, wanted) } else { (wanted, given) };
    let (front, rest) = long.split_at(long.len() - short.len());
    let is_open = |dim: &Dim| !matches!(dim, Dim::Fixed(n) if *n != 1);
    let same = |(a, b): (&Dim, &Dim)| !matches!((a, b), (Dim::Fixed(a), Dim::Fixed(b)) if a != b);
    front.iter().all(is_open) && short.iter().zip(rest).all(same)
}

pub(crate) fn make(value: &Datum, info: &ValueInfo) -> Result<Tensor> {
    let tensor = match value {
        Datum::Tensor(tensor) => tensor.clone(),
        Datum::Pixels(pixels) => pixels.tensor()?,
        Datum::Numbers(numbers) => Tensor::from_slice(&[numbers.len()], numbers).map_err(Error::failed)?,
        other => match other.number() {
            Some(number) => Tensor::from_slice(&[], &[number]).map_err(Error::failed)?,
            None => return Err(Error::invalid(format!("{} cannot become a tensor", other.what()))),
        },
    };
    shaped(tensor, info)
}

/// The same in the model's type and with its number of axes: ones are added in front, or taken away there.
pub(crate) fn shaped(tensor: Tensor, info: &ValueInfo) -> Result<Tensor> {
    let tensor = match info.dtype {
        Some(dtype) if dtype != tensor.dtype => tensor.cast(dtype).invalid("the model's type")?,
        _ => tensor,
    };
    let Some(rank) = info.shape.as_ref().map(Vec::len) else { return Ok(tensor) };
    let mut shape = tensor.shape.clone();
    while shape.len() < rank {
        shape.insert(0, 1);
    }
    while shape.len() > rank && shape.first() == Some(&1) {
        shape.remove(0);
    }
    if shape.len() != rank {
        return Err(Error::invalid(format!(
            "a tensor of shape {:?} is given, and the model takes {info}",
            tensor.shape
        )));
    }
    Ok(Tensor { shape, ..tensor })
}

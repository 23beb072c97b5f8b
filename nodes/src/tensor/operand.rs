//! The two sides of an operation: tensors or plain numbers, brought to one type and one shape.

use millwork_worker::convert::{FromWire, Reading};
use millwork_worker::prelude::*;
use millwork_worker::protocol::metadata::TypeMetadata;

use super::number::{is_unsigned, promote};

/// A tensor, or a plain number that takes the type of the tensor it meets.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Tensor(Tensor),
    Whole(i64),
    Fraction(f64),
}

impl FromWire for Operand {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::union_of([TypeMetadata::np_array(), TypeMetadata::float(), TypeMetadata::int()])
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        match value {
            Value::Int(number) => Ok(Self::Whole(number)),
            Value::Float(number) => Ok(Self::Fraction(number)),
            other => Tensor::from_wire(other, reading).map(Self::Tensor),
        }
    }

    fn to_default(&self) -> Value {
        match self {
            Self::Tensor(tensor) => tensor.to_default(),
            Self::Whole(number) => Value::Int(*number),
            Self::Fraction(number) => Value::Float(*number),
        }
    }
}

impl Operand {
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Tensor(tensor) => &tensor.shape,
            Self::Whole(_) | Self::Fraction(_) => &[],
        }
    }

    /// The tensor of this type.
    pub(super) fn into_tensor(self, dtype: DType) -> Result<Tensor> {
        let tensor = match self {
            Self::Tensor(tensor) => tensor,
            Self::Whole(number) => {
                let tensor = Tensor::from_slice(&[], &[number]).invalid("number")?;
                let back = tensor.cast(dtype)?.to_array_as::<i64>()?;
                if !dtype.is_float() && back.first() != Some(&number) || is_unsigned(dtype) && number < 0 {
                    return Err(Error::invalid(format!("{number} does not fit {dtype}: cast the tensor first")));
                }
                tensor
            }
            Self::Fraction(number) => Tensor::from_slice(&[], &[number]).invalid("number")?,
        };
        Ok(tensor.cast(dtype)?)
    }
}

/// The type that an operation on both is done in, by NumPy's rules: types promote, plain numbers only from whole to fraction.
pub(super) fn common_type(a: &Operand, b: &Operand) -> DType {
    use Operand::{Fraction, Whole};
    let meets = |tensor: &Tensor, other: &Operand| match other {
        Operand::Tensor(other) => promote(tensor.dtype, other.dtype),
        Fraction(_) if !tensor.dtype.is_float() => DType::F64,
        Whole(_) if tensor.dtype == DType::Bool => DType::I64,
        Whole(_) | Fraction(_) => tensor.dtype,
    };
    match (a, b) {
        (Operand::Tensor(tensor), other) | (other, Operand::Tensor(tensor)) => meets(tensor, other),
        (Whole(_), Whole(_)) => DType::I64,
        _ => DType::F64,
    }
}

/// The shape that both broadcast to: aligned at the last axis, an axis of 1 stretched to the other's length.
pub(super) fn common_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let axis =
        |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).and_then(|i| shape.get(i)).map_or(1, |n| *n);
    (0..rank)
        .map(|i| match (axis(a, i), axis(b, i)) {
            (1, n) | (n, 1) => Ok(n),
            (n, m) if n == m => Ok(n),
            (n, m) => Err(Error::invalid(format!(
                "shapes {a:?} and {b:?} do not go together: axis {i} of the result would be both {n} and {m}"
            ))),
        })
        .collect()
}

//! Tensors as they travel: `{type: "np_array", value: bytes, dtype: "<f4", shape: [2, 3]}`. Arithmetic is not done here.
//!
//! `dtype` is a NumPy array-protocol type string: byte order, kind, bytes per element.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use thiserror::Error;

use crate::message::TypeError;
use crate::message::convert::{read, read_or_default};
use crate::{Map, Value, map};

/// The `type` of a tensor.
pub const TENSOR_TYPE: &str = "np_array";

/// Why a value is no tensor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorError {
    /// A key is missing or has the wrong type.
    #[error("not a tensor: {0}")]
    Type(#[from] TypeError),
    /// A `dtype` that we do not know.
    #[error("unknown dtype {0:?}: use a NumPy type string of kind b, i, u, f or c, as \"<f4\" or \"|u1\"")]
    Dtype(String),
    /// A shape with more elements than can be counted.
    #[error("the shape {shape:?} has more elements than memory can hold")]
    Shape {
        /// The shape.
        shape: Vec<usize>,
    },
    /// The bytes are too few or too many.
    #[error("a tensor of shape {shape:?} and dtype {dtype} takes {expected} bytes, but {found} were given")]
    Size {
        /// The shape.
        shape: Vec<usize>,
        /// The type of its elements.
        dtype: DType,
        /// The bytes that these two take.
        expected: usize,
        /// The bytes that are there.
        found: usize,
    },
}

/// The kind of number that an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementKind {
    /// A byte that is 0 or 1.
    Bool,
    /// A signed integer.
    Int,
    /// An unsigned integer.
    UInt,
    /// A floating-point number.
    Float,
    /// Two floating-point numbers, real part first.
    Complex,
}

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DType {
    /// The kind of number.
    pub kind: ElementKind,
    /// Bytes per element: 1, 2, 4, 8 or 16.
    pub itemsize: usize,
    /// Whether the most significant byte comes first. Never so for elements of one byte.
    pub big_endian: bool,
}

impl DType {
    /// `|b1`
    pub const BOOL: Self = Self::little(ElementKind::Bool, 1);
    /// `|u1`
    pub const U8: Self = Self::little(ElementKind::UInt, 1);
    /// `<i4`
    pub const I32: Self = Self::little(ElementKind::Int, 4);
    /// `<i8`
    pub const I64: Self = Self::little(ElementKind::Int, 8);
    /// `<f2`
    pub const F16: Self = Self::little(ElementKind::Float, 2);
    /// `<f4`
    pub const F32: Self = Self::little(ElementKind::Float, 4);
    /// `<f8`
    pub const F64: Self = Self::little(ElementKind::Float, 8);

    /// A little-endian type. That such a size exists for that kind is the caller's to know.
    #[must_use]
    pub const fn little(kind: ElementKind, itemsize: usize) -> Self {
        Self { kind, itemsize, big_endian: false }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match (self.itemsize, self.big_endian) {
            (1, _) => '|',
            (_, true) => '>',
            (_, false) => '<',
        };
        let kind = match self.kind {
            ElementKind::Bool => 'b',
            ElementKind::Int => 'i',
            ElementKind::UInt => 'u',
            ElementKind::Float => 'f',
            ElementKind::Complex => 'c',
        };
        write!(f, "{order}{kind}{}", self.itemsize)
    }
}

impl FromStr for DType {
    type Err = TensorError;

    /// Reads a type string, `<f4`, or a name, `float32`. `=` and no order at all mean little-endian.
    fn from_str(text: &str) -> Result<Self, TensorError> {
        let unknown = || TensorError::Dtype(text.to_owned());
        let (big_endian, rest) = match text.split_at_checked(1) {
            Some((">", rest)) => (true, rest),
            Some(("<" | "|" | "=", rest)) => (false, rest),
            _ => (false, text),
        };
        let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (kind, size) = rest.split_at_checked(digits).ok_or_else(unknown)?;
        let size: Option<usize> = if size.is_empty() { None } else { Some(size.parse().map_err(|_| unknown())?) };
        let (kind, itemsize) = match (kind, size) {
            ("?" | "bool", None) | ("b", Some(1)) => (ElementKind::Bool, 1),
            ("i", Some(n @ (1 | 2 | 4 | 8))) => (ElementKind::Int, n),
            ("u", Some(n @ (1 | 2 | 4 | 8))) => (ElementKind::UInt, n),
            ("f", Some(n @ (2 | 4 | 8))) => (ElementKind::Float, n),
            ("c", Some(n @ (8 | 16))) => (ElementKind::Complex, n),
            ("int", Some(n @ (8 | 16 | 32 | 64))) => (ElementKind::Int, n / 8),
            ("uint", Some(n @ (8 | 16 | 32 | 64))) => (ElementKind::UInt, n / 8),
            ("float", Some(n @ (16 | 32 | 64))) => (ElementKind::Float, n / 8),
            ("complex", Some(n @ (64 | 128))) => (ElementKind::Complex, n / 8),
            _ => return Err(unknown()),
        };
        Ok(Self { kind, itemsize, big_endian: big_endian && itemsize > 1 })
    }
}

/// A tensor whose bytes match its shape: row-major, the last axis running fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    value: Bytes,
    dtype: DType,
    shape: Vec<usize>,
}

impl Tensor {
    /// A tensor of these bytes.
    ///
    /// # Errors
    /// Where the bytes are not as many as `shape` and `dtype` take.
    pub fn new(value: Bytes, dtype: DType, shape: Vec<usize>) -> Result<Self, TensorError> {
        // A zero anywhere makes it empty, however large the other axes are.
        let expected = if shape.contains(&0) {
            Some(0)
        } else {
            shape.iter().try_fold(dtype.itemsize, |bytes, axis| bytes.checked_mul(*axis))
        };
        match expected {
            None => Err(TensorError::Shape { shape }),
            Some(expected) if expected != value.len() => {
                Err(TensorError::Size { shape, dtype, expected, found: value.len() })
            }
            Some(_) => Ok(Self { value, dtype, shape }),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.value
    }

    /// The type of its elements.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its shape; empty for a single number.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value.len() / self.dtype.itemsize
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Its bytes, the type of its elements, and its shape.
    #[must_use]
    pub fn into_parts(self) -> (Bytes, DType, Vec<usize>) {
        (self.value, self.dtype, self.shape)
    }

    /// Whether a value says of itself that it is a tensor.
    #[must_use]
    pub fn is_tensor(value: &Value) -> bool {
        value.get("type").and_then(Value::as_str) == Some(TENSOR_TYPE)
    }

    /// Reads a tensor.
    ///
    /// # Errors
    /// Where the value is no such map, the dtype is unknown, or the bytes do not match the shape.
    pub fn from_value(value: Value) -> Result<Self, TensorError> {
        let mut map = match value {
            Value::Map(map) => map,
            other => return Err(TypeError::new("map", &other).into()),
        };
        match map.get("type") {
            Some(kind) if kind.as_str() == Some(TENSOR_TYPE) => {}
            other => {
                let expected = format!("{TENSOR_TYPE:?}");
                let found = other.map_or("nothing".into(), |v| format!("{:?}", v.to_json().to_string()).into());
                return Err(TypeError { path: "type".to_owned(), expected: expected.into(), found }.into());
            }
        }
        let dtype: String = read(&mut map, &["dtype"])?;
        let shape: Vec<u64> = read_or_default(&mut map, &["shape"])?;
        let value: Bytes = read(&mut map, &["value"])?;
        let sizes = shape.iter().map(|axis| usize::try_from(*axis)).collect::<Result<_, _>>();
        let shape = sizes.map_err(|_| TensorError::Shape { shape: vec![usize::MAX] })?;
        Self::new(value, dtype.parse()?, shape)
    }

    /// Writes it; its bytes are shared.
    #[must_use]
    pub fn into_value(self) -> Value {
        let shape: Vec<Value> = self.shape.into_iter().map(Value::from).collect();
        let map: Map = map! {
            "type" => TENSOR_TYPE,
            "value" => self.value,
            "dtype" => self.dtype.to_string(),
            "shape" => Value::List(shape),
        };
        Value::Map(map)
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        tensor.into_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_strings_and_names() {
        for (text, canonical, itemsize) in [
            ("<f4", "<f4", 4),
            ("float32", "<f4", 4),
            ("f8", "<f8", 8),
            (">i2", ">i2", 2),
            (">u1", "|u1", 1),
            ("=u8", "<u8", 8),
            ("|b1", "|b1", 1),
            ("?", "|b1", 1),
            ("bool", "|b1", 1),
            ("<c16", "<c16", 16),
            ("uint16", "<u2", 2),
        ] {
            let dtype: DType = text.parse().unwrap();
            assert_eq!((dtype.to_string().as_str(), dtype.itemsize), (canonical, itemsize), "{text}");
        }
        for text in ["", "<", "<f3", "<f16", "O", "<U4", "float", "f99999999999999999999", "é4", "float32x"] {
            assert!(matches!(text.parse::<DType>(), Err(TensorError::Dtype(t)) if t == text), "{text}");
        }
    }

    #[test]
    fn a_tensor_travels_and_keeps_its_bytes() {
        let bytes = Bytes::from(vec![7; 24]);
        let tensor = Tensor::new(bytes.clone(), DType::F32, vec![2, 3]).unwrap();
        assert_eq!(tensor.len(), 6);
        let again = Tensor::from_value(tensor.clone().into_value()).unwrap();
        assert_eq!(again, tensor);
        assert_eq!(again.bytes().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn bytes_that_do_not_match_are_counted() {
        let error = Tensor::new(Bytes::from(vec![0; 23]), DType::F32, vec![2, 3]).unwrap_err();
        assert_eq!(error.to_string(), "a tensor of shape [2, 3] and dtype <f4 takes 24 bytes, but 23 were given");
        assert!(matches!(Tensor::new(Bytes::new(), DType::F64, vec![usize::MAX, 2]), Err(TensorError::Shape { .. })));
        assert!(Tensor::new(Bytes::new(), DType::F64, vec![usize::MAX, 2, 0]).is_ok());
        assert!(Tensor::new(Bytes::from(vec![0; 8]), DType::F64, vec![]).is_ok());
    }

    #[test]
    fn what_is_no_tensor_says_why() {
        let why = |value: Value| Tensor::from_value(value).unwrap_err().to_string();
        assert_eq!(why(3.into()), "not a tensor: value: expected map, got int");
        assert_eq!(why(map! { "type" => TENSOR_TYPE }.into()), "not a tensor: dtype: expected str, got nothing");
        let negative = map! { "type" => TENSOR_TYPE, "dtype" => "<f4", "shape" => vec![-1], "value" => Bytes::new() };
        assert_eq!(why(negative.into()), "not a tensor: shape[0]: expected int from 0, got int");
    }
}

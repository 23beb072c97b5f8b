//! The tensor that nodes exchange: a dtype, a shape and little-endian bytes. Not a math library: ndarray is.
//!
//! On the wire it is `np_array {value: bytes, dtype: "<f4", shape}`. The bytes are shared, not copied: a tensor that
//! arrives is a slice of the frame it came in. [`Tensor::to_array`] and [`Tensor::from_array`] go to and from ndarray.

use bytes::Bytes;
use half::f16;
use ndarray::{ArrayD, IxDyn};

/// Why bytes are not the tensor they claim to be, or not the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The number of bytes does not match the shape.
    #[error("tensor of {dtype} with shape {shape:?} needs {needed} bytes, but has {given}")]
    Size {
        /// The dtype that was claimed.
        dtype: DType,
        /// The shape that was claimed.
        shape: Vec<usize>,
        /// Bytes that dtype and shape need.
        needed: usize,
        /// Bytes that are there.
        given: usize,
    },
    /// The shape has more elements than memory has addresses.
    #[error("tensor of {dtype} with shape {shape:?} is too large to address")]
    TooLarge {
        /// The dtype that was claimed.
        dtype: DType,
        /// The shape that was claimed.
        shape: Vec<usize>,
    },
    /// The dtype has no counterpart here.
    #[error("unknown tensor dtype {0:?}: use one of b1 i1 u1 i2 u2 i4 u4 i8 u8 f2 f4 f8, as in \"<f4\"")]
    UnknownDType(String),
    /// The elements are of another type than asked for.
    #[error("tensor has dtype {given}, expected {expected}")]
    DType {
        /// What was asked for.
        expected: DType,
        /// What the tensor has.
        given: DType,
    },
}

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum DType {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    F32,
    F64,
}

impl DType {
    /// All of them, the smallest first.
    pub const ALL: [DType; 12] = [
        DType::Bool,
        DType::I8,
        DType::U8,
        DType::I16,
        DType::U16,
        DType::I32,
        DType::U32,
        DType::I64,
        DType::U64,
        DType::F16,
        DType::F32,
        DType::F64,
    ];

    /// All of them, with their numpy spelling and their name.
    const TABLE: [(DType, &'static str, &'static str); 12] = [
        (DType::Bool, "|b1", "bool"),
        (DType::I8, "|i1", "int8"),
        (DType::U8, "|u1", "uint8"),
        (DType::I16, "<i2", "int16"),
        (DType::U16, "<u2", "uint16"),
        (DType::I32, "<i4", "int32"),
        (DType::U32, "<u4", "uint32"),
        (DType::I64, "<i8", "int64"),
        (DType::U64, "<u8", "uint64"),
        (DType::F16, "<f2", "float16"),
        (DType::F32, "<f4", "float32"),
        (DType::F64, "<f8", "float64"),
    ];

    /// Bytes of one element.
    pub fn itemsize(self) -> usize {
        match self {
            DType::Bool | DType::I8 | DType::U8 => 1,
            DType::I16 | DType::U16 | DType::F16 => 2,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::U64 | DType::F64 => 8,
        }
    }

    /// Reads numpy's spelling (`"<f4"`, `"|u1"`, `"f4"`) or name (`"float32"`).
    ///
    /// # Errors
    /// [`TensorError::UnknownDType`] for anything else; big-endian elements are for [`Tensor::from_numpy`].
    pub fn from_numpy(text: &str) -> Result<Self, TensorError> {
        let unknown = || TensorError::UnknownDType(text.to_owned());
        let code = text.trim_start_matches(['<', '=', '|']);
        let found = Self::TABLE.iter().find(|(_, numpy, name)| text == *name || numpy.get(1..) == Some(code));
        found.map(|(dtype, ..)| *dtype).ok_or_else(unknown)
    }

    /// numpy's spelling, as it travels: `"<f4"`.
    pub fn numpy(self) -> &'static str {
        self.row().1
    }

    /// The plain name: `"float32"`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (DType, &'static str, &'static str) {
        // The table is in the order of the enum; a test holds it there.
        &Self::TABLE[self as usize]
    }

    /// True for the floating point types.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::F32 | DType::F64)
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Elements of one type in a shape, row-major ("C") order, little endian.
///
/// The fields are open so that a tensor can be passed on without a copy; every method that reads the elements first
/// checks that the bytes match the shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// The type of the elements.
    pub dtype: DType,
    /// Elements along each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// `len() * dtype.itemsize()` bytes.
    pub data: Bytes,
}

impl Tensor {
    /// A tensor over bytes that are already there.
    ///
    /// # Errors
    /// [`TensorError::Size`] when they are not exactly as many as dtype and shape need.
    pub fn new(dtype: DType, shape: Vec<usize>, data: Bytes) -> Result<Self, TensorError> {
        let tensor = Tensor { dtype, shape, data };
        tensor.check()?;
        Ok(tensor)
    }

    /// Copies an array of any layout.
    pub fn from_array<T: Element>(array: ArrayD<T>) -> Self {
        let mut data = Vec::with_capacity(array.len() * T::DTYPE.itemsize());
        match array.as_slice() {
            Some(elements) => elements.iter().for_each(|x| x.put(&mut data)),
            None => array.iter().for_each(|x| x.put(&mut data)),
        }
        Tensor { dtype: T::DTYPE, shape: array.shape().to_vec(), data: data.into() }
    }

    /// Copies elements in row-major order.
    ///
    /// # Errors
    /// [`TensorError::Size`] when there are more or fewer than the shape needs.
    pub fn from_slice<T: Element>(shape: &[usize], elements: &[T]) -> Result<Self, TensorError> {
        let mut data = Vec::with_capacity(std::mem::size_of_val(elements));
        elements.iter().for_each(|x| x.put(&mut data));
        Tensor::new(T::DTYPE, shape.to_vec(), data.into())
    }

    /// Number of elements, 1 for a scalar.
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.itemsize()
    }

    /// True when some axis is 0 long.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Checks that the bytes match dtype and shape.
    ///
    /// # Errors
    /// [`TensorError::Size`] or [`TensorError::TooLarge`].
    pub fn check(&self) -> Result<(), TensorError> {
        let (dtype, given) = (self.dtype, self.data.len());
        let bytes = self.shape.iter().try_fold(dtype.itemsize(), |bytes, axis| bytes.checked_mul(*axis));
        match bytes.filter(|bytes| isize::try_from(*bytes).is_ok()) {
            None => Err(TensorError::TooLarge { dtype, shape: self.shape.clone() }),
            Some(needed) if needed != given => {
                Err(TensorError::Size { dtype, shape: self.shape.clone(), needed, given })
            }
            Some(_) => Ok(()),
        }
    }

    /// The elements as an array of exactly their type.
    ///
    /// # Errors
    /// [`TensorError::DType`] when they are of another type ([`Tensor::cast`] converts), or as [`Tensor::check`].
    pub fn to_array<T: Element>(&self) -> Result<ArrayD<T>, TensorError> {
        if self.dtype != T::DTYPE {
            return Err(TensorError::DType { expected: T::DTYPE, given: self.dtype });
        }
        self.check()?;
        self.shaped(T::elements(&self.data).collect())
    }

    /// The elements as `f32`, converted from whatever type they have; `true` is 1.
    ///
    /// # Errors
    /// As [`Tensor::check`].
    pub fn to_array_f32(&self) -> Result<ArrayD<f32>, TensorError> {
        self.to_array_as()
    }

    /// The elements converted to `T`: integers wrap, floats are cut towards zero and saturate, as Rust's `as` does.
    ///
    /// # Errors
    /// As [`Tensor::check`].
    pub fn to_array_as<T: Element>(&self) -> Result<ArrayD<T>, TensorError> {
        if self.dtype == T::DTYPE {
            return self.to_array();
        }
        self.check()?;
        fn convert<S: Element, T: Element>(data: &[u8]) -> Vec<T> {
            S::elements(data).map(|x| T::narrow(x.widen())).collect()
        }
        self.shaped(match self.dtype {
            DType::Bool => convert::<bool, T>(&self.data),
            DType::I8 => convert::<i8, T>(&self.data),
            DType::U8 => convert::<u8, T>(&self.data),
            DType::I16 => convert::<i16, T>(&self.data),
            DType::U16 => convert::<u16, T>(&self.data),
            DType::I32 => convert::<i32, T>(&self.data),
            DType::U32 => convert::<u32, T>(&self.data),
            DType::I64 => convert::<i64, T>(&self.data),
            DType::U64 => convert::<u64, T>(&self.data),
            DType::F16 => convert::<f16, T>(&self.data),
            DType::F32 => convert::<f32, T>(&self.data),
            DType::F64 => convert::<f64, T>(&self.data),
        })
    }

    /// The same tensor with another element type, converted as [`Tensor::to_array_as`] does. No copy when it has it.
    ///
    /// # Errors
    /// As [`Tensor::check`].
    pub fn cast(&self, dtype: DType) -> Result<Tensor, TensorError> {
        if self.dtype == dtype {
            self.check()?;
            return Ok(self.clone());
        }
        Ok(match dtype {
            DType::Bool => Tensor::from_array(self.to_array_as::<bool>()?),
            DType::I8 => Tensor::from_array(self.to_array_as::<i8>()?),
            DType::U8 => Tensor::from_array(self.to_array_as::<u8>()?),
            DType::I16 => Tensor::from_array(self.to_array_as::<i16>()?),
            DType::U16 => Tensor::from_array(self.to_array_as::<u16>()?),
            DType::I32 => Tensor::from_array(self.to_array_as::<i32>()?),
            DType::U32 => Tensor::from_array(self.to_array_as::<u32>()?),
            DType::I64 => Tensor::from_array(self.to_array_as::<i64>()?),
            DType::U64 => Tensor::from_array(self.to_array_as::<u64>()?),
            DType::F16 => Tensor::from_array(self.to_array_as::<f16>()?),
            DType::F32 => Tensor::from_array(self.to_array_as::<f32>()?),
            DType::F64 => Tensor::from_array(self.to_array_as::<f64>()?),
        })
    }

    fn shaped<T>(&self, elements: Vec<T>) -> Result<ArrayD<T>, TensorError> {
        // `check` has compared the counts; ndarray also refuses shapes whose non-zero axes overflow.
        ArrayD::from_shape_vec(IxDyn(&self.shape), elements)
            .map_err(|_| TensorError::TooLarge { dtype: self.dtype, shape: self.shape.clone() })
    }
}

/// A Rust type that can be an element. Sealed: the list is the protocol's.
pub trait Element: Copy + sealed::Sealed {
    /// The dtype that this type stands for.
    const DTYPE: DType;
}

/// Any element without loss, on the way from one type to another.
#[derive(Debug, Clone, Copy)]
pub enum Wide {
    /// Integers and bool.
    Int(i128),
    /// Floats.
    Float(f64),
}

mod sealed {
    use super::Wide;

    pub trait Sealed: Sized {
        fn put(&self, data: &mut Vec<u8>);
        fn elements(data: &[u8]) -> impl Iterator<Item = Self>;
        fn widen(self) -> Wide;
        fn narrow(wide: Wide) -> Self;
    }
}

macro_rules! element {
    ($type:ty, $dtype:ident, $wide:ident as $via:ty) => {
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;
        }

        impl sealed::Sealed for $type {
            fn put(&self, data: &mut Vec<u8>) {
                data.extend_from_slice(&self.to_le_bytes());
            }

            fn elements(data: &[u8]) -> impl Iterator<Item = Self> {
                data.as_chunks().0.iter().map(|bytes| <$type>::from_le_bytes(*bytes))
            }

            fn widen(self) -> Wide {
                Wide::$wide(<$via>::from(self))
            }

            fn narrow(wide: Wide) -> Self {
                match wide {
                    Wide::Int(int) => int as $type,
                    Wide::Float(float) => float as $type,
                }
            }
        }
    };
}

element!(i8, I8, Int as i128);
element!(u8, U8, Int as i128);
element!(i16, I16, Int as i128);
element!(u16, U16, Int as i128);
element!(i32, I32, Int as i128);
element!(u32, U32, Int as i128);
element!(i64, I64, Int as i128);
element!(u64, U64, Int as i128);
element!(f32, F32, Float as f64);
element!(f64, F64, Float as f64);

impl Element for f16 {
    const DTYPE: DType = DType::F16;
}

impl sealed::Sealed for f16 {
    fn put(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&self.to_le_bytes());
    }

    fn elements(data: &[u8]) -> impl Iterator<Item = Self> {
        data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes))
    }

    fn widen(self) -> Wide {
        Wide::Float(self.into())
    }

    fn narrow(wide: Wide) -> Self {
        match wide {
            Wide::Int(int) => f16::from_f64(int as f64),
            Wide::Float(float) => f16::from_f64(float),
        }
    }
}

impl Element for bool {
    const DTYPE: DType = DType::Bool;
}

impl sealed::Sealed for bool {
    fn put(&self, data: &mut Vec<u8>) {
        data.push(u8::from(*self));
    }

    fn elements(data: &[u8]) -> impl Iterator<Item = Self> {
        data.iter().map(|byte| *byte != 0)
    }

    fn widen(self) -> Wide {
        Wide::Int(self.into())
    }

    fn narrow(wide: Wide) -> Self {
        match wide {
            Wide::Int(int) => int != 0,
            Wide::Float(float) => float != 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayD, arr0, array};

    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        assert_eq!(DType::TABLE.map(|(dtype, ..)| dtype), DType::ALL);
        for (dtype, numpy, name) in DType::TABLE {
            assert_eq!((dtype.numpy(), dtype.name()), (numpy, name));
            assert_eq!(DType::from_numpy(numpy), Ok(dtype));
            assert_eq!(DType::from_numpy(name), Ok(dtype));
            assert_eq!(numpy[2..].parse::<usize>(), Ok(dtype.itemsize()));
        }
        assert_eq!(DType::from_numpy("f4"), Ok(DType::F32));
        for bad in [">f4", "<c8", "<U7", "", "<", "f", "é"] {
            assert_eq!(DType::from_numpy(bad), Err(TensorError::UnknownDType(bad.into())));
        }
    }

    #[test]
    fn arrays_of_any_layout_go_there_and_back() {
        let array: Array2<f32> = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]];
        let transposed = array.t().to_owned().into_dyn();
        let tensor = Tensor::from_array(array.reversed_axes().into_dyn());
        assert_eq!((tensor.shape.as_slice(), tensor.len()), ([3, 2].as_slice(), 6));
        assert_eq!(&tensor.data[..8], [1.0f32.to_le_bytes(), 4.0f32.to_le_bytes()].as_flattened());
        assert_eq!(tensor.to_array::<f32>().unwrap(), transposed);

        let scalar = Tensor::from_array(arr0(7i64).into_dyn());
        assert_eq!((scalar.shape.len(), scalar.len()), (0, 1));
        let empty = Tensor::from_array(ArrayD::<u8>::zeros(IxDyn(&[2, 0, 3])));
        assert!(empty.is_empty() && empty.to_array::<u8>().is_ok());
    }

    #[test]
    fn bytes_that_do_not_match_the_shape_are_an_error() {
        let error = Tensor::new(DType::F32, vec![2, 2], Bytes::from_static(&[0; 15])).unwrap_err();
        assert_eq!(error.to_string(), "tensor of float32 with shape [2, 2] needs 16 bytes, but has 15");
        let error = Tensor::new(DType::F64, vec![usize::MAX, 2], Bytes::new()).unwrap_err();
        assert!(matches!(error, TensorError::TooLarge { .. }));
        // Zero elements, yet an axis that cannot be addressed.
        let odd = Tensor { dtype: DType::U8, shape: vec![0, usize::MAX, 4], data: Bytes::new() };
        assert!(odd.to_array::<u8>().is_err());
        let wrong = Tensor::from_slice(&[1], &[1i32]).unwrap().to_array::<f32>().unwrap_err();
        assert_eq!(wrong.to_string(), "tensor has dtype int32, expected float32");
    }

    #[test]
    fn casts_keep_what_can_be_kept() {
        let big = Tensor::from_slice(&[2], &[i64::MAX, -1]).unwrap();
        assert_eq!(
            big.cast(DType::U64).unwrap().to_array::<u64>().unwrap(),
            array![i64::MAX as u64, u64::MAX].into_dyn()
        );
        let floats = Tensor::from_slice(&[4], &[1.9f32, -3.5, 300.0, f32::NAN]).unwrap();
        assert_eq!(floats.cast(DType::U8).unwrap().data.as_ref(), [1, 0, 255, 0]);
        let bools = Tensor::new(DType::Bool, vec![3], Bytes::from_static(&[0, 1, 2])).unwrap();
        assert_eq!(bools.to_array_f32().unwrap(), array![0.0, 1.0, 1.0].into_dyn());
        let halves = floats.cast(DType::F16).unwrap();
        assert_eq!(halves.to_array_as::<i32>().unwrap(), array![1, -3, 300, 0].into_dyn());
    }
}

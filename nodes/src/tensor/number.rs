//! Element types under one roof: promotion, and the arithmetic that every type can do. Which node does what is not here.

use millwork_worker::convert::Element;
use millwork_worker::prelude::*;

/// The type of the elements, by its NumPy name.
#[derive(Choice, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DTypeName {
    Bool,
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Float16,
    Float32,
    Float64,
}

impl From<DTypeName> for DType {
    fn from(name: DTypeName) -> Self {
        match name {
            DTypeName::Bool => Self::Bool,
            DTypeName::Int8 => Self::I8,
            DTypeName::Uint8 => Self::U8,
            DTypeName::Int16 => Self::I16,
            DTypeName::Uint16 => Self::U16,
            DTypeName::Int32 => Self::I32,
            DTypeName::Uint32 => Self::U32,
            DTypeName::Int64 => Self::I64,
            DTypeName::Uint64 => Self::U64,
            DTypeName::Float16 => Self::F16,
            DTypeName::Float32 => Self::F32,
            DTypeName::Float64 => Self::F64,
        }
    }
}

/// Whether a type counts from 0.
pub(super) fn is_unsigned(dtype: DType) -> bool {
    matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64)
}

/// The smallest type that holds both, as `numpy.promote_types` has it.
pub(super) fn promote(a: DType, b: DType) -> DType {
    use DType::{Bool, F16, F32, F64, I16, I32, I64};
    let (small, large) = if a.itemsize() <= b.itemsize() { (a, b) } else { (b, a) };
    match (a, b) {
        _ if a == b => a,
        (Bool, other) | (other, Bool) => other,
        _ if a.is_float() && b.is_float() => large,
        _ if a.is_float() || b.is_float() => {
            let (float, whole) = if a.is_float() { (a, b) } else { (b, a) };
            let needed = match whole.itemsize() {
                1 => F16,
                2 => F32,
                _ => F64,
            };
            if needed.itemsize() > float.itemsize() { needed } else { float }
        }
        _ if is_unsigned(a) == is_unsigned(b) => large,
        // A signed type holds an unsigned one that is smaller; otherwise the next larger signed type must.
        _ if !is_unsigned(large) && small.itemsize() < large.itemsize() => large,
        _ => match large.itemsize() {
            1 => I16,
            2 => I32,
            4 => I64,
            _ => F64,
        },
    }
}

/// The type of a mean or a root: floats stay what they are, all else becomes `float64`.
pub(super) fn floating(dtype: DType) -> DType {
    if dtype.is_float() { dtype } else { DType::F64 }
}

/// A type that arithmetic is done in. Whole numbers wrap around, as they do in NumPy.
pub(super) trait Number: Element + PartialOrd + Send + Sync + 'static {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// Nothing for a whole number to a negative power.
    fn power(self, exponent: Self) -> Option<Self>;
    fn magnitude(self) -> Self;
    fn negated(self) -> Self;
    fn to_f64(self) -> f64;
    fn from_f64(value: f64) -> Self;
    /// Whole numbers wrap, fractions are cut.
    fn to_i64(self) -> i64;

    fn is_nan(self) -> bool {
        self.partial_cmp(&self).is_none()
    }

    /// The smaller of two; NaN if either is.
    fn least(self, other: Self) -> Self {
        if self.is_nan() || self <= other { self } else { other }
    }

    /// The larger of two; NaN if either is.
    fn greatest(self, other: Self) -> Self {
        if self.is_nan() || self >= other { self } else { other }
    }
}

macro_rules! whole {
    ($($ty:ident),*) => {$(
        impl Number for $ty {
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }

            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            #[allow(unused_comparisons, reason = "unsigned types have no negative powers")]
            fn power(self, exponent: Self) -> Option<Self> {
                if exponent < 0 {
                    return None;
                }
                // By squaring, so that any exponent takes 64 steps at most.
                let (mut result, mut base, mut left) = (1, self, exponent);
                while left > 0 {
                    if left & 1 == 1 {
                        result = Self::wrapping_mul(result, base);
                    }
                    base = base.wrapping_mul(base);
                    left >>= 1;
                }
                Some(result)
            }

            #[allow(unused_comparisons, reason = "unsigned types are never negative")]
            fn magnitude(self) -> Self {
                if self < 0 { (0 as Self).wrapping_sub(self) } else { self }
            }

            fn negated(self) -> Self {
                (0 as Self).wrapping_sub(self)
            }

            fn to_f64(self) -> f64 {
                self as f64
            }

            fn from_f64(value: f64) -> Self {
                value as Self
            }

            fn to_i64(self) -> i64 {
                self as i64
            }
        }
    )*};
}
whole!(i8, u8, i16, u16, i32, u32, i64, u64);

macro_rules! float {
    ($($ty:ident),*) => {$(
        impl Number for $ty {
            fn plus(self, other: Self) -> Self {
                self + other
            }

            fn minus(self, other: Self) -> Self {
                self - other
            }

            fn times(self, other: Self) -> Self {
                self * other
            }

            fn power(self, exponent: Self) -> Option<Self> {
                Some(self.powf(exponent))
            }

            fn magnitude(self) -> Self {
                self.abs()
            }

            fn negated(self) -> Self {
                -self
            }

            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            fn from_f64(value: f64) -> Self {
                value as Self
            }

            fn to_i64(self) -> i64 {
                self as i64
            }
        }
    )*};
}
float!(f32, f64);

/// Runs a body with `$number` as the type that arithmetic on `$dtype` is done in: booleans as `u8`, `float16` as `f32`.
macro_rules! with_number {
    ($dtype:expr, $number:ident => $body:expr) => {
        match $dtype {
            ::millwork_worker::convert::DType::I8 => {
                type $number = i8;
                $body
            }
            ::millwork_worker::convert::DType::Bool | ::millwork_worker::convert::DType::U8 => {
                type $number = u8;
                $body
            }
            ::millwork_worker::convert::DType::I16 => {
                type $number = i16;
                $body
            }
            ::millwork_worker::convert::DType::U16 => {
                type $number = u16;
                $body
            }
            ::millwork_worker::convert::DType::I32 => {
                type $number = i32;
                $body
            }
            ::millwork_worker::convert::DType::U32 => {
                type $number = u32;
                $body
            }
            ::millwork_worker::convert::DType::I64 => {
                type $number = i64;
                $body
            }
            ::millwork_worker::convert::DType::U64 => {
                type $number = u64;
                $body
            }
            ::millwork_worker::convert::DType::F16 | ::millwork_worker::convert::DType::F32 => {
                type $number = f32;
                $body
            }
            ::millwork_worker::convert::DType::F64 => {
                type $number = f64;
                $body
            }
        }
    };
}

/// Runs a body with `$float` as `f64` for `float64` and as `f32` for smaller floats.
macro_rules! with_float {
    ($dtype:expr, $float:ident => $body:expr) => {
        match $dtype {
            ::millwork_worker::convert::DType::F64 => {
                type $float = f64;
                $body
            }
            _ => {
                type $float = f32;
                $body
            }
        }
    };
}

/// Runs a body with `$bits` as an unsigned type of the element's size, to move elements without reading them.
macro_rules! with_bits {
    ($dtype:expr, $bits:ident => $body:expr) => {
        match $dtype.itemsize() {
            1 => {
                type $bits = u8;
                $body
            }
            2 => {
                type $bits = u16;
                $body
            }
            4 => {
                type $bits = u32;
                $body
            }
            _ => {
                type $bits = u64;
                $body
            }
        }
    };
}

pub(super) use {with_bits, with_float, with_number};

#[cfg(test)]
mod tests {
    use super::*;

    /// The upper triangle of `numpy.promote_types` (NumPy 2.4), rows and columns in this order.
    #[test]
    fn types_promote_as_in_numpy() {
        let names = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"];
        let rows = [
            "b1 i1 u1 i2 u2 i4 u4 i8 u8 f2 f4 f8",
            "i1 i2 i2 i4 i4 i8 i8 f8 f2 f4 f8",
            "u1 i2 u2 i4 u4 i8 u8 f2 f4 f8",
            "i2 i4 i4 i8 i8 f8 f4 f4 f8",
            "u2 i4 u4 i8 u8 f4 f4 f8",
            "i4 i8 i8 f8 f8 f8 f8",
            "u4 i8 u8 f8 f8 f8",
            "i8 f8 f8 f8 f8",
            "u8 f8 f8 f8",
            "f2 f4 f8",
            "f4 f8",
            "f8",
        ];
        let dtype = |name: &str| DType::from_numpy(name).unwrap();
        for (i, row) in rows.iter().enumerate() {
            for (j, expected) in row.split(' ').enumerate() {
                let (a, b) = (names[i], names[i + j]);
                assert_eq!(promote(dtype(a), dtype(b)), dtype(expected), "{a} {b}");
                assert_eq!(promote(dtype(b), dtype(a)), dtype(expected), "{b} {a}");
            }
        }
    }

    #[test]
    fn whole_numbers_wrap() {
        assert_eq!(7u8.power(200), Some((0..200).fold(1u8, |n, _| n.wrapping_mul(7))));
        assert_eq!((2i64.power(-1), 2i32.power(31)), (None, Some(i32::MIN)));
        assert_eq!((i8::MIN.magnitude(), i8::MIN.negated(), 3u8.negated()), (i8::MIN, i8::MIN, 253));
        assert!(f32::NAN.least(1.0).is_nan() && 1f32.greatest(f32::NAN).is_nan());
    }
}

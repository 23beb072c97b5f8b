//! Tensors and element types: ours, tract's, and the numbers that ONNX files use for them.

use bytes::Bytes;
use tract_onnx::prelude::{DatumType, Tensor as TractTensor, TractResult};
use tract_onnx::tract_core::internal::format_err;

use crate::convert::{DType, Tensor};

/// `TensorProto.DataType`: name and bits, by number.
const ONNX_TYPES: [(&str, u64); 24] = [
    ("undefined", 0),
    ("float32", 32),
    ("uint8", 8),
    ("int8", 8),
    ("uint16", 16),
    ("int16", 16),
    ("int32", 32),
    ("int64", 64),
    ("string", 0),
    ("bool", 8),
    ("float16", 16),
    ("float64", 64),
    ("uint32", 32),
    ("uint64", 64),
    ("complex64", 64),
    ("complex128", 128),
    ("bfloat16", 16),
    ("float8e4m3fn", 8),
    ("float8e4m3fnuz", 8),
    ("float8e5m2", 8),
    ("float8e5m2fnuz", 8),
    ("uint4", 4),
    ("int4", 4),
    ("float4e2m1", 4),
];

fn onnx_type(number: i32) -> Option<&'static (&'static str, u64)> {
    ONNX_TYPES.get(usize::try_from(number).ok()?)
}

pub(super) fn name_of_onnx(number: i32) -> String {
    onnx_type(number).map_or_else(|| format!("type {number}"), |(name, _)| (*name).to_owned())
}

pub(super) fn bits_of_onnx(number: i32) -> u64 {
    onnx_type(number).map_or(0, |(_, bits)| *bits)
}

pub(super) fn dtype_of_onnx(number: i32) -> Option<DType> {
    // The names are numpy's, as ours are.
    DType::from_numpy(onnx_type(number)?.0).ok()
}

pub(super) fn datum_type(dtype: DType) -> DatumType {
    match dtype {
        DType::Bool => DatumType::Bool,
        DType::I8 => DatumType::I8,
        DType::U8 => DatumType::U8,
        DType::I16 => DatumType::I16,
        DType::U16 => DatumType::U16,
        DType::I32 => DatumType::I32,
        DType::U32 => DatumType::U32,
        DType::I64 => DatumType::I64,
        DType::U64 => DatumType::U64,
        DType::F16 => DatumType::F16,
        DType::F32 => DatumType::F32,
        DType::F64 => DatumType::F64,
    }
}

fn dtype(datum_type: DatumType) -> Option<DType> {
    DType::ALL.into_iter().find(|dtype| self::datum_type(*dtype) == datum_type)
}

/// Copies a tensor whose bytes match its shape.
pub(super) fn to_tract(tensor: &Tensor) -> TractResult<TractTensor> {
    tensor.check()?;
    let mut copy = TractTensor::zero_dt(datum_type(tensor.dtype), &tensor.shape)?;
    let bytes = copy.as_bytes_mut();
    match tensor.dtype {
        // In Rust a bool that is neither 0 nor 1 is undefined behaviour.
        DType::Bool => bytes.iter_mut().zip(&tensor.data).for_each(|(to, from)| *to = u8::from(*from != 0)),
        _ if bytes.len() == tensor.data.len() => bytes.copy_from_slice(&tensor.data),
        _ => return Err(format_err!("{} bytes for {} elements", bytes.len(), tensor.len())),
    }
    Ok(copy)
}

/// Takes a result over, as the type that the model declares. tract computes `Shape` and `Size` in its own dimension
/// type, and quantized values with their scale attached.
pub(super) fn from_tract(tensor: TractTensor, declared: Option<DType>) -> TractResult<Tensor> {
    let found = tensor.datum_type();
    let wanted = match declared {
        Some(dtype) => dtype,
        None if found == DatumType::TDim => DType::I64,
        None => dtype(found.unquantized()).ok_or_else(|| format_err!("no tensor type for {found:?}"))?,
    };
    // A quantized tensor has the bits already.
    let tensor = if found.unquantized() == datum_type(wanted) {
        tensor
    } else {
        tensor.cast_to_dt(datum_type(wanted))?.into_owned()
    };
    let shape = tensor.shape().to_vec();
    Ok(Tensor::new(wanted, shape, Bytes::from_owner(Owner(tensor)))?)
}

/// Lets the result keep the memory that tract computed it in.
struct Owner(TractTensor);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

//! Tensors as they travel: `{type: "np_array", value: bytes, dtype, shape}`, or a nested list of numbers from a person.

use bytes::Bytes;
use millwork_protocol::metadata::TypeMetadata;
use millwork_protocol::{Map, Value, map};

use super::{DType, FromWire, IntoWire, Reading, Tensor, TensorError, Writing, mismatch};
use crate::{Error, Result, ResultExt};

impl FromWire for Tensor {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::np_array()
    }

    fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
        value.try_into()
    }

    fn to_default(&self) -> Value {
        Value::Map(to_map(self.clone()))
    }
}

impl IntoWire for Tensor {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::np_array()
    }

    fn into_wire(self, _: &mut Writing<'_>) -> Result<Value> {
        Ok(Value::Map(to_map(self)))
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self::Map(to_map(tensor))
    }
}

impl TryFrom<Value> for Tensor {
    type Error = Error;

    /// Reads what [`Tensor`] becomes on the wire, or a nested list of numbers.
    fn try_from(value: Value) -> Result<Self> {
        match value {
            Value::Map(map) => from_map(map),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::List(_) => from_list(&value),
            other => {
                Err(mismatch("a tensor {type: \"np_array\", value, dtype, shape} or a nested list of numbers", &other))
            }
        }
    }
}

impl Tensor {
    /// A tensor of elements that NumPy calls `dtype`. Big-endian ones, `">f4"`, are turned.
    ///
    /// # Errors
    /// [`TensorError`] where there is no such type, or the bytes are not as many as shape and type need.
    pub fn from_numpy(dtype: &str, shape: Vec<usize>, data: Bytes) -> Result<Self, TensorError> {
        let little = dtype.strip_prefix('>').unwrap_or(dtype);
        let kind = DType::from_numpy(little).map_err(|_| TensorError::UnknownDType(dtype.to_owned()))?;
        let mut tensor = Self::new(kind, shape, data)?;
        if dtype.starts_with('>') && kind.itemsize() > 1 {
            let mut turned = tensor.data.to_vec();
            turned.chunks_exact_mut(kind.itemsize()).for_each(<[u8]>::reverse);
            tensor.data = turned.into();
        }
        Ok(tensor)
    }
}

fn to_map(tensor: Tensor) -> Map {
    map! {
        "type" => "np_array",
        "value" => tensor.data,
        "dtype" => tensor.dtype.numpy(),
        "shape" => tensor.shape,
    }
}

fn from_map(mut map: Map) -> Result<Tensor> {
    let key = |name: &str| {
        Error::invalid(format!(
            "the tensor has no `{name}`: it is {{type: \"np_array\", value: bytes, dtype: \"<f4\", shape: [..]}}"
        ))
    };
    // A blob sent for a tensor's field stands in `data`.
    let value = map.shift_remove("value").filter(|v| !v.is_nil()).or_else(|| map.shift_remove("data"));
    let data: Bytes = value.and_then(Value::into_bytes).ok_or_else(|| key("value"))?;
    let dtype = map.get("dtype").and_then(Value::as_str).ok_or_else(|| key("dtype"))?;
    let shape = map.get("shape").and_then(Value::as_list).ok_or_else(|| key("shape"))?;
    let shape = shape.iter().map(|n| n.as_i64().and_then(|n| usize::try_from(n).ok())).collect::<Option<Vec<usize>>>();
    let shape = shape.ok_or_else(|| Error::invalid("the tensor's `shape` must be whole numbers from 0 on"))?;
    Tensor::from_numpy(dtype, shape, data).invalid("tensor")
}

/// A nested list: whole numbers become `i64`, any fraction makes all `f32`, booleans alone `bool`.
fn from_list(value: &Value) -> Result<Tensor> {
    let mut shape = Vec::new();
    let mut level = value;
    while let Value::List(items) = level {
        shape.push(items.len());
        match items.first() {
            Some(first) => level = first,
            None => break,
        }
    }
    let mut leaves = Vec::new();
    flatten(value, &shape, &mut leaves)?;
    if !leaves.is_empty() && leaves.iter().all(|leaf| matches!(leaf, Value::Bool(_))) {
        let bytes: Vec<u8> = leaves.iter().map(|leaf| u8::from(leaf.as_bool() == Some(true))).collect();
        return Tensor::new(DType::Bool, shape, bytes.into()).invalid("tensor");
    }
    let whole = !leaves.is_empty() && leaves.iter().all(|leaf| matches!(leaf, Value::Int(_)));
    let numbers = leaves
        .iter()
        .map(|leaf| leaf.as_f64().or_else(|| leaf.as_bool().map(f64::from)).ok_or_else(|| mismatch("a number", leaf)));
    if whole {
        let numbers: Vec<i64> = leaves.iter().filter_map(|leaf| leaf.as_i64()).collect();
        return Tensor::from_slice(&shape, &numbers).invalid("tensor");
    }
    let numbers = numbers.map(|n| n.map(|n| n as f32)).collect::<Result<Vec<f32>>>()?;
    Tensor::from_slice(&shape, &numbers).invalid("tensor")
}

fn flatten<'a>(value: &'a Value, shape: &[usize], leaves: &mut Vec<&'a Value>) -> Result<()> {
    match (value, shape) {
        (Value::List(items), [len, inner @ ..]) if items.len() == *len => {
            items.iter().try_for_each(|item| flatten(item, inner, leaves))
        }
        (Value::List(_), _) | (_, [_, ..]) => {
            Err(Error::invalid("the nested lists of a tensor must all have the same lengths"))
        }
        (leaf, []) => {
            leaves.push(leaf);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[Value]) -> Value {
        Value::List(items.to_vec())
    }

    #[test]
    fn lists_become_the_type_that_their_numbers_need() {
        let read = |value: Value| Tensor::try_from(value).unwrap();
        let whole = read(list(&[vec![1, 2].into(), vec![3, 4].into()]));
        assert_eq!(whole, Tensor::from_slice(&[2, 2], &[1i64, 2, 3, 4]).unwrap());
        assert_eq!(read(vec![1.5, 2.0].into()), Tensor::from_slice(&[2], &[1.5f32, 2.0]).unwrap());
        assert_eq!(read(list(&[1.into(), 2.5.into(), true.into()])).dtype, DType::F32);
        assert_eq!(read(vec![true, false].into()), Tensor::from_slice(&[2], &[true, false]).unwrap());
        assert_eq!(read(7.into()), Tensor::from_slice(&[], &[7i64]).unwrap());
        assert_eq!(read(list(&[list(&[]), list(&[])])).shape, [2, 0]);
    }

    #[test]
    fn what_travels_comes_back() {
        let tensor = Tensor::from_slice(&[2, 1], &[1.5f64, -2.0]).unwrap();
        assert_eq!(Tensor::try_from(Value::from(tensor.clone())).unwrap(), tensor);
    }

    #[test]
    fn the_other_byte_order_is_turned() {
        let data: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|n| n.to_be_bytes()).collect();
        let big = map! { "value" => Bytes::from(data), "dtype" => ">f4", "shape" => vec![2] };
        assert_eq!(Tensor::try_from(Value::from(big)).unwrap(), Tensor::from_slice(&[2], &[1.5f32, -2.0]).unwrap());
        let complex = map! { "value" => Bytes::from(vec![0; 16]), "dtype" => "<c16", "shape" => vec![1] };
        let error = Tensor::try_from(Value::from(complex)).unwrap_err();
        assert!(error.message().contains("unknown tensor dtype \"<c16\""), "{error}");
    }

    #[test]
    fn what_is_no_tensor_says_why() {
        let error = |value: Value| Tensor::try_from(value).unwrap_err().message().to_owned();
        assert!(error(list(&[vec![1].into(), 2.into()])).contains("same lengths"));
        assert!(error(list(&["x".into()])).contains("expected a number, got str \"x\""));
        assert!(error("x".into()).contains("expected a tensor"));
        assert!(error(map! { "dtype" => "<f4", "shape" => vec![1] }.into()).contains("no `value`"));
        let short = map! { "value" => Bytes::from_static(&[0; 3]), "dtype" => "<f4", "shape" => vec![1] };
        assert!(error(short.into()).contains("needs 4 bytes, but has 3"));
        let negative = map! { "value" => Bytes::new(), "dtype" => "<f4", "shape" => vec![-1] };
        assert!(error(negative.into()).contains("whole numbers from 0 on"));
    }
}

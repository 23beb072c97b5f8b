//! Tensors as `.npy` files and as text: the NumPy format of one array, versions 1 to 3.
//!
//! Source: NumPy's "A simple file format for NumPy arrays". The elements pass through untouched, row by row.

use millwork_protocol::{Bytes, Map, Value, map};
use serde_json::Value as Json;

const MAGIC: &[u8] = b"\x93NUMPY";

/// A tensor as it travels: `{type: "np_array", value, dtype, shape}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) dtype: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) data: Bytes,
}

impl Tensor {
    /// Reads a `.npy` file.
    pub(crate) fn from_npy(file: &Bytes) -> Result<Self, String> {
        let broken = || "the header is cut off".to_owned();
        let rest = file.strip_prefix(MAGIC).ok_or("it does not begin as a .npy file does")?;
        let (len, at) = match rest {
            [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 10),
            [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
            _ => return Err("its version is not 1, 2 or 3".to_owned()),
        };
        let end = at + len;
        let header = std::str::from_utf8(file.get(at..end).ok_or_else(broken)?).map_err(|_| broken())?;
        let dtype = after(header, "'descr':").and_then(|v| v.strip_prefix('\'')?.split('\'').next());
        let dtype = dtype.ok_or("its elements are records, which a tensor cannot hold")?.to_owned();
        let shape =
            after(header, "'shape':").and_then(|v| v.strip_prefix('(')?.split(')').next()).ok_or_else(broken)?;
        let shape: Result<Vec<u64>, _> =
            shape.split(',').map(str::trim).filter(|size| !size.is_empty()).map(str::parse).collect();
        let (shape, mut data) = (shape.map_err(|_| broken())?, file.slice(end..));
        if after(header, "'fortran_order':").is_some_and(|value| value.starts_with("True")) {
            data = by_rows(&data, &shape).ok_or("its size does not fit its shape")?;
        }
        Ok(Self { dtype, shape, data })
    }

    /// Reads nested JSON lists of numbers as 32-bit floats.
    pub(crate) fn from_json(json: &Json) -> Result<Self, String> {
        let (mut shape, mut data) = (Vec::new(), Vec::new());
        let mut first = json;
        while let Some(items) = first.as_array() {
            shape.push(items.len() as u64);
            let Some(item) = items.first() else { break };
            first = item;
        }
        flatten(json, &shape, &mut data)?;
        Ok(Self { dtype: "<f4".to_owned(), shape, data: Bytes::from(data) })
    }

    /// Writes a `.npy` file, version 1.
    pub(crate) fn to_npy(&self) -> Vec<u8> {
        let sizes: Vec<String> = self.shape.iter().map(u64::to_string).collect();
        let shape = if let [one] = sizes.as_slice() { format!("{one},") } else { sizes.join(", ") };
        let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({shape}), }}", self.dtype);
        // The data begins at a multiple of 64.
        while !(MAGIC.len() + 4 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let len = u16::try_from(header.len()).unwrap_or(u16::MAX);
        [MAGIC, &[1, 0], &len.to_le_bytes(), header.as_bytes(), &self.data].concat()
    }

    /// Reads what came from a node, if it is a tensor.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let map = value.as_map().filter(|map| map.get("type").and_then(Value::as_str) == Some("np_array"))?;
        let Some(Value::Bytes(data)) = map.get("value") else { return None };
        let dtype = map.get("dtype")?.as_str()?.to_owned();
        let sizes = map.get("shape")?.as_list()?;
        let shape =
            sizes.iter().map(|size| size.as_i64().and_then(|n| u64::try_from(n).ok())).collect::<Option<_>>()?;
        Some(Self { dtype, shape, data: data.clone() })
    }

    /// As it travels.
    pub(crate) fn to_map(&self) -> Map {
        map! {
            "type" => "np_array",
            "value" => self.data.clone(),
            "dtype" => self.dtype.as_str(),
            "shape" => self.shape.clone(),
        }
    }

    /// `<f4 [3, 224, 224]`.
    pub(crate) fn summary(&self) -> String {
        format!("{} {:?}", self.dtype, self.shape)
    }

    /// All elements in order as numbers; nothing where the type is none of the plain ones, or bytes are missing.
    fn numbers(&self) -> Option<Vec<Json>> {
        macro_rules! read {
            ($bytes:literal, $number:expr) => {{
                let (chunks, rest) = self.data.as_chunks::<$bytes>();
                rest.is_empty().then(|| chunks.iter().copied().map($number).collect())
            }};
        }
        let numbers: Vec<Json> = match self.dtype.trim_start_matches(['<', '|', '=']) {
            "f2" => read!(2, |c| single(half(u16::from_le_bytes(c)))),
            "f4" => read!(4, |c| single(f32::from_le_bytes(c))),
            "f8" => read!(8, |c| f64::from_le_bytes(c).into()),
            "i1" => read!(1, |c| i8::from_le_bytes(c).into()),
            "i2" => read!(2, |c| i16::from_le_bytes(c).into()),
            "i4" => read!(4, |c| i32::from_le_bytes(c).into()),
            "i8" => read!(8, |c| i64::from_le_bytes(c).into()),
            "u1" | "b1" => read!(1, |c| u8::from_le_bytes(c).into()),
            "u2" => read!(2, |c| u16::from_le_bytes(c).into()),
            "u4" => read!(4, |c| u32::from_le_bytes(c).into()),
            "u8" => read!(8, |c| u64::from_le_bytes(c).into()),
            _ => None,
        }?;
        (numbers.len() as u64 == self.shape.iter().product::<u64>()).then_some(numbers)
    }

    /// Nested lists of numbers, for a tensor of at most `most` elements.
    pub(crate) fn nested(&self, most: usize) -> Option<Json> {
        if self.shape.iter().product::<u64>() > most as u64 {
            return None;
        }
        let mut level = self.numbers()?;
        for size in self.shape.iter().skip(1).rev() {
            let size = usize::try_from(*size).ok().filter(|size| *size > 0)?;
            level = level.chunks(size).map(|row| row.to_vec().into()).collect();
        }
        if self.shape.is_empty() { level.pop() } else { Some(level.into()) }
    }
}

/// With the digits that a 32-bit float has, and not those that it gets as a 64-bit one.
fn single(number: f32) -> Json {
    number.to_string().parse::<f64>().map_or(Json::Null, Json::from)
}

/// A 16-bit float.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from((bits >> 10) & 0x1f), f32::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// Appends the numbers of lists that must have this shape.
fn flatten(json: &Json, shape: &[u64], data: &mut Vec<u8>) -> Result<(), String> {
    match (shape, json.as_array(), json.as_f64()) {
        ([], None, Some(number)) => data.extend_from_slice(&(number as f32).to_le_bytes()),
        ([size, inner @ ..], Some(items), _) if items.len() as u64 == *size => {
            items.iter().try_for_each(|item| flatten(item, inner, data))?;
        }
        _ => return Err(format!("{json} does not fit: lists of numbers of one shape are needed")),
    }
    Ok(())
}

/// Elements whose first axis runs fastest (Fortran's order), row by row. Nothing where they do not fill the shape.
fn by_rows(data: &[u8], shape: &[u64]) -> Option<Bytes> {
    let sizes: Vec<usize> = shape.iter().map(|size| usize::try_from(*size).ok()).collect::<Option<_>>()?;
    let count = sizes.iter().try_fold(1_usize, |count, size| count.checked_mul(*size))?;
    if count == 0 {
        return data.is_empty().then(Bytes::new);
    }
    let item = data.len() / count;
    if item * count != data.len() {
        return None;
    }
    let mut rows = Vec::with_capacity(data.len());
    let mut index = vec![0; sizes.len()];
    for _ in 0..count {
        let at = index.iter().zip(&sizes).rev().fold(0, |at, (i, size)| at * size + i) * item;
        rows.extend_from_slice(data.get(at..at + item)?);
        // The last axis runs fastest now.
        for (i, size) in index.iter_mut().zip(&sizes).rev() {
            *i = (*i + 1) % size;
            if *i > 0 {
                break;
            }
        }
    }
    Some(rows.into())
}

/// What follows a key of the header.
fn after<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    header.split_once(key).map(|(_, value)| value.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dtype: &str, shape: &[u64], data: Vec<u8>) -> Tensor {
        Tensor { dtype: dtype.to_owned(), shape: shape.to_vec(), data: Bytes::from(data) }
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        for shape in [&[][..], &[3], &[2, 3], &[0, 4]] {
            let count: u64 = shape.iter().product();
            let written = tensor("<f4", shape, vec![7; count as usize * 4]);
            let file = written.to_npy();
            assert_eq!((file.len() - written.data.len()) % 64, 0);
            assert_eq!(Tensor::from_npy(&Bytes::from(file)).unwrap(), written);
            assert_eq!(Tensor::from_value(&Value::Map(written.to_map())).unwrap(), written);
        }
    }

    #[test]
    fn a_file_of_numpy_is_read() {
        // numpy.save of numpy.arange(3, dtype="<i2"), version 1.
        let mut file = b"\x93NUMPY\x01\x00v\x00{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }".to_vec();
        file.resize(127, b' ');
        file.extend_from_slice(b"\n\x00\x00\x01\x00\x02\x00");
        let read = Tensor::from_npy(&Bytes::from(file)).unwrap();
        assert_eq!(read, tensor("<i2", &[3], vec![0, 0, 1, 0, 2, 0]));
        assert_eq!(read.nested(3), Some(serde_json::json!([0, 1, 2])));
    }

    #[test]
    fn a_file_in_fortrans_order_is_turned() {
        // numpy.save of numpy.asfortranarray([[1, 2, 3], [4, 5, 6]]).astype(">u2").
        let mut file = b"\x93NUMPY\x01\x00v\x00{'descr': '>u2', 'fortran_order': True, 'shape': (2, 3), }".to_vec();
        file.resize(127, b' ');
        file.extend_from_slice(b"\n\x00\x01\x00\x04\x00\x02\x00\x05\x00\x03\x00\x06");
        let rows = vec![0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6];
        assert_eq!(Tensor::from_npy(&Bytes::from(file.clone())).unwrap(), tensor(">u2", &[2, 3], rows));
        file.pop();
        assert!(Tensor::from_npy(&Bytes::from(file)).unwrap_err().contains("does not fit"));
        // Three axes: element [i, j, k] stands at i + 2j + 4k.
        let cube = by_rows(&[0, 4, 2, 6, 1, 5, 3, 7], &[2, 2, 2]).unwrap();
        assert_eq!(&cube[..], [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let error = |bytes: &'static [u8]| Tensor::from_npy(&Bytes::from_static(bytes)).unwrap_err();
        assert!(error(b"PK\x03\x04").contains("does not begin"));
        assert!(error(b"\x93NUMPY\x01\x00\xff\xff{").contains("cut off"));
        assert!(error(b"\x93NUMPY\x09\x00\xff\xff{").contains("version"));
    }

    #[test]
    fn nested_lists_become_a_tensor() {
        let read = |text: &str| Tensor::from_json(&serde_json::from_str(text).unwrap());
        let tensor = read("[[1, 2.5], [3, 4]]").unwrap();
        assert_eq!((tensor.shape.as_slice(), tensor.data.len()), ([2, 2].as_slice(), 16));
        assert_eq!(tensor.nested(4), Some(serde_json::json!([[1.0, 2.5], [3.0, 4.0]])));
        assert!(read("[[1, 2], [3]]").is_err());
        assert!(read("[1, \"a\"]").is_err());
    }

    #[test]
    fn small_tensors_are_shown_nested() {
        let values: Vec<u8> = [1.0f32, 2.5, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(tensor("<f4", &[2, 2], values.clone()).nested(4), Some(serde_json::json!([[1.0, 2.5], [3.0, 4.0]])));
        assert_eq!(tensor("<f4", &[2, 2], values).nested(3), None);
        assert_eq!(tensor("|b1", &[], vec![1]).nested(1), Some(serde_json::json!(1)));
        assert_eq!(tensor("<f4", &[2], vec![0; 5]).nested(9), None);
        assert_eq!(tensor("<f4", &[1], 0.1f32.to_le_bytes().to_vec()).nested(1), Some(serde_json::json!([0.1])));
        let halves: Vec<u8> = [0x3c00u16, 0xc000, 0x0001, 0x7c00].iter().flat_map(|h| h.to_le_bytes()).collect();
        let read = tensor("<f2", &[4], halves).nested(4);
        assert_eq!(read, Some(serde_json::json!([1.0, -2.0, 5.960_464_5e-8, null])));
        let large = tensor("<i8", &[1], ((1i64 << 53) + 1).to_le_bytes().to_vec());
        assert_eq!(large.nested(1), Some(serde_json::json!([(1i64 << 53) + 1])));
    }
}

//! The NumPy file format of one array, versions 1 to 3: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! Our own reader, because it works on bytes that are there: nothing is allocated by what a header claims.

use millwork_worker::convert::Element;
use millwork_worker::prelude::*;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use super::layout::{bits, from_bits};
use super::number::with_bits;

const MAGIC: &[u8] = b"\x93NUMPY";

/// A whole `.npy` file, version 1.
pub(super) fn write(tensor: &Tensor) -> Vec<u8> {
    let lengths: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
    let shape = if let [one] = lengths.as_slice() { format!("({one},)") } else { format!("({})", lengths.join(", ")) };
    let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}", tensor.dtype.numpy());
    // The elements begin at a multiple of 64, after the magic, the version, the length and a line end.
    let start = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64);
    header.extend(std::iter::repeat_n(' ', start - MAGIC.len() - 4 - header.len() - 1));
    header.push('\n');
    let len = u16::try_from(header.len()).unwrap_or(u16::MAX);
    [MAGIC, &[1, 0], &len.to_le_bytes(), header.as_bytes(), &tensor.data].concat()
}

/// Reads a `.npy` file.
pub(super) fn read(file: &Bytes) -> Result<Tensor> {
    let broken = |why: &str| Error::invalid(format!("not a readable .npy file: {why}"));
    let Some(rest) = file.strip_prefix(MAGIC) else {
        return Err(broken("it does not begin with \\x93NUMPY"));
    };
    let (start, len) = match rest {
        [1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        [version, ..] => return Err(broken(&format!("version {version} is not one of 1, 2 and 3"))),
        [] => return Err(broken("it ends after its first bytes")),
    };
    let end = start + len;
    let header = file.get(start..end).ok_or_else(|| broken("it ends within its header"))?;
    let header = std::str::from_utf8(header).map_err(|_| broken("its header is no text"))?;
    let value = |key: &str| {
        let (_, value) =
            header.split_once(&format!("'{key}':")).ok_or_else(|| broken(&format!("no {key} in its header")))?;
        Ok::<_, Error>(value.trim_start())
    };
    let descr = value("descr")?;
    let descr = descr.strip_prefix('\'').and_then(|text| text.split_once('\'')).map(|(descr, _)| descr);
    let descr = descr.ok_or_else(|| broken("its elements are records; save one field of them"))?;
    let shape = value("shape")?.strip_prefix('(').and_then(|text| text.split_once(')'));
    let (shape, _) = shape.ok_or_else(|| broken("its shape is no tuple"))?;
    let lengths = shape.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::parse::<usize>);
    let shape = lengths.collect::<Result<Vec<_>, _>>().map_err(|_| broken("its shape holds no whole numbers"))?;

    let tensor = Tensor::from_numpy(descr, shape, file.slice(end..)).invalid("not a readable .npy file")?;
    if value("fortran_order")?.starts_with("True") {
        with_bits!(tensor.dtype, B => row_major::<B>(&tensor))
    } else {
        Ok(tensor)
    }
}

/// Elements whose first axis runs fastest, in the order that tensors have here.
fn row_major<B: Element>(tensor: &Tensor) -> Result<Tensor> {
    let elements = bits::<B>(tensor)?.into_raw_vec_and_offset().0;
    let array = ArrayD::from_shape_vec(IxDyn(&tensor.shape).f(), elements)?;
    Ok(from_bits(array, tensor.dtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.save` of an array with this header, padded as NumPy 2.4 pads it.
    fn file(header: &str, data: &[u8]) -> Bytes {
        [b"\x93NUMPY\x01\x00v\x00".as_slice(), format!("{header:<117}\n").as_bytes(), data].concat().into()
    }

    #[test]
    fn what_is_written_is_what_numpy_writes() {
        // np.save(f, np.arange(3, dtype="<i2"))
        let tensor = Tensor::from_slice(&[3], &[0i16, 1, 2]).unwrap();
        let expected = file("{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }", b"\0\0\x01\0\x02\0");
        assert_eq!(write(&tensor), expected);
        for shape in [&[][..], &[6], &[2, 3], &[0, 4], &[1; 40]] {
            let count = shape.iter().product();
            let tensor = Tensor::from_slice(shape, &vec![1.5f64; count]).unwrap();
            let file = write(&tensor);
            assert_eq!((file.len() - count * 8) % 64, 0);
            assert_eq!(read(&file.into()).unwrap(), tensor);
        }
    }

    #[test]
    fn other_orders_are_turned() {
        // np.asfortranarray([[1, 2, 3], [4, 5, 6]]).astype(">u2")
        let data: Vec<u8> = [1u16, 4, 2, 5, 3, 6].iter().flat_map(|n| n.to_be_bytes()).collect();
        let tensor = read(&file("{'descr': '>u2', 'fortran_order': True, 'shape': (2, 3), }", &data)).unwrap();
        assert_eq!(tensor, Tensor::from_slice(&[2, 3], &[1u16, 2, 3, 4, 5, 6]).unwrap());
    }

    #[test]
    fn broken_files_say_where() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }";
        for (bytes, message) in [
            (Bytes::from_static(b"PK\x03\x04"), "does not begin"),
            (Bytes::from_static(b"\x93NUMPY"), "first bytes"),
            (Bytes::from_static(b"\x93NUMPY\x09\0\0\0"), "version 9"),
            (Bytes::from_static(b"\x93NUMPY\x01\0\xff\xff{"), "within its header"),
            (file(header, &[0; 4]), "needs 4000000000000 bytes, but has 4"),
            (file("{'descr': '<U3', 'fortran_order': False, 'shape': (), }", &[]), "unknown tensor dtype \"<U3\""),
            (file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (), }", &[]), "records"),
            (file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", &[]), "no whole numbers"),
            (file("{}", &[]), "no descr"),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(error.message().contains(message), "{message}: {error}");
        }
    }
}

//! The same elements in other shapes and orders: reshape, transpose, concatenate, stack, split.

use millwork_worker::convert::{Element, FromWire, Reading};
use millwork_worker::prelude::*;
use millwork_worker::protocol::metadata::TypeMetadata;
use ndarray::{ArrayD, ArrayViewD, Axis, Slice, concatenate};

use super::axes::axis;
use super::number::{promote, with_bits};
use super::size;

/// The elements as plain bits of their size, to be moved and not read.
pub(super) fn bits<B: Element>(tensor: &Tensor) -> Result<ArrayD<B>> {
    Ok(Tensor { dtype: B::DTYPE, shape: tensor.shape.clone(), data: tensor.data.clone() }.to_array::<B>()?)
}

/// Bits back as elements.
pub(super) fn from_bits<B: Element>(array: ArrayD<B>, dtype: DType) -> Tensor {
    Tensor { dtype, ..Tensor::from_array(array) }
}

/// Gives the elements another shape, in the same order.
#[derive(Node)]
#[node("tensor.Reshape")]
pub(super) struct Reshape {
    /// The tensor.
    tensor: Tensor,
    /// The new shape; one axis may be -1 and takes what is left.
    shape: Vec<i64>,
}

impl Run for Reshape {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        self.tensor.check()?;
        let (len, old) = (self.tensor.len(), &self.tensor.shape);
        let refuse = |why: String| Error::invalid(format!("cannot reshape {old:?} to {:?}: {why}", self.shape));
        if let Some(bad) = self.shape.iter().find(|n| **n < -1) {
            return Err(refuse(format!("{bad} is no length")));
        }
        if self.shape.iter().filter(|n| **n == -1).count() > 1 {
            return Err(refuse("only one axis can be -1".to_owned()));
        }
        let known = self.shape.iter().filter_map(|n| usize::try_from(*n).ok());
        let known = known.clone().try_fold(1usize, |all, n| all.checked_mul(n)).filter(|_| known.count() <= 32);
        let known = known.ok_or_else(|| refuse("it is too large".to_owned()))?;
        let left = len.checked_div(known).unwrap_or(0);
        let shape: Vec<usize> = self.shape.iter().map(|n| usize::try_from(*n).unwrap_or(left)).collect();
        if shape.iter().product::<usize>() != len || (known == 0 && self.shape.contains(&-1)) {
            return Err(refuse(format!("the tensor has {len} elements, which do not fill it")));
        }
        Ok(Tensor { shape, ..self.tensor })
    }
}

/// Changes the order of the axes; without axes it is turned around, so that rows become columns.
#[derive(Node)]
#[node("tensor.Transpose")]
pub(super) struct Transpose {
    /// The tensor.
    tensor: Tensor,
    /// For each new axis the old one that it was: `[2, 0, 1]` puts channels first.
    axes: Option<Vec<i64>>,
}

impl Run for Transpose {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let tensor = &self.tensor;
        let rank = tensor.shape.len();
        let order = match &self.axes {
            None => (0..rank).rev().collect(),
            Some(axes) => axes.iter().map(|n| axis(*n, rank)).collect::<Result<Vec<_>>>()?,
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(Error::invalid(format!("the axes {order:?} must name each of the tensor's {rank} axes once")));
        }
        with_bits!(tensor.dtype, B => Ok(from_bits(bits::<B>(tensor)?.permuted_axes(order), tensor.dtype)))
    }
}

/// The tensors in one type.
fn unified(tensors: &[Tensor]) -> Result<(DType, Vec<Tensor>)> {
    let dtype = tensors.iter().map(|t| t.dtype).reduce(promote);
    let dtype = dtype.ok_or_else(|| Error::invalid("the list of tensors is empty: at least one is needed"))?;
    for (place, tensor) in tensors.iter().enumerate() {
        size(&tensor.shape, dtype).context(format!("tensor {place}"))?;
    }
    Ok((dtype, tensors.iter().map(|t| t.cast(dtype)).collect::<Result<_, _>>()?))
}

/// Joins tensors along an axis that they have.
#[derive(Node)]
#[node("tensor.Concat")]
pub(super) struct Concat {
    /// The tensors: of the same shape but for that axis. Their types promote as in NumPy.
    tensors: Vec<Tensor>,
    /// The axis along which they follow each other; -1 is the last.
    #[node(default = 0)]
    axis: i64,
}

impl Run for Concat {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let (dtype, tensors) = unified(&self.tensors)?;
        let Some(first) = tensors.first() else { return Err(Error::invalid("the list of tensors is empty")) };
        let place = axis(self.axis, first.shape.len())?;
        let mut shape = first.shape.clone();
        let mut total = 0usize;
        for (i, tensor) in tensors.iter().enumerate() {
            let along = tensor.shape.get(place).copied().unwrap_or(0);
            if let Some(len) = shape.get_mut(place) {
                *len = along;
            }
            if tensor.shape != shape {
                return Err(Error::invalid(format!(
                    "tensor {i} has shape {:?}, tensor 0 has {:?}: they must be alike but for axis {place}",
                    tensor.shape, first.shape
                )));
            }
            total = total.saturating_add(along);
        }
        if let Some(len) = shape.get_mut(place) {
            *len = total;
        }
        size(&shape, dtype)?;
        join(&tensors, place, dtype)
    }
}

fn join(tensors: &[Tensor], place: usize, dtype: DType) -> Result<Tensor> {
    with_bits!(dtype, B => {
        let arrays = tensors.iter().map(bits::<B>).collect::<Result<Vec<_>>>()?;
        let views: Vec<ArrayViewD<'_, B>> = arrays.iter().map(|array| array.view()).collect();
        Ok(from_bits(concatenate(Axis(place), &views)?, dtype))
    })
}

/// Puts tensors of one shape side by side along a new axis.
#[derive(Node)]
#[node("tensor.Stack")]
pub(super) struct Stack {
    /// The tensors, all of the same shape. Their types promote as in NumPy.
    tensors: Vec<Tensor>,
    /// Where the new axis stands; -1 puts it last.
    #[node(default = 0)]
    axis: i64,
}

impl Run for Stack {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let (dtype, mut tensors) = unified(&self.tensors)?;
        let Some(shape) = tensors.first().map(|first| first.shape.clone()) else {
            return Err(Error::invalid("the list of tensors is empty"));
        };
        if let Some((i, other)) = tensors.iter().enumerate().find(|(_, tensor)| tensor.shape != shape) {
            let other = &other.shape;
            return Err(Error::invalid(format!(
                "tensor {i} has shape {other:?}, tensor 0 has {shape:?}: they must be alike"
            )));
        }
        let place = axis(self.axis, shape.len() + 1)?;
        size(&[&[tensors.len()], shape.as_slice()].concat(), dtype)?;
        tensors.iter_mut().for_each(|tensor| tensor.shape.insert(place, 1));
        join(&tensors, place, dtype)
    }
}

/// How a tensor is split: into so many equal parts, or into parts of these lengths.
#[derive(Debug, Clone)]
enum Parts {
    Equal(usize),
    Lengths(Vec<usize>),
}

impl FromWire for Parts {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::union_of([TypeMetadata::int(), TypeMetadata::list_of(TypeMetadata::int())])
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        match value {
            Value::List(_) => Vec::from_wire(value, reading).map(Self::Lengths),
            one => usize::from_wire(one, reading).map(Self::Equal),
        }
    }

    fn to_default(&self) -> Value {
        match self {
            Self::Equal(count) => Value::from(*count),
            Self::Lengths(lengths) => Value::from(lengths.clone()),
        }
    }
}

/// Cuts a tensor along an axis into a list of tensors.
#[derive(Node)]
#[node("tensor.Split")]
pub(super) struct Split {
    /// The tensor.
    tensor: Tensor,
    /// A number of equal parts, or a list with the length of each.
    #[node(default = Parts::Equal(2))]
    parts: Parts,
    /// The axis that is cut; -1 is the last.
    #[node(default = 0)]
    axis: i64,
}

impl Run for Split {
    type Output = Vec<Tensor>;

    fn run(self, _: &Context) -> Result<Vec<Tensor>> {
        let tensor = &self.tensor;
        let place = axis(self.axis, tensor.shape.len())?;
        let len = tensor.shape.get(place).copied().unwrap_or(0);
        let lengths = match self.parts {
            Parts::Equal(count) if count > 0 && count <= len && len.is_multiple_of(count) => vec![len / count; count],
            Parts::Equal(count) => {
                return Err(Error::invalid(format!(
                    "axis {place} has {len} elements, which do not make {count} equal parts"
                )));
            }
            Parts::Lengths(lengths) => {
                let sum = lengths.iter().try_fold(0usize, |sum, n| sum.checked_add(*n));
                if sum != Some(len) {
                    return Err(Error::invalid(format!(
                        "the parts {lengths:?} do not add up to axis {place}, which has {len} elements"
                    )));
                }
                lengths
            }
        };
        with_bits!(tensor.dtype, B => {
            let array = bits::<B>(tensor)?;
            let mut from = 0;
            let part = |len| {
                let part = array.slice_axis(Axis(place), Slice::from(from..from + len)).to_owned();
                from += len;
                from_bits(part, tensor.dtype)
            };
            Ok(lengths.into_iter().map(part).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::node::Node;
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{floats, output, tensor};
    use super::*;

    fn counted(shape: &[usize]) -> Value {
        tensor(shape, &(0..shape.iter().product::<usize>() as i32).collect::<Vec<_>>())
    }

    fn call<N: Node>(
        name: &str,
        value: Value,
        option: &str,
        setting: impl millwork_worker::convert::IntoWire,
    ) -> Result<Tensor> {
        NodeTest::new::<N>().field(name, value).field(option, setting).run().map(|emitted| output(&emitted))
    }

    #[test]
    fn reshaping() {
        let reshape = |shape: Vec<i64>| call::<Reshape>("tensor", counted(&[2, 6]), "shape", shape);
        assert_eq!(reshape(vec![3, -1]).unwrap().shape, [3, 4]);
        assert_eq!(floats(&reshape(vec![12]).unwrap())[11], 11.0);
        let error = reshape(vec![5, -1]).unwrap_err();
        assert_eq!(
            error.message(),
            "cannot reshape [2, 6] to [5, -1]: the tensor has 12 elements, which do not fill it"
        );
        for bad in [vec![-1, -1], vec![-2, 6], vec![0, -1], vec![i64::MAX, i64::MAX], vec![]] {
            assert!(reshape(bad.clone()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn transposing() {
        let turned = call::<Transpose>("tensor", counted(&[2, 3]), "axes", Value::Nil).unwrap();
        assert_eq!((turned.shape.as_slice(), floats(&turned)), ([3, 2].as_slice(), vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
        // np.arange(6).reshape(1, 2, 3).transpose(2, 0, 1)
        let moved = call::<Transpose>("tensor", counted(&[1, 2, 3]), "axes", vec![-1, 0, 1]).unwrap();
        assert_eq!(
            (moved.shape.as_slice(), floats(&moved)),
            ([3, 1, 2].as_slice(), vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0])
        );
        assert!(call::<Transpose>("tensor", counted(&[2, 3]), "axes", vec![0, 0]).is_err());
        assert!(call::<Transpose>("tensor", counted(&[2, 3]), "axes", vec![0]).is_err());
    }

    #[test]
    fn joining() {
        let list = |tensors: &[Value]| Value::List(tensors.to_vec());
        let joined = call::<Concat>("tensors", list(&[counted(&[2, 1]), counted(&[2, 2])]), "axis", -1).unwrap();
        assert_eq!((joined.shape.as_slice(), floats(&joined)), ([2, 3].as_slice(), vec![0.0, 0.0, 1.0, 1.0, 2.0, 3.0]));
        let mixed =
            call::<Concat>("tensors", list(&[tensor(&[1], &[true]), tensor(&[1], &[2.5f32])]), "axis", 0).unwrap();
        assert_eq!((mixed.dtype, floats(&mixed)), (DType::F32, vec![1.0, 2.5]));
        let stacked = call::<Stack>("tensors", list(&[counted(&[2]), counted(&[2])]), "axis", -1).unwrap();
        assert_eq!((stacked.shape.as_slice(), floats(&stacked)), ([2, 2].as_slice(), vec![0.0, 0.0, 1.0, 1.0]));
        let error = call::<Concat>("tensors", list(&[counted(&[2, 2]), counted(&[3, 3])]), "axis", 0).unwrap_err();
        assert_eq!(
            error.message(),
            "tensor 1 has shape [3, 3], tensor 0 has [2, 2]: they must be alike but for axis 0"
        );
        assert!(
            call::<Stack>("tensors", list(&[counted(&[2]), counted(&[3])]), "axis", 0)
                .unwrap_err()
                .message()
                .contains("[3]")
        );
        assert!(call::<Concat>("tensors", list(&[]), "axis", 0).unwrap_err().message().contains("empty"));
    }

    #[test]
    fn splitting_and_joining_gives_the_same_back() {
        let split = |parts: Value| {
            NodeTest::new::<Split>().field("tensor", counted(&[2, 6])).field("parts", parts).field("axis", 1).run()
        };
        for parts in [Value::from(3), Value::from(vec![1, 5, 0])] {
            let parts = split(parts).unwrap().outputs["output"].clone();
            assert_eq!(parts.as_list().unwrap().len(), 3);
            let joined = call::<Concat>("tensors", parts, "axis", 1).unwrap();
            assert_eq!(Value::from(joined), counted(&[2, 6]));
        }
        assert!(split(Value::from(4)).unwrap_err().message().contains("do not make 4 equal parts"));
        assert!(split(Value::from(0)).is_err());
        assert!(split(Value::from(vec![1, 2])).unwrap_err().message().contains("do not add up"));
    }
}

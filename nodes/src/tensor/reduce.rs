//! Some axes, or all, into one number each.

use millwork_worker::convert::Element;
use millwork_worker::prelude::*;

use super::axes::Axes;
use super::number::{Number, floating, is_unsigned, with_number};
use super::size;

/// What becomes of the elements along the axes.
#[derive(Choice, Debug, Clone, Copy, PartialEq)]
enum Reduction {
    Sum,
    Mean,
    Min,
    Max,
    Prod,
    Argmax,
    Argmin,
    Std,
    Var,
    Any,
    All,
}

/// Reduces axes: sum, mean, smallest, largest and so on.
///
/// Sums and products of whole numbers are 64 bits wide and wrap around; mean, std and var are floats; argmax and argmin give
/// the first place as `int64`; any and all give booleans. NaN in floats is kept, and is what argmax and argmin find.
#[derive(Node)]
#[node("tensor.Reduce")]
pub(super) struct Reduce {
    /// The tensor.
    tensor: Tensor,
    /// What is computed.
    #[node(default = Reduction::Sum)]
    reduction: Reduction,
    /// The axes that disappear: one or a list, -1 is the last; none given means all. argmax and argmin take one axis, or
    /// none for the place in the flattened tensor.
    axes: Option<Axes>,
    /// Keep the axes with length 1, so that the result still broadcasts with the tensor.
    #[node(default)]
    keepdims: bool,
    /// For std and var: what is taken from the number of elements before dividing; 1 gives the sample's estimate.
    #[node(default = 0.0, min = 0)]
    ddof: f64,
}

impl Run for Reduce {
    type Output = Tensor;

    fn run(self, cx: &Context) -> Result<Tensor> {
        let (tensor, kind) = (&self.tensor, self.reduction);
        let rank = tensor.shape.len();
        let axes = match &self.axes {
            Some(axes) => axes.places(rank)?,
            None => (0..rank).collect(),
        };
        if matches!(kind, Reduction::Argmax | Reduction::Argmin) && axes.len() != 1 && axes.len() != rank {
            return Err(Error::invalid(format!(
                "{} finds a place along one axis or in the whole tensor, not along {axes:?}",
                kind.name()
            )));
        }
        let shape: Vec<usize> = (tensor.shape.iter().enumerate())
            .filter_map(|(place, len)| match axes.contains(&place) {
                true => self.keepdims.then_some(1),
                false => Some(*len),
            })
            .collect();
        let result = with_number!(tensor.dtype, N => lanes::<N>(tensor, &axes, |lane, lanes| {
            self.reduce(cx, tensor.dtype, &shape, lane, lanes)
        }))?;
        let dtype = match kind {
            Reduction::Min | Reduction::Max => tensor.dtype,
            Reduction::Sum | Reduction::Prod if tensor.dtype.is_float() => tensor.dtype,
            Reduction::Mean | Reduction::Std | Reduction::Var => floating(tensor.dtype),
            _ => result.dtype,
        };
        Ok(result.cast(dtype)?)
    }
}

impl Reduce {
    /// Reduces each lane of `len` elements; `dtype` is the tensor's, which booleans and `float16` are not read as.
    fn reduce<N: Number>(
        &self,
        cx: &Context,
        dtype: DType,
        shape: &[usize],
        len: usize,
        lanes: &[N],
    ) -> Result<Tensor> {
        let kind = self.reduction;
        let extreme = matches!(kind, Reduction::Min | Reduction::Max | Reduction::Argmax | Reduction::Argmin);
        if len == 0 && extreme {
            return Err(Error::invalid(format!(
                "no elements along the axes: {} of nothing is not defined",
                kind.name()
            )));
        }
        let lanes = Lanes { shape, len, elements: lanes };
        cx.check()?;
        match kind {
            Reduction::Sum | Reduction::Prod if dtype.is_float() => {
                let reduce = |lane: &[N]| {
                    let numbers = lane.iter().map(|x| x.to_f64());
                    if kind == Reduction::Sum { numbers.sum::<f64>() } else { numbers.product() }
                };
                lanes.reduce(reduce)
            }
            Reduction::Sum | Reduction::Prod => {
                let sum = |lane: &[N]| lane.iter().fold(0i64, |sum, x| sum.wrapping_add(x.to_i64()));
                let product = |lane: &[N]| lane.iter().fold(1i64, |product, x| product.wrapping_mul(x.to_i64()));
                let reduce = |lane: &[N]| if kind == Reduction::Sum { sum(lane) } else { product(lane) };
                if is_unsigned(dtype) { lanes.reduce(|lane| reduce(lane) as u64) } else { lanes.reduce(reduce) }
            }
            Reduction::Mean => lanes.reduce(mean),
            Reduction::Var => lanes.reduce(|lane| variance(lane, self.ddof)),
            Reduction::Std => lanes.reduce(|lane| variance(lane, self.ddof).sqrt()),
            Reduction::Min => lanes.reduce(|lane| lane.iter().copied().reduce(N::least).unwrap_or(N::from_f64(0.0))),
            Reduction::Max => lanes.reduce(|lane| lane.iter().copied().reduce(N::greatest).unwrap_or(N::from_f64(0.0))),
            Reduction::Argmin => lanes.reduce(|lane| first(lane, |x, best| x < best)),
            Reduction::Argmax => lanes.reduce(|lane| first(lane, |x, best| x > best)),
            Reduction::Any => lanes.reduce(|lane| lane.iter().any(|x| x.to_f64() != 0.0)),
            Reduction::All => lanes.reduce(|lane| lane.iter().all(|x| x.to_f64() != 0.0)),
        }
    }
}

/// All elements lane by lane, and the shape of the result that has one element for each lane.
struct Lanes<'a, N> {
    shape: &'a [usize],
    len: usize,
    elements: &'a [N],
}

impl<N> Lanes<'_, N> {
    fn reduce<T: Element>(&self, reduce: impl Fn(&[N]) -> T) -> Result<Tensor> {
        let count = size(self.shape, T::DTYPE)?;
        let lane = |place: usize| self.elements.get(place * self.len..(place + 1) * self.len).unwrap_or_default();
        let elements: Vec<T> = (0..count).map(|place| reduce(lane(place))).collect();
        Ok(Tensor::from_slice(self.shape, &elements)?)
    }
}

/// The arithmetic mean; NaN of nothing.
pub(super) fn mean<N: Number>(lane: &[N]) -> f64 {
    lane.iter().map(|x| x.to_f64()).sum::<f64>() / lane.len() as f64
}

/// The mean square distance from the mean, over `len - ddof`.
pub(super) fn variance<N: Number>(lane: &[N], ddof: f64) -> f64 {
    let mean = mean(lane);
    let squares = lane.iter().map(|x| (x.to_f64() - mean).powi(2)).sum::<f64>();
    // Nothing left to divide by is NaN or infinity, never a negative variance.
    squares / (lane.len() as f64 - ddof).max(0.0)
}

/// The place of the first element that none is `better` than; of the first NaN if there is one.
fn first<N: Number>(lane: &[N], better: impl Fn(&N, &N) -> bool) -> i64 {
    let mut best = 0;
    let mut value = None;
    for (place, x) in lane.iter().enumerate() {
        if x.is_nan() {
            return place as i64;
        }
        if value.is_none_or(|value| better(x, value)) {
            (best, value) = (place, Some(x));
        }
    }
    best as i64
}

/// Calls `use_lanes` with the length of a lane along the axes together, and all elements lane by lane.
fn lanes<N: Number>(
    tensor: &Tensor,
    axes: &[usize],
    use_lanes: impl FnOnce(usize, &[N]) -> Result<Tensor>,
) -> Result<Tensor> {
    let array = tensor.to_array_as::<N>()?;
    let kept = (0..array.ndim()).filter(|axis| !axes.contains(axis));
    let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
    let len = axes.iter().filter_map(|axis| tensor.shape.get(*axis)).product();
    let array = array.permuted_axes(order);
    match array.as_slice() {
        Some(elements) => use_lanes(len, elements),
        None => use_lanes(len, &array.iter().copied().collect::<Vec<N>>()),
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{assert_close, floats, output, tensor};
    use super::*;

    fn reduce(value: Value, kind: &str, axes: impl millwork_worker::convert::IntoWire) -> Result<Tensor> {
        let call = NodeTest::new::<Reduce>().field("tensor", value).field("reduction", kind).field("axes", axes);
        call.run().map(|emitted| output(&emitted))
    }

    /// Expected values from NumPy 2.4: `a = np.array([[3, 1, 2], [9, 7, 8]], "f4"); a.sum(0), a.std(1), …`.
    #[test]
    fn along_one_axis() {
        let a = tensor(&[2, 3], &[3f32, 1.0, 2.0, 9.0, 7.0, 8.0]);
        let cases: [(&str, i64, &[f64]); 11] = [
            ("sum", 0, &[12.0, 8.0, 10.0]),
            ("mean", 1, &[2.0, 8.0]),
            ("min", 1, &[1.0, 7.0]),
            ("max", 0, &[9.0, 7.0, 8.0]),
            ("prod", -1, &[6.0, 504.0]),
            ("argmax", 1, &[0.0, 0.0]),
            ("argmin", 1, &[1.0, 1.0]),
            ("std", 1, &[0.816_496_6, 0.816_496_6]),
            ("var", 0, &[9.0, 9.0, 9.0]),
            ("any", 0, &[1.0, 1.0, 1.0]),
            ("all", 1, &[1.0, 1.0]),
        ];
        for (kind, axis, expected) in cases {
            assert_close(&reduce(a.clone(), kind, axis).unwrap(), expected, 1e-7);
        }
    }

    #[test]
    fn several_axes_and_keepdims() {
        // np.arange(24).reshape(2, 3, 4).sum((0, 2)) and .argmax()
        let a = tensor(&[2, 3, 4], &(0..24).collect::<Vec<i32>>());
        let sum = reduce(a.clone(), "sum", vec![0, -1]).unwrap();
        assert_eq!((sum.dtype, floats(&sum)), (DType::I64, vec![60.0, 92.0, 124.0]));
        let place = reduce(a.clone(), "argmax", Value::Nil).unwrap();
        assert_eq!((place.shape.len(), floats(&place)), (0, vec![23.0]));
        let kept = NodeTest::new::<Reduce>().field("tensor", a.clone()).field("axes", 1).field("keepdims", true);
        let kept = output(&kept.run().unwrap());
        assert_eq!((kept.shape.as_slice(), floats(&kept)[..2].to_vec()), ([2, 1, 4].as_slice(), vec![12.0, 15.0]));
        assert!(reduce(a.clone(), "argmax", vec![0, 1]).unwrap_err().message().contains("one axis or in the whole"));
        assert!(reduce(a.clone(), "sum", vec![1, -2]).unwrap_err().message().contains("twice"));
        assert!(reduce(a, "sum", 3).unwrap_err().message().contains("axis 3 does not exist"));
    }

    #[test]
    fn types_nan_and_nothing() {
        assert_eq!(
            reduce(tensor(&[2], &[u64::MAX, 2]), "sum", 0).unwrap().to_array::<u64>().unwrap().first(),
            Some(&1)
        );
        assert_eq!(reduce(tensor(&[2], &[200u8, 100]), "sum", 0).unwrap(), Tensor::from_slice(&[], &[300u64]).unwrap());
        assert_eq!(reduce(tensor(&[2], &[true, true]), "sum", 0).unwrap(), Tensor::from_slice(&[], &[2i64]).unwrap());
        assert_eq!(reduce(tensor(&[2], &[true, false]), "max", 0).unwrap().dtype, DType::Bool);
        assert_eq!(reduce(tensor(&[1], &[1i32]), "mean", 0).unwrap().dtype, DType::F64);
        let gaps = tensor(&[3], &[1f32, f32::NAN, 0.0]);
        assert!(floats(&reduce(gaps.clone(), "min", 0).unwrap())[0].is_nan());
        assert_eq!(floats(&reduce(gaps, "argmin", 0).unwrap()), [1.0]);
        let none = tensor::<f32>(&[2, 0], &[]);
        assert_eq!(floats(&reduce(none.clone(), "sum", 1).unwrap()), [0.0, 0.0]);
        assert!(floats(&reduce(none.clone(), "mean", 1).unwrap())[0].is_nan());
        assert!(reduce(none, "max", 1).unwrap_err().message().contains("max of nothing"));
        let sample =
            NodeTest::new::<Reduce>().field("tensor", tensor(&[3], &[1f64, 2.0, 3.0])).field("reduction", "var");
        assert_eq!(floats(&output(&sample.field("ddof", 1).run().unwrap())), [1.0]);
    }
}

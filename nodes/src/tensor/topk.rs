//! The largest or smallest elements along an axis, and where they are.

use std::cmp::Ordering;

use millwork_worker::prelude::*;
use ndarray::{ArrayD, Axis, IxDyn};

use super::axes::axis;
use super::number::{Number, with_number};
use super::size;

/// The k largest or smallest elements along an axis, best first, with their places. Of equal elements the first comes first.
#[derive(Node)]
#[node("tensor.TopK", title = "Top K")]
pub(super) struct TopK {
    /// The tensor.
    tensor: Tensor,
    /// How many.
    #[node(default = 5, min = 1)]
    k: usize,
    /// The axis that is searched; -1 is the last.
    #[node(default = -1)]
    axis: i64,
    /// The largest ones; otherwise the smallest.
    #[node(default = true)]
    largest: bool,
}

/// Both have the tensor's shape with k elements along the axis.
#[derive(Outputs)]
pub(super) struct Found {
    /// The elements.
    values: Tensor,
    /// Their places along the axis, `int64`.
    indices: Tensor,
}

impl Run for TopK {
    type Output = Found;

    fn run(self, cx: &Context) -> Result<Found> {
        let tensor = &self.tensor;
        let place = axis(self.axis, tensor.shape.len())?;
        let mut shape = tensor.shape.clone();
        let Some(len) = shape.get_mut(place) else { return Err(Error::invalid("the axis does not exist")) };
        if self.k > *len {
            return Err(Error::invalid(format!("k is {}, but axis {place} has only {len} elements", self.k)));
        }
        *len = self.k;
        size(&shape, DType::I64)?;
        with_number!(tensor.dtype, N => {
            let array = tensor.to_array_as::<N>()?;
            let (mut values, mut indices) = (ArrayD::<N>::from_elem(IxDyn(&shape), N::from_f64(0.0)), ArrayD::<i64>::zeros(IxDyn(&shape)));
            let outs = values.lanes_mut(Axis(place)).into_iter().zip(indices.lanes_mut(Axis(place)));
            for (lane, (mut best, mut places)) in array.lanes(Axis(place)).into_iter().zip(outs) {
                cx.check()?;
                let mut order: Vec<(N, i64)> = lane.iter().copied().zip(0..).collect();
                let better = |a: &(N, i64), b: &(N, i64)| compare(a.0, b.0, self.largest).then(a.1.cmp(&b.1));
                // Only the best are sorted.
                if self.k < order.len() {
                    order.select_nth_unstable_by(self.k, better);
                    order.truncate(self.k);
                }
                order.sort_unstable_by(better);
                for ((value, place), (to_value, to_place)) in order.into_iter().zip(best.iter_mut().zip(places.iter_mut())) {
                    (*to_value, *to_place) = (value, place);
                }
            }
            Ok(Found { values: Tensor::from_array(values).cast(tensor.dtype)?, indices: Tensor::from_array(indices) })
        })
    }
}

/// Best first; NaN last.
fn compare<N: Number>(a: N, b: N, largest: bool) -> Ordering {
    let order = if largest { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
    order.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{floats, slot, tensor};
    use super::*;

    #[test]
    fn best_first_with_their_places() {
        let values = tensor(&[2, 4], &[3f32, f32::NAN, 9.0, 3.0, -1.0, -5.0, -2.0, -9.0]);
        let call = |k: i64, axis: i64, largest: bool| {
            let call = NodeTest::new::<TopK>().field("tensor", values.clone()).field("k", k).field("axis", axis);
            call.field("largest", largest).run()
        };
        let found = call(2, 1, true).unwrap();
        assert_eq!(floats(&slot(&found, "values")), [9.0, 3.0, -1.0, -2.0]);
        assert_eq!(floats(&slot(&found, "indices")), [2.0, 0.0, 0.0, 2.0]);
        assert_eq!(slot(&found, "values").shape, [2, 2]);
        let found = call(1, 0, false).unwrap();
        assert_eq!(floats(&slot(&found, "values")), [-1.0, -5.0, -2.0, -9.0]);
        assert_eq!(floats(&slot(&found, "indices")), [1.0; 4]);
        let all = call(4, 1, true).unwrap();
        assert_eq!(floats(&slot(&all, "indices"))[..4], [2.0, 0.0, 3.0, 1.0]);
        assert_eq!(call(5, 1, true).unwrap_err().message(), "k is 5, but axis 1 has only 4 elements");
        assert!(call(0, 1, true).unwrap_err().message().contains("field `k`: must be at least 1"));
    }
}

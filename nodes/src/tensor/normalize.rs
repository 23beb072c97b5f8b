//! Lanes scaled as a whole: softmax and the usual normalizations.

use millwork_worker::prelude::*;
use ndarray::{ArrayD, ArrayViewMut1, Axis};

use super::axes::axis;
use super::number::{Number, floating, with_float};
use super::reduce::{mean, variance};
use super::size;

/// Changes each lane along an axis in place, or all elements as one lane.
fn by_lane(tensor: &Tensor, along: Option<i64>, change: impl Fn(&mut [f64])) -> Result<Tensor> {
    let dtype = floating(tensor.dtype);
    size(&tensor.shape, dtype)?;
    with_float!(dtype, F => {
        let mut array: ArrayD<F> = tensor.to_array_as::<F>()?;
        let mut lane = Vec::new();
        let mut apply = |mut view: ArrayViewMut1<'_, F>| {
            lane.clear();
            lane.extend(view.iter().map(|x| x.to_f64()));
            change(&mut lane);
            view.iter_mut().zip(&lane).for_each(|(x, new)| *x = F::from_f64(*new));
        };
        match along {
            Some(along) => {
                let place = axis(along, array.ndim())?;
                array.lanes_mut(Axis(place)).into_iter().for_each(&mut apply);
            }
            None => {
                let elements = array.len();
                let mut flat = array.into_shape_with_order(elements)?;
                apply(flat.view_mut());
                array = flat.into_shape_with_order(tensor.shape.as_slice())?;
            }
        }
        Ok(Tensor::from_array(array).cast(dtype)?)
    })
}

/// Turns scores into shares that add up to 1 along an axis: `exp(x) / sum(exp(x))`, safe for large scores.
#[derive(Node)]
#[node("tensor.Softmax")]
pub(super) struct Softmax {
    /// The scores. Whole numbers give `float64`.
    tensor: Tensor,
    /// The axis that adds up to 1; -1 is the last.
    #[node(default = -1)]
    axis: i64,
}

impl Run for Softmax {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        by_lane(&self.tensor, Some(self.axis), |lane| {
            // Taking the largest away changes nothing but keeps exp finite.
            let largest = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            lane.iter_mut().for_each(|x| *x = (*x - largest).exp());
            let sum: f64 = lane.iter().sum();
            lane.iter_mut().for_each(|x| *x /= sum);
        })
    }
}

/// How numbers are scaled.
#[derive(Choice, Debug, Clone, Copy)]
enum Scaling {
    /// The absolute values add up to 1.
    L1,
    /// The squares add up to 1.
    L2,
    /// The smallest becomes 0, the largest 1.
    MinMax,
    /// The mean becomes 0, the standard deviation 1.
    ZScore,
}

/// Scales the elements along an axis, or all of them, to a common measure. What cannot be scaled, being all 0 or all the
/// same, becomes 0.
#[derive(Node)]
#[node("tensor.Normalize")]
pub(super) struct Normalize {
    /// The tensor. Whole numbers give `float64`.
    tensor: Tensor,
    /// l1: absolute values add up to 1. l2: squares add up to 1. min_max: from 0 to 1. z_score: mean 0 and standard deviation 1.
    #[node(default = Scaling::L2)]
    method: Scaling,
    /// The axis to scale along, -1 is the last; without it all elements are scaled together.
    axis: Option<i64>,
}

impl Run for Normalize {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        by_lane(&self.tensor, self.axis, |lane| {
            let (offset, scale) = match self.method {
                Scaling::L1 => (0.0, lane.iter().map(|x| x.abs()).sum()),
                Scaling::L2 => (0.0, lane.iter().map(|x| x * x).sum::<f64>().sqrt()),
                Scaling::MinMax => {
                    let low = lane.iter().copied().fold(f64::INFINITY, f64::min);
                    let high = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    (low, high - low)
                }
                Scaling::ZScore => (mean(lane), variance(lane, 0.0).sqrt()),
            };
            // A scale of 0 means that every element is the offset.
            let scale = if scale == 0.0 { 1.0 } else { scale };
            lane.iter_mut().for_each(|x| *x = (*x - offset) / scale);
        })
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{assert_close, output, tensor};
    use super::*;

    /// Expected values from `scipy.special.softmax([[1, 2, 3], [1000, 1000, 0]], axis)`.
    #[test]
    fn shares() {
        let scores = tensor(&[2, 3], &[1f64, 2.0, 3.0, 1000.0, 1000.0, 0.0]);
        let softmax =
            |value: Value, axis: i64| NodeTest::new::<Softmax>().field("tensor", value).field("axis", axis).run();
        let rows = output(&softmax(scores.clone(), -1).unwrap());
        assert_close(
            &rows,
            &[0.090_030_573_170_380_46, 0.244_728_471_054_797_64, 0.665_240_955_774_821_9, 0.5, 0.5, 0.0],
            1e-15,
        );
        let columns = output(&softmax(scores.clone(), 0).unwrap());
        assert_close(&columns, &[0.0, 0.0, 0.952_574_126_822_433, 1.0, 1.0, 0.047_425_873_177_566_78], 1e-15);
        assert!(softmax(scores, 2).unwrap_err().message().contains("axis 2 does not exist"));
        assert!(softmax(tensor(&[], &[1f32]), -1).unwrap_err().message().contains("single number"));
        assert!(output(&softmax(tensor::<f32>(&[0], &[]), 0).unwrap()).is_empty());
    }

    #[test]
    fn each_method() {
        let values = tensor(&[2, 2], &[3f64, -4.0, 0.0, 0.0]);
        let call = |method: &str, axis: Option<i64>| {
            let call = NodeTest::new::<Normalize>().field("tensor", values.clone()).field("method", method);
            output(&call.field("axis", axis).run().unwrap())
        };
        assert_close(&call("l2", Some(1)), &[0.6, -0.8, 0.0, 0.0], 1e-15);
        assert_close(&call("l1", Some(1)), &[3.0 / 7.0, -4.0 / 7.0, 0.0, 0.0], 1e-15);
        assert_close(&call("min_max", None), &[1.0, 0.0, 4.0 / 7.0, 4.0 / 7.0], 1e-15);
        // (a - a.mean()) / a.std()
        let z = [1.306_549_159_836_975_6, -1.507_556_722_888_818, 0.100_503_781_525_921_2, 0.100_503_781_525_921_2];
        assert_close(&call("z_score", None), &z, 1e-12);
        assert_close(&call("z_score", Some(0)), &[1.0, -1.0, -1.0, 1.0], 1e-12);
    }
}

//! What a tensor is like, in a few numbers.

use millwork_worker::prelude::*;

use super::reduce::{mean, variance};

/// Describes a tensor: its shape and type, range, mean, spread, how much is not a number, and a histogram. NaN and
/// infinities are counted and left out of all else.
#[derive(Node)]
#[node("tensor.Stats")]
pub(super) struct Stats {
    /// The tensor.
    tensor: Tensor,
    /// How many equal ranges the histogram counts between the smallest and the largest element; 0 for none.
    #[node(default = 10, min = 0, max = 10_000)]
    bins: usize,
}

/// Without a finite element there is no min, max, mean or std, and the histogram is empty.
#[derive(Outputs)]
pub(super) struct Description {
    /// The length of each axis.
    shape: Vec<usize>,
    /// The type of the elements, as `float32`.
    dtype: String,
    /// How many elements there are.
    count: usize,
    /// The smallest.
    min: Option<f64>,
    /// The largest.
    max: Option<f64>,
    /// The arithmetic mean.
    mean: Option<f64>,
    /// The standard deviation, over all elements.
    std: Option<f64>,
    /// How many are NaN.
    nan_count: usize,
    /// How many are infinite.
    inf_count: usize,
    /// How many fall in each range.
    histogram: Vec<usize>,
    /// Where the ranges begin and end: one more than there are.
    bin_edges: Vec<f64>,
}

impl Run for Stats {
    type Output = Description;

    fn run(self, cx: &Context) -> Result<Description> {
        let mut elements = self.tensor.to_array_as::<f64>()?.into_raw_vec_and_offset().0;
        let count = elements.len();
        let nan_count = elements.iter().filter(|x| x.is_nan()).count();
        elements.retain(|x| x.is_finite());
        cx.check()?;
        let some = |value: f64| (!elements.is_empty()).then_some(value);
        let min = some(elements.iter().copied().fold(f64::INFINITY, f64::min));
        let max = some(elements.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        let (histogram, bin_edges) = match (min, max) {
            (Some(min), Some(max)) if self.bins > 0 => histogram(&elements, min, max, self.bins),
            _ => (Vec::new(), Vec::new()),
        };
        Ok(Description {
            dtype: self.tensor.dtype.name().to_owned(),
            count,
            min,
            max,
            mean: some(mean(&elements)),
            std: some(variance(&elements, 0.0).sqrt()),
            nan_count,
            inf_count: count - nan_count - elements.len(),
            histogram,
            bin_edges,
            shape: self.tensor.shape,
        })
    }
}

/// As `numpy.histogram`: the last range includes its end; a range of nothing is widened by a half to both sides.
fn histogram(elements: &[f64], min: f64, max: f64, bins: usize) -> (Vec<usize>, Vec<f64>) {
    let (low, high) = if min < max { (min, max) } else { (min - 0.5, max + 0.5) };
    // Halves, because the whole width of the largest floats is infinite.
    let width = high / 2.0 - low / 2.0;
    let share = |x: f64| (x / 2.0 - low / 2.0) / width;
    let mut counts = vec![0; bins];
    for x in elements {
        let place = ((share(*x) * bins as f64) as usize).min(bins - 1);
        if let Some(count) = counts.get_mut(place) {
            *count += 1;
        }
    }
    let edge = |i: usize| {
        let share = i as f64 / bins as f64;
        low * (1.0 - share) + high * share
    };
    (counts, (0..=bins).map(edge).collect())
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::tensor;
    use super::*;

    fn stats(value: Value, bins: i64) -> serde_json::Value {
        let emitted = NodeTest::new::<Stats>().field("tensor", value).field("bins", bins).run().unwrap();
        Value::Map(emitted.outputs).to_json()
    }

    /// Expected values from NumPy: `np.histogram([1, 2, 2, 4], 3)` and so on.
    #[test]
    fn a_few_numbers() {
        let found = stats(tensor(&[2, 3], &[1f32, 2.0, 2.0, 4.0, f32::NAN, f32::INFINITY]), 3);
        let expected = serde_json::json!({
            "shape": [2, 3], "dtype": "float32", "count": 6, "min": 1.0, "max": 4.0, "mean": 2.25,
            "std": 1.089_724_735_885_168_4, "nan_count": 1, "inf_count": 1,
            "histogram": [1, 2, 1], "bin_edges": [1.0, 2.0, 3.0, 4.0],
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_much() {
        let same = stats(tensor(&[2], &[5u8, 5]), 2);
        assert_eq!(
            (&same["histogram"], &same["bin_edges"]),
            (&serde_json::json!([0, 2]), &serde_json::json!([4.5, 5.0, 5.5]))
        );
        let none = stats(tensor::<f64>(&[0], &[]), 2);
        assert_eq!(
            (&none["min"], &none["mean"], &none["histogram"]),
            (&serde_json::Value::Null, &serde_json::Value::Null, &serde_json::json!([]))
        );
        let wide = stats(tensor(&[2], &[f64::MIN, f64::MAX]), 2);
        assert_eq!(wide["histogram"], serde_json::json!([1, 1]));
    }
}

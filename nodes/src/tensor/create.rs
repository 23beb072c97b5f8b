//! Tensors from nothing but numbers: filled, counted, random.

use millwork_worker::prelude::*;

use super::number::DTypeName;
use super::{MAX_BYTES, size};

/// What a new tensor is filled with.
#[derive(Choice, Debug, Clone, Copy)]
enum Fill {
    /// 0 everywhere.
    Zeros,
    /// 1 everywhere.
    Ones,
    /// `value` everywhere.
    Constant,
    /// 1 on the diagonal of a matrix, 0 elsewhere.
    Eye,
}

fn lengths(shape: &[i64]) -> Result<Vec<usize>> {
    let length = |n: &i64| usize::try_from(*n).map_err(|_| Error::invalid(format!("field `shape`: {n} is no length")));
    shape.iter().map(length).collect()
}

/// Makes a tensor with the same number everywhere, or an identity matrix.
#[derive(Node)]
#[node("tensor.Create")]
pub(super) struct Create {
    /// The length of each axis; an empty list makes a single number.
    shape: Vec<i64>,
    /// What stands in it: zeros, ones, the constant `value`, or ones on the diagonal of a matrix.
    #[node(default = Fill::Zeros)]
    fill: Fill,
    /// The constant.
    #[node(default = 0.0)]
    value: f64,
    /// The type of the elements.
    #[node(default = DTypeName::Float32)]
    dtype: DTypeName,
}

impl Run for Create {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let (shape, dtype) = (lengths(&self.shape)?, DType::from(self.dtype));
        let count = size(&shape, dtype)?;
        let element = |value: f64| Ok::<_, Error>(Tensor::from_slice(&[], &[value])?.cast(dtype)?.data);
        let value = match self.fill {
            Fill::Zeros | Fill::Eye => 0.0,
            Fill::Ones => 1.0,
            Fill::Constant => self.value,
        };
        let mut data = element(value)?.repeat(count);
        if let Fill::Eye = self.fill {
            let [_, columns] = shape.as_slice() else {
                return Err(Error::invalid(format!("field `shape`: a diagonal needs rows and columns, not {shape:?}")));
            };
            let one = element(1.0)?;
            let places = data.chunks_exact_mut(one.len()).step_by(columns + 1);
            places.take(*columns).for_each(|place| place.copy_from_slice(&one));
        }
        Ok(Tensor::new(dtype, shape, data.into())?)
    }
}

/// Makes a tensor of numbers that you list: `[[1, 2], [3, 4]]`.
#[derive(Node)]
#[node("tensor.FromList")]
pub(super) struct FromList {
    /// Nested lists of numbers, one level for each axis, all of a level of the same length.
    values: Tensor,
    /// The type of the elements; without it whole numbers become `int64`, booleans `bool`, all else `float32`.
    dtype: Option<DTypeName>,
}

impl Run for FromList {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let dtype = self.dtype.map_or(self.values.dtype, DType::from);
        size(&self.values.shape, dtype)?;
        Ok(self.values.cast(dtype)?)
    }
}

/// `count` numbers, each made from its place.
fn counted(count: f64, dtype: DType, number: impl Fn(f64) -> f64) -> Result<Tensor> {
    // 8 bytes each while they are made.
    if count * 8.0 > MAX_BYTES as f64 {
        return Err(Error::invalid(format!("that makes {count} elements; at most {} are allowed", MAX_BYTES / 8)));
    }
    let numbers: Vec<f64> = (0..count as usize).map(|i| number(i as f64)).collect();
    Ok(Tensor::from_slice(&[numbers.len()], &numbers)?.cast(dtype)?)
}

/// Counts from a start towards a stop in equal steps; the stop itself is left out.
#[derive(Node)]
#[node("tensor.Range")]
pub(super) struct Range {
    /// The first number.
    #[node(default = 0.0)]
    start: f64,
    /// Where it ends, before this number.
    stop: f64,
    /// From each number to the next; negative to count down.
    #[node(default = 1.0)]
    step: f64,
    /// The type of the elements.
    #[node(default = DTypeName::Float32)]
    dtype: DTypeName,
}

impl Run for Range {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let count = ((self.stop - self.start) / self.step).ceil();
        if self.step == 0.0 || !count.is_finite() {
            let Self { start, stop, step, .. } = self;
            return Err(Error::invalid(format!(
                "a range from {start} to {stop} by {step} has no end: step must not be 0"
            )));
        }
        counted(count.max(0.0), self.dtype.into(), |i| self.start + i * self.step)
    }
}

/// Makes numbers at equal distances from a start to a stop, both included.
#[derive(Node)]
#[node("tensor.Linspace")]
pub(super) struct Linspace {
    /// The first number.
    #[node(default = 0.0)]
    start: f64,
    /// The last number.
    #[node(default = 1.0)]
    stop: f64,
    /// How many there are.
    #[node(default = 50, min = 0, max = 134_217_728)]
    count: usize,
    /// The type of the elements.
    #[node(default = DTypeName::Float32)]
    dtype: DTypeName,
}

impl Run for Linspace {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let last = self.count.saturating_sub(1) as f64;
        counted(self.count as f64, self.dtype.into(), |i| {
            // The end is exact, whatever rounding does on the way.
            if i > 0.0 && i == last { self.stop } else { self.start + (self.stop - self.start) / last.max(1.0) * i }
        })
    }
}

/// How random numbers are spread.
#[derive(Choice, Debug, Clone, Copy)]
enum Distribution {
    /// Evenly from `low` to `high`.
    Uniform,
    /// Around `mean`, with the standard deviation `std`.
    Normal,
}

/// Makes random numbers. The same seed gives the same numbers, on every machine.
#[derive(Node)]
#[node("tensor.Random")]
pub(super) struct Random {
    /// The length of each axis; an empty list makes a single number.
    shape: Vec<i64>,
    /// uniform: evenly from low to high. normal: around mean, with the standard deviation std.
    #[node(default = Distribution::Uniform)]
    distribution: Distribution,
    /// For uniform: the smallest number.
    #[node(default = 0.0)]
    low: f64,
    /// For uniform: the end, which is left out.
    #[node(default = 1.0)]
    high: f64,
    /// For normal: the mean.
    #[node(default = 0.0)]
    mean: f64,
    /// For normal: the standard deviation.
    #[node(default = 1.0, min = 0.0)]
    std: f64,
    /// Where the sequence starts.
    #[node(default = 0)]
    seed: u64,
    /// The type of the elements; whole types cut the fraction.
    #[node(default = DTypeName::Float32)]
    dtype: DTypeName,
}

impl Run for Random {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let shape = lengths(&self.shape)?;
        let count = size(&shape, DType::F64)?;
        if self.low > self.high {
            return Err(Error::invalid(format!("`low` is {}, above `high`, which is {}", self.low, self.high)));
        }
        let mut random = SplitMix64(self.seed);
        let numbers: Vec<f64> = match self.distribution {
            Distribution::Uniform => (0..count).map(|_| self.low + (self.high - self.low) * random.unit()).collect(),
            Distribution::Normal => (0..count).map(|_| self.mean + self.std * random.normal()).collect(),
        };
        Ok(Tensor::from_slice(&shape, &numbers)?.cast(self.dtype.into())?)
    }
}

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0, included, to 1, not included, with 53 random bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0 and standard deviation 1, by the Box–Muller transform.
    fn normal(&mut self) -> f64 {
        // 1 - x is never 0, and so its logarithm is finite.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{assert_close, floats, output, tensor};
    use super::*;

    #[test]
    fn filled() {
        let create = |fill: &str, shape: Vec<i64>| {
            NodeTest::new::<Create>().field("shape", shape).field("fill", fill).field("value", 2.5).run()
        };
        assert_eq!(floats(&output(&create("zeros", vec![2]).unwrap())), [0.0, 0.0]);
        assert_eq!(floats(&output(&create("constant", vec![]).unwrap())), [2.5]);
        assert_eq!(floats(&output(&create("eye", vec![3, 2]).unwrap())), [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(floats(&output(&create("eye", vec![2, 3]).unwrap())), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(output(&create("ones", vec![0, 4]).unwrap()).is_empty());
        assert!(create("ones", vec![-1]).unwrap_err().message().contains("-1 is no length"));
        assert!(create("eye", vec![3]).unwrap_err().message().contains("rows and columns"));
        let huge = create("ones", vec![1 << 40, 1 << 40]).unwrap_err();
        assert!(huge.message().contains("more bytes than can be counted"), "{huge}");
        assert!(create("ones", vec![1 << 29]).unwrap_err().message().contains("takes 2147483648 bytes"));
    }

    #[test]
    fn listed() {
        let list = |values: Value| NodeTest::new::<FromList>().field("values", values);
        let whole = Value::List(vec![vec![1, 2].into(), vec![3, 4].into()]);
        assert_eq!(Value::from(output(&list(whole.clone()).run().unwrap())), tensor(&[2, 2], &[1i64, 2, 3, 4]));
        let bytes = output(&list(whole).field("dtype", "uint8").run().unwrap());
        assert_eq!(bytes.data.as_ref(), [1, 2, 3, 4]);
        let ragged = list(Value::List(vec![vec![1, 2].into(), vec![3].into()])).run().unwrap_err();
        assert!(ragged.message().contains("same lengths"), "{ragged}");
    }

    #[test]
    fn counted_out() {
        let range = |start: f64, stop: f64, step: f64| {
            NodeTest::new::<Range>().field("start", start).field("stop", stop).field("step", step).run()
        };
        assert_eq!(floats(&output(&range(0.0, 3.0, 1.0).unwrap())), [0.0, 1.0, 2.0]);
        assert_eq!(floats(&output(&range(1.0, -1.0, -0.75).unwrap())), [1.0, 0.25, -0.5]);
        assert!(output(&range(3.0, 0.0, 1.0).unwrap()).is_empty());
        assert!(range(0.0, 1.0, 0.0).unwrap_err().message().contains("must not be 0"));
        assert!(range(0.0, 1e12, 1.0).unwrap_err().message().contains("at most 134217728"));
        let spaced = |count: i64| {
            output(
                &NodeTest::new::<Linspace>()
                    .field("stop", 0.3)
                    .field("count", count)
                    .field("dtype", "float64")
                    .run()
                    .unwrap(),
            )
        };
        assert_close(&spaced(4), &[0.0, 0.1, 0.2, 0.3], 1e-16);
        assert_eq!((floats(&spaced(1)), floats(&spaced(0)).len()), (vec![0.0], 0));
    }

    #[test]
    fn random_numbers_repeat_and_are_spread_as_asked() {
        // The reference implementation's first numbers for this seed.
        let mut random = SplitMix64(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        let draw = |distribution: &str, seed: i64| {
            let call = NodeTest::new::<Random>().field("shape", vec![100_000]).field("distribution", distribution);
            floats(&output(&call.field("low", -1).field("std", 2).field("mean", 5).field("seed", seed).run().unwrap()))
        };
        assert_eq!(draw("normal", 7), draw("normal", 7));
        assert_ne!(draw("normal", 7), draw("normal", 8));
        let moments =
            |numbers: &[f64]| (super::super::reduce::mean(numbers), super::super::reduce::variance(numbers, 0.0));
        let uniform = draw("uniform", 1);
        assert!(uniform.iter().all(|x| (-1.0..=1.0).contains(x)));
        // Tolerances of five standard errors.
        let (mean, variance) = moments(&uniform);
        assert!(mean.abs() < 0.0092 && (variance - 1.0 / 3.0).abs() < 0.005, "{mean} {variance}");
        let (mean, variance) = moments(&draw("normal", 1));
        assert!((mean - 5.0).abs() < 0.032 && (variance - 4.0).abs() < 0.09, "{mean} {variance}");
    }
}

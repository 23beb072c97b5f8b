//! One tensor into another of the same shape, element by element; also into other types and into lists.

use millwork_worker::convert::Element;
use millwork_worker::prelude::*;

use super::number::{DTypeName, Number, floating, with_float, with_number};
use super::size;

/// The most elements that become a list.
const MAX_LISTED: usize = 1_000_000;

/// Applies a function to each element, read as `T`.
fn map<T: Element, R: Element>(tensor: &Tensor, apply: impl Fn(T) -> R) -> Result<Tensor> {
    Ok(Tensor::from_array(tensor.to_array_as::<T>()?.mapv(apply)))
}

/// Applies a function of real numbers: floats stay what they are, whole numbers become `float64`.
fn map_real(tensor: &Tensor, apply: impl Fn(f64) -> f64) -> Result<Tensor> {
    let dtype = floating(tensor.dtype);
    size(&tensor.shape, dtype)?;
    let result = with_float!(dtype, F => map(tensor, |x: F| F::from_f64(apply(x.to_f64()))))?;
    Ok(result.cast(dtype)?)
}

macro_rules! real_nodes {
    ($($(#[$doc:meta])* $name:ident, $node_type:literal, $apply:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Node)]
        #[node($node_type)]
        pub(super) struct $name {
            /// The tensor. Floats keep their type; whole numbers and booleans give `float64`.
            tensor: Tensor,
        }

        impl Run for $name {
            type Output = Tensor;

            fn run(self, _: &Context) -> Result<Tensor> {
                map_real(&self.tensor, $apply)
            }
        }
    )*};
}
real_nodes! {
    /// Raises e to the power of each element.
    Exp, "tensor.Exp", f64::exp;
    /// The natural logarithm of each element: minus infinity for 0, NaN below.
    Log, "tensor.Log", f64::ln;
    /// The square root of each element: NaN below 0.
    Sqrt, "tensor.Sqrt", f64::sqrt;
}

/// The distance of each element from 0. The type stays.
#[derive(Node)]
#[node("tensor.Abs")]
pub(super) struct Abs {
    /// The tensor.
    tensor: Tensor,
}

impl Run for Abs {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let dtype = self.tensor.dtype;
        Ok(with_number!(dtype, N => map(&self.tensor, <N as Number>::magnitude))?.cast(dtype)?)
    }
}

/// Each element with its sign turned. The type stays, so unsigned whole numbers wrap around.
#[derive(Node)]
#[node("tensor.Negate")]
pub(super) struct Negate {
    /// The tensor; not of booleans.
    tensor: Tensor,
}

impl Run for Negate {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let dtype = self.tensor.dtype;
        if dtype == DType::Bool {
            return Err(Error::invalid("booleans have no sign: compare with false to turn them over"));
        }
        Ok(with_number!(dtype, N => map(&self.tensor, <N as Number>::negated))?.cast(dtype)?)
    }
}

/// Rounds each element to some digits behind the point; halves go to the even neighbour.
#[derive(Node)]
#[node("tensor.Round")]
pub(super) struct Round {
    /// The tensor. Whole numbers and booleans stay as they are.
    tensor: Tensor,
    /// How many digits behind the point are kept.
    #[node(default = 0, min = 0, max = 12)]
    decimals: i32,
}

impl Run for Round {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        if !self.tensor.dtype.is_float() {
            self.tensor.check()?;
            return Ok(self.tensor);
        }
        let scale = 10f64.powi(self.decimals);
        map_real(&self.tensor, |x| {
            let scaled = x * scale;
            if scaled.is_finite() { scaled.round_ties_even() / scale } else { x }
        })
    }
}

/// Limits each element to a range. The type stays; NaN stays NaN.
#[derive(Node)]
#[node("tensor.Clip")]
pub(super) struct Clip {
    /// The tensor.
    tensor: Tensor,
    /// What is smaller becomes this; without it there is no lower limit.
    low: Option<f64>,
    /// What is larger becomes this; without it there is no upper limit.
    high: Option<f64>,
}

impl Run for Clip {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        if let (Some(low), Some(high)) = (self.low, self.high)
            && low > high
        {
            return Err(Error::invalid(format!("`low` is {low}, above `high`, which is {high}")));
        }
        let dtype = self.tensor.dtype;
        let result = with_number!(dtype, N => {
            // A limit beyond what the type holds saturates, and so limits nothing; a whole number stays inside a fraction.
            let whole = !dtype.is_float();
            let low = self.low.map(|low| N::from_f64(if whole { low.ceil() } else { low }));
            let high = self.high.map(|high| N::from_f64(if whole { high.floor() } else { high }));
            map(&self.tensor, |x: N| match (low, high) {
                (Some(low), _) if x < low => low,
                (_, Some(high)) if x > high => high,
                _ => x,
            })
        });
        Ok(result?.cast(dtype)?)
    }
}

/// Converts the elements to another type: fractions are cut towards 0, floats beyond a whole type's range become its
/// limit and NaN becomes 0, whole numbers wrap around.
#[derive(Node)]
#[node("tensor.Cast")]
pub(super) struct Cast {
    /// The tensor.
    tensor: Tensor,
    /// The type that the elements get.
    #[node(default = DTypeName::Float32)]
    dtype: DTypeName,
}

impl Run for Cast {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let dtype = self.dtype.into();
        size(&self.tensor.shape, dtype)?;
        Ok(self.tensor.cast(dtype)?)
    }
}

/// Turns a tensor into nested lists of numbers, a list for each axis; a tensor without axes into one number.
#[derive(Node)]
#[node("tensor.ToList")]
pub(super) struct ToList {
    /// The tensor, of up to a million elements.
    tensor: Tensor,
}

impl Run for ToList {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        let (shape, dtype) = (&self.tensor.shape, self.tensor.dtype);
        self.tensor.check()?;
        if self.tensor.len() > MAX_LISTED {
            let len = self.tensor.len();
            return Err(Error::invalid(format!("the tensor has {len} elements; at most {MAX_LISTED} become a list")));
        }
        let elements: Vec<Value> = match dtype {
            DType::Bool => self.tensor.to_array_as::<bool>()?.into_iter().map(Value::from).collect(),
            DType::U64 => self.tensor.to_array_as::<u64>()?.into_iter().map(Value::from).collect(),
            _ if dtype.is_float() => self.tensor.to_array_as::<f64>()?.into_iter().map(Value::from).collect(),
            _ => self.tensor.to_array_as::<i64>()?.into_iter().map(Value::from).collect(),
        };
        Ok(nest(shape, &mut elements.into_iter()))
    }
}

fn nest(shape: &[usize], elements: &mut impl Iterator<Item = Value>) -> Value {
    match shape {
        [] => elements.next().unwrap_or_default(),
        // An axis of any length over one of 0: no lists without end.
        [_, inner @ ..] if inner.contains(&0) => Value::List(Vec::new()),
        [len, inner @ ..] => Value::List((0..*len).map(|_| nest(inner, elements)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::node::Node;
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{assert_close, floats, output, tensor};
    use super::*;

    fn call<N: Node>(value: Value) -> Tensor {
        output(&NodeTest::new::<N>().field("tensor", value).run().unwrap())
    }

    #[test]
    fn functions_of_real_numbers() {
        let values = tensor(&[3], &[0f64, 1.0, -4.0]);
        assert_close(&call::<Exp>(values.clone()), &[1.0, std::f64::consts::E, 0.018_315_638_888_734_18], 1e-15);
        assert_close(&call::<Log>(values.clone()), &[f64::NEG_INFINITY, 0.0, f64::NAN], 0.0);
        assert_close(&call::<Sqrt>(tensor(&[2], &[2i32, 9])), &[std::f64::consts::SQRT_2, 3.0], 1e-15);
        assert_eq!(call::<Exp>(tensor(&[1], &[1i32])).dtype, DType::F64);
        assert_eq!(call::<Exp>(tensor(&[1], &[1f32])).dtype, DType::F32);
    }

    #[test]
    fn signs() {
        assert_eq!(floats(&call::<Abs>(tensor(&[3], &[-3i8, 0, 3]))), [3.0, 0.0, 3.0]);
        assert_eq!(floats(&call::<Negate>(tensor(&[2], &[1u8, 0]))), [255.0, 0.0]);
        assert_eq!(floats(&call::<Negate>(tensor(&[1], &[2.5f32]))), [-2.5]);
        assert!(NodeTest::new::<Negate>().field("tensor", tensor(&[1], &[true])).run().is_err());
    }

    #[test]
    fn rounding_and_limits() {
        let rounded = |decimals| {
            let call = NodeTest::new::<Round>().field("tensor", tensor(&[4], &[0.5f64, 1.5, -2.345, f64::INFINITY]));
            output(&call.field("decimals", decimals).run().unwrap())
        };
        assert_eq!(floats(&rounded(0)), [0.0, 2.0, -2.0, f64::INFINITY]);
        assert_eq!(floats(&rounded(1)), [0.5, 1.5, -2.3, f64::INFINITY]);
        let clip = |low: Option<f64>, high: Option<f64>, value: Value| {
            NodeTest::new::<Clip>().field("tensor", value).field("low", low).field("high", high).run()
        };
        let values = tensor(&[3], &[-5i32, 3, 900]);
        assert_eq!(floats(&output(&clip(Some(0.5), Some(255.5), values.clone()).unwrap())), [1.0, 3.0, 255.0]);
        assert_eq!(floats(&output(&clip(None, Some(1e300), values.clone()).unwrap())), [-5.0, 3.0, 900.0]);
        assert!(clip(Some(2.0), Some(1.0), values).unwrap_err().message().contains("above `high`"));
        assert!(floats(&output(&clip(Some(0.0), Some(1.0), tensor(&[1], &[f32::NAN])).unwrap()))[0].is_nan());
    }

    #[test]
    fn types_and_lists() {
        let cast = NodeTest::new::<Cast>().field("tensor", tensor(&[2], &[1.9f32, -1.9])).field("dtype", "int8");
        let cast = output(&cast.run().unwrap());
        assert_eq!((cast.dtype, floats(&cast)), (DType::I8, vec![1.0, -1.0]));
        let unknown = NodeTest::new::<Cast>().field("tensor", 1).field("dtype", "int128").run().unwrap_err();
        assert!(unknown.message().contains("expected one of bool, int8, uint8"), "{unknown}");
        let list =
            |value: Value| NodeTest::new::<ToList>().field("tensor", value).run().map(|e| e.outputs["output"].clone());
        assert_eq!(list(tensor(&[2, 2], &[1u8, 2, 3, 4])).unwrap().to_json().to_string(), "[[1,2],[3,4]]");
        assert_eq!(list(tensor(&[], &[true])).unwrap(), Value::Bool(true));
        assert_eq!(list(tensor::<u8>(&[usize::MAX >> 1, 0], &[])).unwrap(), Value::List(vec![]));
        assert!(list(tensor(&[1_000_001], &[0u8; 1_000_001])).unwrap_err().message().contains("1000001 elements"));
    }
}

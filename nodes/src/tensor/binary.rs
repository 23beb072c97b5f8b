//! Two tensors into one, element by element, with NumPy's broadcasting and types.

use millwork_worker::convert::Element;
use millwork_worker::prelude::*;
use ndarray::{IxDyn, Zip};

use super::number::{Number, floating, with_float, with_number};
use super::operand::{Operand, common_shape, common_type};
use super::size;

#[derive(Debug, Clone, Copy)]
enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Minimum,
    Maximum,
}

macro_rules! nodes {
    ($($(#[$doc:meta])* $name:ident, $node_type:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Node)]
        #[node($node_type)]
        pub(super) struct $name {
            /// A tensor, or a number.
            a: Operand,
            /// A tensor whose shape goes together with the other's, or a number.
            b: Operand,
        }

        impl Run for $name {
            type Output = Tensor;

            fn run(self, _: &Context) -> Result<Tensor> {
                arithmetic(Op::$name, self.a, self.b)
            }
        }
    )*};
}
nodes! {
    /// Adds element by element. Shapes broadcast and types promote as in NumPy; whole numbers wrap around, booleans count as `int64`.
    Add, "tensor.Add";
    /// Takes b from a, element by element. Shapes broadcast and types promote as in NumPy; whole numbers wrap around, booleans count as `int64`.
    Subtract, "tensor.Subtract";
    /// Multiplies element by element. Shapes broadcast and types promote as in NumPy; whole numbers wrap around, booleans count as `int64`.
    Multiply, "tensor.Multiply";
    /// Divides a by b, element by element. Whole numbers give `float64`; by zero gives infinity or NaN.
    Divide, "tensor.Divide";
    /// Raises a to the power b, element by element. Whole numbers stay whole and wrap around; for a negative power one side must be a float.
    Power, "tensor.Power";
    /// The smaller of a and b, element by element; NaN where either is NaN.
    Minimum, "tensor.Minimum";
    /// The larger of a and b, element by element; NaN where either is NaN.
    Maximum, "tensor.Maximum";
}

fn arithmetic(op: Op, a: Operand, b: Operand) -> Result<Tensor> {
    let shape = common_shape(a.shape(), b.shape())?;
    let dtype = match (op, common_type(&a, &b)) {
        (Op::Divide, dtype) => floating(dtype),
        (Op::Minimum | Op::Maximum, dtype) => dtype,
        (_, DType::Bool) => DType::I64,
        (_, dtype) => dtype,
    };
    size(&shape, dtype)?;
    let (a, b) = (a.into_tensor(dtype).context("field `a`")?, b.into_tensor(dtype).context("field `b`")?);
    let result = match op {
        Op::Divide => with_float!(dtype, F => zip(&a, &b, &shape, |a: F, b: F| a / b)),
        Op::Add => with_number!(dtype, N => zip(&a, &b, &shape, <N as Number>::plus)),
        Op::Subtract => with_number!(dtype, N => zip(&a, &b, &shape, <N as Number>::minus)),
        Op::Multiply => with_number!(dtype, N => zip(&a, &b, &shape, <N as Number>::times)),
        Op::Minimum => with_number!(dtype, N => zip(&a, &b, &shape, <N as Number>::least)),
        Op::Maximum => with_number!(dtype, N => zip(&a, &b, &shape, <N as Number>::greatest)),
        Op::Power => with_number!(dtype, N => power::<N>(&a, &b, &shape)),
    }?;
    Ok(result.cast(dtype)?)
}

fn power<N: Number>(a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let zero = N::from_f64(0.0);
    if !b.dtype.is_float() && b.to_array_as::<N>()?.iter().any(|n| *n < zero) {
        return Err(Error::invalid("a whole number to a negative power is a fraction: cast one side to a float"));
    }
    zip(a, b, shape, |a: N, b: N| a.power(b).unwrap_or(zero))
}

/// Applies a function to each pair of elements, both stretched to a shape that they are known to broadcast to.
pub(super) fn zip<T: Element, R: Element>(
    a: &Tensor,
    b: &Tensor,
    shape: &[usize],
    apply: impl Fn(T, T) -> R,
) -> Result<Tensor> {
    let (a, b) = (a.to_array_as::<T>()?, b.to_array_as::<T>()?);
    let (Some(a), Some(b)) = (a.broadcast(IxDyn(shape)), b.broadcast(IxDyn(shape))) else {
        return Err(Error::invalid(format!("the tensors do not broadcast to {shape:?}")));
    };
    Ok(Tensor::from_array(Zip::from(a).and(b).map_collect(|a, b| apply(*a, *b))))
}

/// How two elements are compared.
#[derive(Choice, Debug, Clone, Copy)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Compares element by element and gives a tensor of booleans. Shapes broadcast as in NumPy; NaN equals nothing.
#[derive(Node)]
#[node("tensor.Compare")]
pub(super) struct Compare {
    /// A tensor, or a number.
    a: Operand,
    /// A tensor whose shape goes together with the other's, or a number.
    b: Operand,
    /// The question that is asked of a and b.
    #[node(default = Comparison::Equal)]
    comparison: Comparison,
}

impl Run for Compare {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let shape = common_shape(self.a.shape(), self.b.shape())?;
        let dtype = common_type(&self.a, &self.b);
        size(&shape, DType::Bool)?;
        let (a, b) = (self.a.into_tensor(dtype).context("field `a`")?, self.b.into_tensor(dtype).context("field `b`")?);
        with_number!(dtype, N => {
            let holds: fn(&N, &N) -> bool = match self.comparison {
                Comparison::Equal => PartialEq::eq,
                Comparison::NotEqual => PartialEq::ne,
                Comparison::Less => PartialOrd::lt,
                Comparison::LessOrEqual => PartialOrd::le,
                Comparison::Greater => PartialOrd::gt,
                Comparison::GreaterOrEqual => PartialOrd::ge,
            };
            zip(&a, &b, &shape, |a: N, b: N| holds(&a, &b))
        })
    }
}

/// Takes each element from one of two tensors, by a tensor of booleans. All three shapes broadcast as in NumPy.
#[derive(Node)]
#[node("tensor.Where")]
pub(super) struct Where {
    /// True, or any number but 0, where the element comes from `if_true`.
    condition: Tensor,
    /// A tensor, or a number.
    if_true: Operand,
    /// A tensor, or a number.
    if_false: Operand,
}

impl Run for Where {
    type Output = Tensor;

    fn run(self, _: &Context) -> Result<Tensor> {
        let shape = common_shape(&common_shape(self.if_true.shape(), self.if_false.shape())?, &self.condition.shape)?;
        let dtype = common_type(&self.if_true, &self.if_false);
        size(&shape, dtype)?;
        let a = self.if_true.into_tensor(dtype).context("field `if_true`")?;
        let b = self.if_false.into_tensor(dtype).context("field `if_false`")?;
        let condition = self.condition.to_array_as::<bool>().invalid("field `condition`")?;
        let result = with_number!(dtype, N => {
            let (a, b) = (a.to_array_as::<N>()?, b.to_array_as::<N>()?);
            let stretched = (condition.broadcast(shape.as_slice()), a.broadcast(shape.as_slice()), b.broadcast(shape.as_slice()));
            let (Some(condition), Some(a), Some(b)) = stretched else {
                return Err(Error::invalid(format!("the tensors do not broadcast to {shape:?}")));
            };
            Tensor::from_array(Zip::from(condition).and(a).and(b).map_collect(|c, a, b| if *c { *a } else { *b }))
        });
        Ok(result.cast(dtype)?)
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{floats, output, tensor};
    use super::*;

    fn call<N: millwork_worker::node::Node>(
        a: impl millwork_worker::convert::IntoWire,
        b: impl millwork_worker::convert::IntoWire,
    ) -> Result<Tensor> {
        NodeTest::new::<N>().field("a", a).field("b", b).run().map(|emitted| output(&emitted))
    }

    #[test]
    fn shapes_broadcast() {
        let column = tensor(&[2, 1], &[1f32, 2.0]);
        let row = tensor(&[3], &[10f32, 20.0, 30.0]);
        let sum = call::<Add>(column.clone(), row.clone()).unwrap();
        assert_eq!((sum.dtype, sum.shape.as_slice()), (DType::F32, [2, 3].as_slice()));
        assert_eq!(floats(&sum), [11.0, 21.0, 31.0, 12.0, 22.0, 32.0]);
        assert_eq!(floats(&call::<Subtract>(column, row).unwrap()), [-9.0, -19.0, -29.0, -8.0, -18.0, -28.0]);
        let error = call::<Add>(tensor(&[2, 3], &[0f32; 6]), tensor(&[2, 2], &[0f32; 4])).unwrap_err();
        assert_eq!(
            error.message(),
            "shapes [2, 3] and [2, 2] do not go together: axis 1 of the result would be both 3 and 2"
        );
    }

    #[test]
    fn types_promote_and_plain_numbers_are_weak() {
        let bytes = tensor(&[2], &[200u8, 100]);
        let wrapped = call::<Add>(bytes.clone(), 100).unwrap();
        assert_eq!((wrapped.dtype, floats(&wrapped)), (DType::U8, vec![44.0, 200.0]));
        let mixed = call::<Add>(bytes.clone(), tensor(&[1], &[-1i8])).unwrap();
        assert_eq!((mixed.dtype, floats(&mixed)), (DType::I16, vec![199.0, 99.0]));
        let half = call::<Multiply>(bytes.clone(), 0.5).unwrap();
        assert_eq!((half.dtype, floats(&half)), (DType::F64, vec![100.0, 50.0]));
        assert_eq!(call::<Multiply>(tensor(&[1], &[1f32]), 0.1).unwrap().dtype, DType::F32);
        assert_eq!(call::<Add>(tensor(&[2], &[true, true]), tensor(&[2], &[true, false])).unwrap().dtype, DType::I64);
        assert_eq!(call::<Add>(1, 2.5).unwrap(), Tensor::from_slice(&[], &[3.5f64]).unwrap());
        let error = call::<Add>(bytes.clone(), 300).unwrap_err();
        assert_eq!(error.message(), "field `b`: 300 does not fit uint8: cast the tensor first");
        assert!(call::<Add>(tensor(&[1], &[1u64]), -1).is_err());
    }

    #[test]
    fn each_operation() {
        let (a, b) = (tensor(&[3], &[7i64, -7, 2]), tensor(&[3], &[2i64, 2, 0]));
        assert_eq!(floats(&call::<Divide>(a.clone(), b.clone()).unwrap()), [3.5, -3.5, f64::INFINITY]);
        assert_eq!(floats(&call::<Power>(a.clone(), b.clone()).unwrap()), [49.0, 49.0, 1.0]);
        assert_eq!(floats(&call::<Minimum>(a.clone(), b.clone()).unwrap()), [2.0, -7.0, 0.0]);
        assert_eq!(floats(&call::<Maximum>(a.clone(), b).unwrap()), [7.0, 2.0, 2.0]);
        assert!(call::<Power>(a.clone(), -1).unwrap_err().message().contains("negative power"));
        assert_eq!(floats(&call::<Power>(a, -1.0).unwrap())[2], 0.5);
        let mask = call::<Maximum>(tensor(&[2], &[true, false]), tensor(&[2], &[false, false])).unwrap();
        assert_eq!((mask.dtype, floats(&mask)), (DType::Bool, vec![1.0, 0.0]));
    }

    #[test]
    fn a_small_tensor_does_not_become_a_huge_one() {
        let error = call::<Add>(tensor(&[40_000, 1], &[0u8; 40_000]), tensor(&[40_000], &[0u8; 40_000])).unwrap_err();
        assert_eq!(
            error.message(),
            "a uint8 tensor of shape [40000, 40000] takes 1600000000 bytes; at most 1073741824 are allowed"
        );
    }

    #[test]
    fn comparisons_give_masks_that_choose() {
        let values = tensor(&[4], &[1f32, 2.0, f32::NAN, 4.0]);
        let mask = |comparison: &str| {
            let call =
                NodeTest::new::<Compare>().field("a", values.clone()).field("b", 2).field("comparison", comparison);
            floats(&output(&call.run().unwrap()))
        };
        assert_eq!(mask("less"), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(mask("not_equal"), [1.0, 0.0, 1.0, 1.0]);
        assert_eq!(mask("greater_or_equal"), [0.0, 1.0, 0.0, 1.0]);
        let chosen = NodeTest::new::<Where>()
            .field("condition", tensor(&[2, 1], &[true, false]))
            .field("if_true", tensor(&[3], &[1i32, 2, 3]))
            .field("if_false", 0);
        let chosen = output(&chosen.run().unwrap());
        assert_eq!((chosen.dtype, chosen.shape.as_slice()), (DType::I32, [2, 3].as_slice()));
        assert_eq!(floats(&chosen), [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
    }
}

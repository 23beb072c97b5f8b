//! Products of rows and columns: matrix multiplication and the cosine between vectors.

use millwork_worker::convert::Element;
use millwork_worker::prelude::*;
use ndarray::{ArrayD, ArrayView2, ArrayViewD, Axis, Ix2, IxDyn, LinalgScalar};

use super::number::{Number, floating, promote, with_float};
use super::operand::common_shape;
use super::size;

/// Multiplies matrices as NumPy's `@`: over the last two axes, the axes before them broadcast as a batch; a tensor of one
/// axis counts as a row on the left and as a column on the right.
#[derive(Node)]
#[node("tensor.MatMul")]
pub(super) struct MatMul {
    /// The left matrices, `[…, n, k]`.
    a: Tensor,
    /// The right matrices, `[…, k, m]`.
    b: Tensor,
}

impl Run for MatMul {
    type Output = Tensor;

    fn run(self, cx: &Context) -> Result<Tensor> {
        let dtype = promote(self.a.dtype, self.b.dtype);
        match dtype {
            DType::F16 | DType::F32 => matmul::<f32>(cx, &self.a, &self.b, dtype, |a, b, _| Ok(a.dot(&b))),
            DType::F64 => matmul::<f64>(cx, &self.a, &self.b, dtype, |a, b, _| Ok(a.dot(&b))),
            // What wraps in 64 bits wraps the same in fewer.
            _ => matmul::<i64>(cx, &self.a, &self.b, dtype, wrapping_product),
        }
    }
}

fn wrapping_product(a: ArrayView2<'_, i64>, b: ArrayView2<'_, i64>, cx: &Context) -> Result<ndarray::Array2<i64>> {
    let mut result = ndarray::Array2::zeros((a.nrows(), b.ncols()));
    for (row, mut sums) in a.rows().into_iter().zip(result.rows_mut()) {
        cx.check()?;
        for (x, other) in row.iter().zip(b.rows()) {
            sums.iter_mut().zip(other).for_each(|(sum, y)| *sum = i64::wrapping_add(*sum, x.wrapping_mul(*y)));
        }
    }
    Ok(result)
}

type Product<T> = fn(ArrayView2<'_, T>, ArrayView2<'_, T>, &Context) -> Result<ndarray::Array2<T>>;

fn matmul<T: Element + LinalgScalar>(
    cx: &Context,
    a: &Tensor,
    b: &Tensor,
    dtype: DType,
    product: Product<T>,
) -> Result<Tensor> {
    let refuse = |why: &str| Error::invalid(format!("cannot multiply {:?} with {:?}: {why}", a.shape, b.shape));
    if a.shape.is_empty() || b.shape.is_empty() {
        return Err(refuse("a single number is no matrix; tensor.Multiply takes it"));
    }
    let (mut left, mut right) = (a.to_array_as::<T>()?, b.to_array_as::<T>()?);
    if left.ndim() == 1 {
        left.insert_axis_inplace(Axis(0));
    }
    if right.ndim() == 1 {
        right.insert_axis_inplace(Axis(1));
    }
    let (Some((left_batch, [n, k])), Some((right_batch, [k2, m]))) =
        (left.shape().split_last_chunk(), right.shape().split_last_chunk())
    else {
        return Err(refuse("both need axes"));
    };
    if k != k2 {
        return Err(refuse(&format!("a has {k} columns and b has {k2} rows")));
    }
    let (n, m) = (*n, *m);
    let batch = common_shape(left_batch, right_batch).map_err(|_| refuse("their batches do not broadcast"))?;
    let whole = |rows: usize, columns: usize| [batch.as_slice(), &[rows, columns]].concat();
    let shape = whole(n, m);
    let elements = size(&shape, dtype)?;
    let (left, right) = (left.broadcast(whole(n, *k)), right.broadcast(whole(*k, m)));
    let (Some(left), Some(right)) = (left, right) else { return Err(refuse("their batches do not broadcast")) };

    let mut result = Vec::with_capacity(elements);
    let batches = batch.iter().product::<usize>();
    for place in 0..if elements == 0 { 0 } else { batches } {
        cx.check()?;
        cx.progress(place as f64, batches as f64);
        let (a, b) = (matrix(&left, &batch, place)?, matrix(&right, &batch, place)?);
        result.extend(product(a, b, cx)?);
    }
    let mut result = ArrayD::from_shape_vec(IxDyn(&shape), result)?;
    if b.shape.len() == 1 {
        result.index_axis_inplace(Axis(result.ndim() - 1), 0);
    }
    if a.shape.len() == 1 {
        // The row's axis is the last but one, or the last where the column's is gone.
        result.index_axis_inplace(Axis(batch.len()), 0);
    }
    Ok(Tensor::from_array(result).cast(dtype)?)
}

/// The matrix at a place of the batch, counted row-major.
fn matrix<'a, T>(all: &'a ArrayViewD<'_, T>, batch: &[usize], mut place: usize) -> Result<ArrayView2<'a, T>> {
    let mut view = all.view();
    for (axis, len) in batch.iter().enumerate().rev() {
        view.index_axis_inplace(Axis(axis), place % len);
        place /= len;
    }
    Ok(view.into_dimensionality::<Ix2>()?)
}

/// How alike the directions of vectors are: 1 the same, 0 at right angles, -1 opposite. Vectors lie along the last axis.
#[derive(Node)]
#[node("tensor.CosineSimilarity")]
pub(super) struct CosineSimilarity {
    /// Vectors, `[…, n]`.
    a: Tensor,
    /// Vectors, `[…, n]`.
    b: Tensor,
    /// Compare each vector of a with each of b, `[i, n]` and `[j, n]` giving `[i, j]`; otherwise the shapes broadcast and
    /// each vector meets its counterpart.
    #[node(default)]
    pairwise: bool,
}

impl Run for CosineSimilarity {
    type Output = Tensor;

    /// A vector of length 0 is at 0 to every other.
    fn run(self, cx: &Context) -> Result<Tensor> {
        let (a, b) = (&self.a, &self.b);
        let refuse = |why: &str| Error::invalid(format!("cannot compare {:?} with {:?}: {why}", a.shape, b.shape));
        let (Some(n), Some(m)) = (a.shape.last(), b.shape.last()) else {
            return Err(refuse("a single number is no vector"));
        };
        if n != m {
            return Err(refuse(&format!("vectors of {n} and of {m} elements")));
        }
        let dtype = promote(floating(a.dtype), floating(b.dtype));
        with_float!(dtype, F => {
            let (left, right) = (unit::<F>(a)?, unit::<F>(b)?);
            let result = if self.pairwise {
                let two_axes = |_| refuse("`pairwise` takes a list of vectors on each side: two axes");
                let left = left.into_dimensionality::<Ix2>().map_err(two_axes)?;
                let right = right.into_dimensionality::<Ix2>().map_err(two_axes)?;
                size(&[left.nrows(), right.nrows()], dtype)?;
                cx.check()?;
                left.dot(&right.t()).into_dyn()
            } else {
                let shape = common_shape(&a.shape, &b.shape)?;
                size(&shape, dtype)?;
                let (Some(left), Some(right)) = (left.broadcast(shape.as_slice()), right.broadcast(shape.as_slice())) else {
                    return Err(refuse("the shapes do not broadcast"));
                };
                (&left * &right).sum_axis(Axis(shape.len() - 1))
            };
            // Rounding may leave the range by a last bit.
            Ok(Tensor::from_array(result.mapv(|x: F| x.clamp(-1.0, 1.0))).cast(dtype)?)
        })
    }
}

/// The vectors along the last axis scaled to length 1; those of length 0 stay.
fn unit<F: Number>(tensor: &Tensor) -> Result<ArrayD<F>> {
    let mut array = tensor.to_array_as::<F>()?;
    let last = Axis(array.ndim().saturating_sub(1));
    for mut vector in array.lanes_mut(last) {
        let length = vector.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt();
        if length > 0.0 {
            vector.mapv_inplace(|x| F::from_f64(x.to_f64() / length));
        }
    }
    Ok(array)
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::super::testing::{assert_close, floats, output, tensor};
    use super::*;

    fn product(a: Value, b: Value) -> Result<Tensor> {
        NodeTest::new::<MatMul>().field("a", a).field("b", b).run().map(|emitted| output(&emitted))
    }

    /// `n` elements 0, 1, 2, ….
    fn counted(shape: &[usize]) -> Value {
        let elements: Vec<f32> = (0..shape.iter().product()).map(|n: usize| n as f32).collect();
        tensor(shape, &elements)
    }

    #[test]
    fn matrices_vectors_and_batches() {
        let plain = product(counted(&[2, 3]), counted(&[3, 2])).unwrap();
        assert_eq!((plain.shape.as_slice(), floats(&plain)), ([2, 2].as_slice(), vec![10.0, 13.0, 28.0, 40.0]));
        let dot = product(counted(&[3]), counted(&[3])).unwrap();
        assert_eq!((dot.shape.len(), floats(&dot)), (0, vec![5.0]));
        let row = product(counted(&[3]), counted(&[3, 2])).unwrap();
        assert_eq!((row.shape.as_slice(), floats(&row)), ([2].as_slice(), vec![10.0, 13.0]));
        let column = product(counted(&[2, 3]), counted(&[3])).unwrap();
        assert_eq!((column.shape.as_slice(), floats(&column)), ([2].as_slice(), vec![5.0, 14.0]));
        // numpy: (np.arange(12).reshape(2,1,2,3) @ np.arange(12).reshape(2,3,2)).ravel()
        let batched = product(counted(&[2, 1, 2, 3]), counted(&[2, 3, 2])).unwrap();
        assert_eq!(batched.shape, [2, 2, 2, 2]);
        let expected =
            [10.0, 13.0, 28.0, 40.0, 28.0, 31.0, 100.0, 112.0, 46.0, 67.0, 64.0, 94.0, 172.0, 193.0, 244.0, 274.0];
        assert_close(&batched, &expected, 0.0);
    }

    #[test]
    fn whole_numbers_stay_whole_and_wrap() {
        let wrapped = product(tensor(&[1, 2], &[200u8, 100]), tensor(&[2, 1], &[2u8, 3])).unwrap();
        assert_eq!((wrapped.dtype, floats(&wrapped)), (DType::U8, vec![f64::from(700u16 as u8)]));
        let large = product(tensor(&[1, 1], &[1u64 << 63]), tensor(&[1, 1], &[1u64])).unwrap();
        assert_eq!(large.to_array::<u64>().unwrap().first(), Some(&(1 << 63)));
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let error = product(counted(&[2, 3]), counted(&[2, 3])).unwrap_err();
        assert_eq!(error.message(), "cannot multiply [2, 3] with [2, 3]: a has 3 columns and b has 2 rows");
        assert!(product(counted(&[2, 1, 1]), counted(&[3, 1, 1])).unwrap_err().message().contains("batches"));
        assert!(product(counted(&[]), counted(&[1])).unwrap_err().message().contains("single number"));
        let huge = product(tensor(&[50_000, 1], &[0u8; 50_000]), tensor(&[1, 50_000], &[0u8; 50_000])).unwrap_err();
        assert!(huge.message().contains("2500000000 bytes"), "{huge}");
        let none = product(tensor::<f32>(&[2, 0], &[]), tensor::<f32>(&[0, 2], &[])).unwrap();
        assert_eq!(floats(&none), [0.0; 4]);
    }

    #[test]
    fn cosines() {
        let call = |a: Value, b: Value, pairwise: bool| {
            NodeTest::new::<CosineSimilarity>().field("a", a).field("b", b).field("pairwise", pairwise).run()
        };
        let (a, b) = (tensor(&[2, 2], &[1f64, 0.0, 3.0, 4.0]), tensor(&[3, 2], &[2f64, 0.0, 0.0, -5.0, 0.0, 0.0]));
        let pairs = output(&call(a.clone(), b.clone(), true).unwrap());
        assert_eq!(pairs.shape, [2, 3]);
        assert_close(&pairs, &[1.0, 0.0, 0.0, 0.6, -0.8, 0.0], 1e-15);
        let one = output(&call(tensor(&[2], &[3f32, 4.0]), a.clone(), false).unwrap());
        assert_eq!(one.shape, [2]);
        assert_close(&one, &[0.6, 1.0], 1e-7);
        assert!(call(a.clone(), b.clone(), false).is_err());
        assert!(call(tensor(&[2], &[1f32, 2.0]), b, true).unwrap_err().message().contains("two axes"));
        assert!(call(a, tensor(&[3], &[1f32; 3]), false).unwrap_err().message().contains("of 2 and of 3"));
    }
}

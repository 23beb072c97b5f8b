//! A vector times a matrix that lies as it came: the keys and values of attention, which are new with each run. To put them in
//! the order of a kernel first takes longer than the product.

/// Independent sums, for as many additions as a processor has on the way.
const LANES: usize = 32;

/// How the elements of a matrix lie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// The terms of a result in one piece; those of the next one `step` behind.
    Terms { step: usize },
    /// What belongs to one term in one piece, for all results; the next term `step` behind.
    Results { step: usize },
}

/// Computes `results`, or adds to them. `vector` has an element for each term.
///
/// # Panics
/// Where the matrix has too few elements.
#[allow(unsafe_code, reason = "instructions that not every processor has")]
pub(super) fn multiply(matrix: &[f32], order: Order, vector: &[f32], results: &mut [f32], add: bool) {
    #[cfg(target_arch = "x86_64")]
    if super::has_instructions() {
        // SAFETY: this processor has them.
        return unsafe { with_avx2(matrix, order, vector, results, add) };
    }
    plain(matrix, order, vector, results, add);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2(matrix: &[f32], order: Order, vector: &[f32], results: &mut [f32], add: bool) {
    plain(matrix, order, vector, results, add);
}

#[inline(always)]
fn plain(matrix: &[f32], order: Order, vector: &[f32], results: &mut [f32], add: bool) {
    match order {
        Order::Terms { step } => {
            for (at, result) in results.iter_mut().enumerate() {
                let sum = dot(&matrix[at * step..][..vector.len()], vector);
                *result = if add { *result + sum } else { sum };
            }
        }
        Order::Results { step } => {
            if !add {
                results.fill(0.0);
            }
            for (at, factor) in vector.iter().enumerate() {
                let terms = &matrix[at * step..][..results.len()];
                results.iter_mut().zip(terms).for_each(|(result, term)| *result = factor.mul_add(*term, *result));
            }
        }
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = a.mul_add(*b, *sum);
        }
    }
    sums.iter().sum::<f32>() + rest
}

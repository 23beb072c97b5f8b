//! Calls of the crate gemm. Strides are safe to give: what they reach is checked here.

use gemm_common::Parallelism;
use rayon::prelude::*;
use tract_linalg::multithread::{Executor, current_tract_executor};

use super::vector::{self, Order};

/// Below so many multiplications a second thread is not worth waking.
const SMALL: usize = 1 << 18;

/// An axis: its length, and how far its elements lie apart in a, b and c; 0 where one does not have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) len: usize,
    pub(super) a: usize,
    pub(super) b: usize,
    pub(super) c: usize,
}

impl Axis {
    /// One that nothing has.
    pub(super) const NONE: Axis = Axis { len: 1, a: 0, b: 0, c: 0 };
}

/// `c[outer…, m, n] = Σ a[outer…, m, k, terms…] · b[outer…, k, terms…, n]`, over k and terms.
#[derive(Debug)]
pub(super) struct Products {
    m: Axis,
    n: Axis,
    k: Axis,
    outer: Vec<Axis>,
    /// Terms that no one stride leads through.
    terms: Vec<Axis>,
    /// How many elements a, b and c must have.
    reach: [usize; 3],
}

impl Products {
    /// `None` where two results would have the same place, or an axis has no length.
    pub(super) fn new([m, n, k]: [Axis; 3], outer: Vec<Axis>, terms: Vec<Axis>) -> Option<Self> {
        let mut results: Vec<Axis> = outer.iter().copied().chain([m, n]).filter(|axis| axis.len > 1).collect();
        results.sort_by_key(|axis| axis.c);
        // Each axis steps over all of those within it.
        let mut inner = 0;
        for axis in results {
            if axis.c <= inner {
                return None;
            }
            inner += axis.c * (axis.len - 1);
        }
        let axes = || outer.iter().chain(&terms).copied().chain([m, n, k]);
        if axes().any(|axis| axis.len == 0) {
            return None;
        }
        let reach = |stride: fn(Axis) -> usize| axes().map(|axis| (axis.len - 1) * stride(axis)).sum::<usize>() + 1;
        let reach = [reach(|axis| axis.a), reach(|axis| axis.b), reach(|axis| axis.c)];
        Some(Products { m, n, k, outer, terms, reach })
    }

    /// Computes them all, on the threads of tract's executor. With `add` they are added to what is in c.
    ///
    /// # Panics
    /// Where the strides reach beyond a, b or c.
    pub(super) fn compute(&self, a: &[f32], b: &[f32], c: &mut [f32], add: bool) {
        let is_within = [a.len(), b.len(), c.len()].iter().zip(self.reach).all(|(len, reach)| reach <= *len);
        assert!(is_within, "{self:?} reaches beyond its numbers");
        let c = Shared(c.as_mut_ptr());
        let (count, terms) = (count(&self.outer), count(&self.terms));
        let one = |number: usize, threads: Parallelism| {
            let at = offsets(&self.outer, number);
            for term in 0..terms {
                let of_term = offsets(&self.terms, term);
                let at = [at[0] + of_term[0], at[1] + of_term[1], at[2]];
                self.one(at, a, b, &c, add || term > 0, threads);
            }
        };
        let work = count * terms * self.m.len * self.n.len * self.k.len;
        match current_tract_executor() {
            Executor::MultiThread(pool) if work > SMALL => pool.install(|| {
                let threads = rayon::current_num_threads();
                if count < threads {
                    (0..count).for_each(|number| one(number, Parallelism::Rayon(threads)));
                } else {
                    let numbers = (0..count).into_par_iter().with_min_len(count.div_ceil(4 * threads));
                    numbers.for_each(|number| one(number, Parallelism::None));
                }
            }),
            _ => (0..count).for_each(|number| one(number, Parallelism::None)),
        }
    }

    /// For one row or one column, where the elements lie so that they can be read in passing: the matrix, what it is
    /// multiplied with, and how many results there are, in one piece.
    fn as_vector<'a>(
        &self,
        at: [usize; 3],
        a: &'a [f32],
        b: &'a [f32],
    ) -> Option<(&'a [f32], Order, &'a [f32], usize)> {
        let Products { m, n, k, .. } = *self;
        let (a, b) = (&a[at[0]..], &b[at[1]..]);
        let (results, (matrix, step, term), (vector, next)) = if m.len == 1 {
            (n, (b, n.b, k.b), (a, k.a))
        } else if n.len == 1 {
            (m, (a, m.a, k.a), (b, k.b))
        } else {
            return None;
        };
        let order = match (step, term) {
            (step, 1) => Order::Terms { step },
            (1, step) => Order::Results { step },
            _ => return None,
        };
        (next == 1 && results.c == 1).then(|| (matrix, order, &vector[..k.len], results.len))
    }

    #[allow(unsafe_code, reason = "gemm takes addresses")]
    fn one(&self, at: [usize; 3], a: &[f32], b: &[f32], c: &Shared, add: bool, threads: Parallelism) {
        if let Some((matrix, order, vector, results)) = self.as_vector(at, a, b) {
            // SAFETY: as below; the results are in one piece, and what the other axes lead to lies behind it.
            let results = unsafe { std::slice::from_raw_parts_mut(c.0.add(at[2]), results) };
            return vector::multiply(matrix, order, vector, results, add);
        }
        let Products { m, n, k, .. } = *self;
        let step = usize::cast_signed;
        let (a, b, c) = (a[at[0]..].as_ptr(), b[at[1]..].as_ptr(), c.0.wrapping_add(at[2]));
        let gemm = gemm_f32::gemm::f32::get_gemm_fn();
        // It is fastest where the columns of the result are in one piece; where the rows are, everything is transposed.
        let (rows, columns) =
            if n.c < m.c { ((n, b, n.b, k.b), (m, a, m.a, k.a)) } else { ((m, a, m.a, k.a), (n, b, n.b, k.b)) };
        // SAFETY: `compute` has checked that these strides stay within a, b and c, for every offset there is; `new`, that no
        // two products, and so no two threads, have the same place in c.
        unsafe {
            gemm(
                rows.0.len,
                columns.0.len,
                k.len,
                c,
                step(columns.0.c),
                step(rows.0.c),
                add,
                rows.1,
                step(rows.3),
                step(rows.2),
                columns.1,
                step(columns.2),
                step(columns.3),
                1.0,
                1.0,
                false,
                false,
                false,
                threads,
            );
        }
    }
}

fn count(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.len).product()
}

/// How far into a, b and c the place of this number is, of all that these axes lead to.
fn offsets(axes: &[Axis], mut number: usize) -> [usize; 3] {
    let mut at = [0; 3];
    for axis in axes.iter().rev() {
        let index = number % axis.len;
        number /= axis.len;
        at = [at[0] + index * axis.a, at[1] + index * axis.b, at[2] + index * axis.c];
    }
    at
}

/// Results that several threads write, each to places of its own.
struct Shared(*mut f32);

#[allow(unsafe_code, reason = "an address that threads share")]
// SAFETY: it is only written through by `one`, which says why no two threads have the same place.
unsafe impl Sync for Shared {}

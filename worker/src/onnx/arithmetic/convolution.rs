//! Convolutions over one axis or two: what each result is made of is laid into a column, and the columns are multiplied with the
//! kernel.

use std::cell::Cell;

use rayon::prelude::*;
use tract_linalg::multithread::{Executor, current_tract_executor};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::gemm::{Axis, Products};
use super::{LEAST, fresh, is_plain};

/// Numbers that are laid into columns at once: 4 MiB.
const BLOCK: usize = 1 << 20;

/// Fewer than this one thread lays alone.
const SMALL: usize = 1 << 15;

thread_local! {
    /// Columns, kept: pages that are there already cost nothing.
    static COLUMNS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// A `Conv` of floating-point numbers, channels first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Convolution(Conv);

/// One axis of the pictures.
#[derive(Debug, Clone, Copy)]
struct Span {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Zeros before the input.
    pad: usize,
}

/// What the kernel moves over: a picture of any number of channels.
#[derive(Debug, Clone, Copy)]
struct Plane {
    y: Span,
    x: Span,
}

impl Convolution {
    /// The same in columns, where it is large enough for that.
    pub(super) fn of(conv: &Conv, inputs: &[&TypedFact]) -> Option<Self> {
        let pool = &conv.pool_spec;
        let is_known = conv.q_params.is_none()
            && conv.kernel_fmt == KernelFormat::OIHW
            && pool.data_format == DataFormat::NCHW
            && matches!(pool.rank(), 1 | 2)
            && inputs.len() == 3
            && inputs.iter().all(|fact| is_plain(fact));
        let column = pool.input_channels / conv.group * pool.kernel_shape.iter().product::<usize>();
        let is_large = pool.output_channels / conv.group >= LEAST && column >= LEAST;
        (is_known && is_large).then(|| Convolution(conv.clone()))
    }

    fn plane(&self, input: &[usize]) -> Plane {
        let pool = &self.0.pool_spec;
        let padding = pool.computed_padding(input);
        let span = |at: usize| Span {
            input: input[at],
            output: padding[at].convoluted,
            kernel: pool.kernel_shape[at],
            stride: pool.stride(at),
            dilation: pool.dilation(at),
            pad: padding[at].pad_before,
        };
        let point = Span { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, pad: 0 };
        let y = if pool.rank() == 2 { span(0) } else { point };
        Plane { y, x: span(pool.rank() - 1) }
    }
}

impl Plane {
    /// Numbers of one channel.
    fn input(&self) -> usize {
        self.y.input * self.x.input
    }

    fn output(&self) -> usize {
        self.y.output * self.x.output
    }

    fn kernel(&self) -> usize {
        self.y.kernel * self.x.kernel
    }

    /// Lays the columns of the results from `first` on. `columns` has a row for each number of the kernel, of all channels, and
    /// in each row one number for each of the results.
    fn lay(&self, picture: &[f32], first: usize, columns: &mut [f32], results: usize) {
        let each = self.kernel() * results;
        let one = |(channel, rows): (&[f32], &mut [f32])| self.lay_channel(channel, first, rows, results);
        match current_tract_executor() {
            Executor::MultiThread(pool) if columns.len() > SMALL => pool.install(|| {
                let channels = picture.par_chunks_exact(self.input()).zip(columns.par_chunks_exact_mut(each));
                channels.with_min_len(SMALL.div_ceil(each)).for_each(one);
            }),
            _ => picture.chunks_exact(self.input()).zip(columns.chunks_exact_mut(each)).for_each(one),
        }
    }

    fn lay_channel(&self, channel: &[f32], first: usize, rows: &mut [f32], results: usize) {
        let Plane { y, x } = *self;
        for (at, row) in rows.chunks_exact_mut(results).enumerate() {
            let (dy, dx) = (at / x.kernel, at % x.kernel);
            let (mut rest, mut place) = (row, first);
            while !rest.is_empty() {
                let (at_y, at_x) = (place / x.output, place % x.output);
                let (line, behind) = rest.split_at_mut((x.output - at_x).min(rest.len()));
                place += line.len();
                rest = behind;
                match (at_y * y.stride + dy * y.dilation).checked_sub(y.pad).filter(|from| *from < y.input) {
                    Some(from) => x.lay(&channel[from * x.input..][..x.input], dx, at_x, line),
                    None => line.fill(0.0),
                }
            }
        }
    }
}

impl Span {
    /// What stands at `within` of the kernel, for the results from `first` on.
    fn lay(&self, from: &[f32], within: usize, first: usize, to: &mut [f32]) {
        let offset = within * self.dilation;
        let end = first + to.len();
        // The results for which that is in the input, and not in the zeros around it.
        let inside = self.pad.saturating_sub(offset).div_ceil(self.stride).clamp(first, end);
        let after = (self.input + self.pad).saturating_sub(offset).div_ceil(self.stride).clamp(inside, end);
        to[..inside - first].fill(0.0);
        to[after - first..].fill(0.0);
        let to = &mut to[inside - first..after - first];
        if to.is_empty() {
            return;
        }
        let from = &from[inside * self.stride + offset - self.pad..];
        if self.stride == 1 {
            to.copy_from_slice(&from[..to.len()]);
        } else {
            to.iter_mut().zip(from.iter().step_by(self.stride)).for_each(|(to, from)| *to = *from);
        }
    }
}

impl Op for Convolution {
    fn name(&self) -> StaticName {
        "Convolution".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        self.0.info()
    }

    op_as_typed_op!();
}

impl EvalOp for Convolution {
    op_out_of_plan!();

    fn eval(&self, cx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        if inputs[0].len() == 0 {
            return self.0.eval(cx, inputs);
        }
        let (input, kernel, bias) = args_3!(inputs);
        let Conv { pool_spec: pool, group: groups, .. } = &self.0;
        let shape = pool.output_shape(input.shape())?.shape;
        let plane = self.plane(&input.shape()[2..]);
        let (input, kernel, bias) = (input.try_as_plain_ram()?, kernel.try_as_plain_ram()?, bias.try_as_plain_ram()?);
        let (input, kernel, bias) = (input.as_slice::<f32>()?, kernel.as_slice::<f32>()?, bias.as_slice::<f32>()?);
        let (from, to) = (pool.input_channels / groups, pool.output_channels / groups);
        let (column, places) = (from * plane.kernel(), plane.output());
        let result = fresh::filled(&shape, |output| {
            if output.is_empty() {
                return Ok(());
            }
            for (at, channel) in output.chunks_exact_mut(places).enumerate() {
                channel.fill(*bias.get(at % pool.output_channels).unwrap_or(&bias[0]));
            }
            let block = (BLOCK / column).max(64).min(places);
            let mut columns = COLUMNS.take();
            columns.resize(columns.len().max(column * block), 0.0);
            // The groups of one picture follow one another.
            let pictures = input.chunks_exact(from * plane.input()).zip(output.chunks_exact_mut(to * places));
            for ((picture, output), kernel) in pictures.zip(kernel.chunks_exact(to * column).cycle()) {
                for first in (0..places).step_by(block) {
                    let results = block.min(places - first);
                    let columns = &mut columns[..column * results];
                    plane.lay(picture, first, columns, results);
                    let axes = [
                        Axis { len: to, a: column, b: 0, c: places },
                        Axis { len: results, a: 0, b: 1, c: 1 },
                        Axis { len: column, a: 1, b: results, c: 0 },
                    ];
                    let products = Products::new(axes, vec![], vec![]).context("a convolution of nothing")?;
                    products.compute(kernel, columns, &mut output[first..], true);
                }
            }
            if columns.len() <= BLOCK {
                COLUMNS.set(columns);
            }
            Ok(())
        })?;
        Ok(tvec!(result.into_tvalue()))
    }
}

impl TypedOp for Convolution {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}

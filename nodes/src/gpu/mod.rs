//! `gpu.*`: computing on the GPU, and the same on the CPU where there is none.

mod compute;
mod convolve;
mod device;
mod info;
mod kernels;
mod mandelbrot;
mod matmul;
mod reduce;
mod selftest;
#[cfg(test)]
mod tests;

use millwork_worker::prelude::*;

use compute::Compute;
use convolve::Convolve;
use info::Info;
use mandelbrot::Mandelbrot;
use matmul::MatMul;
use reduce::Reduce;
use selftest::SelfTest;

/// The nodes of this namespace.
pub(crate) fn package() -> Package {
    package!["gpu": Info, Compute, MatMul, Convolve, Reduce, Mandelbrot, SelfTest].idempotent()
}

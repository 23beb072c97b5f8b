//! The CPU path against values that were worked out by hand, and the GPU path against the CPU's where there is one.

use std::time::Duration;

use millwork_worker::gpu::{Choice, Control, Gpu, GpuError};
use ndarray::{Array2, Array3, array};

use super::convolve::{self, Edge};
use super::mandelbrot::{self, Palette, View};
use super::reduce::{self, Op};
use super::{bands, matmul, selftest, to_bytes};

fn control() -> Control<'static> {
    Control::timeout(Duration::from_secs(120))
}

/// The device, or `None` with a line that says so.
fn gpu() -> Option<Gpu> {
    let gpu = Gpu::from_env();
    match gpu.require() {
        Ok(_) => Some(gpu),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

#[test]
fn bands_cover_every_row_once() {
    for (rows, cost, budget, least) in [(1, 1, 1, 1), (10, 3, 9, 1), (100, 1, 1000, 16), (7, 1000, 1, 1), (0, 1, 1, 1)]
    {
        let all: Vec<usize> = bands(rows, cost, budget, least).flatten().collect();
        assert_eq!(all, (0..rows).collect::<Vec<_>>());
        assert!(bands(rows, cost, budget, least).count() >= least.min(rows));
        assert!(bands(rows, cost, budget, least).all(|band| band.len() == 1 || band.len() * cost <= budget));
    }
}

#[test]
fn edges_stand_for_the_right_places() {
    let row = Array3::from_shape_vec((1, 4, 1), vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    // The value two places to the left.
    let kernel = array![[1.0, 0.0, 0.0, 0.0, 0.0]];
    for (edge, expected) in [
        (Edge::Zero, [0.0, 0.0, 1.0, 2.0]),
        (Edge::Clamp, [1.0, 1.0, 1.0, 2.0]),
        (Edge::Mirror, [3.0, 2.0, 1.0, 2.0]),
        (Edge::Wrap, [3.0, 4.0, 1.0, 2.0]),
    ] {
        let shifted = convolve::cpu(row.view(), kernel.view(), edge, &control()).unwrap();
        assert_eq!(shifted.iter().copied().collect::<Vec<_>>(), expected, "{edge:?}");
        if let Some(gpu) = gpu() {
            let shifted = convolve::gpu(&gpu, row.view(), kernel.view(), edge, &control()).unwrap();
            assert_eq!(shifted.iter().copied().collect::<Vec<_>>(), expected, "{edge:?} on the GPU");
        }
    }
}

#[test]
fn the_kernel_is_not_flipped() {
    let row = Array3::from_shape_vec((1, 3, 1), vec![1.0, 10.0, 100.0]).unwrap();
    let result = convolve::cpu(row.view(), array![[1.0, 2.0, 3.0]].view(), Edge::Zero, &control()).unwrap();
    assert_eq!(result.iter().copied().collect::<Vec<_>>(), [32.0, 321.0, 210.0]);
}

#[test]
fn even_and_huge_kernels_are_refused() {
    assert!(convolve::refuse(Array2::zeros((3, 255)).view()).is_none());
    for size in [(2, 3), (3, 2), (0, 1), (257, 1)] {
        assert!(convolve::refuse(Array2::zeros(size).view()).unwrap().contains("odd"), "{size:?}");
    }
}

#[test]
fn reductions_of_few_values() {
    let values = [3.0, -1.0, 4.0, -2.0];
    let expected = [(Op::Sum, 4.0), (Op::Min, -2.0), (Op::Max, 4.0), (Op::Mean, 1.0)];
    for (op, expected) in expected {
        assert_eq!(reduce::cpu(&values, op), expected, "{op:?}");
        assert!(reduce::cpu(&[1.0, f32::NAN, 2.0], op).is_nan());
        if let Some(gpu) = gpu() {
            assert_eq!(reduce::gpu(&gpu, &to_bytes(values), op, &control()).unwrap(), expected, "{op:?} on the GPU");
        }
    }
}

#[test]
fn a_large_reduction_keeps_its_loops_short() {
    let Some(gpu) = gpu() else { return };
    // More than one chunk: 2^24 ones and then some.
    let count = (1 << 24) + 12_345;
    let sum = reduce::gpu(&gpu, &to_bytes(std::iter::repeat_n(1.0, count)), Op::Sum, &control()).unwrap();
    assert_eq!(sum, count as f32);
}

#[test]
fn points_inside_and_outside_the_set() {
    let view = View { width: 3, height: 1, centre: (0.0, 0.0), span: 6.0, rounds: 1000 };
    let counts = mandelbrot::cpu(&view, &control()).unwrap();
    // c = -2 and 0 stay, c = 2 leaves.
    assert_eq!((counts[0], counts[1]), (-1.0, -1.0));
    assert!(counts[2] > 0.0 && counts[2] < 6.0, "{counts:?}");
    let picture = mandelbrot::paint(&counts, 3, 1, Palette::Gray);
    assert_eq!(picture.get_pixel(0, 0).0, [0; 3]);
    assert_ne!(picture.get_pixel(2, 0).0, [0; 3]);
}

#[test]
fn products_of_empty_matrices() {
    let Some(gpu) = gpu() else { return };
    for (rows, depth, columns) in [(0, 3, 2), (2, 0, 3), (3, 2, 0)] {
        let (a, b) = (Array2::ones((rows, depth)), Array2::ones((depth, columns)));
        let product = matmul::gpu(&gpu, a.view(), b.view(), &control()).unwrap();
        assert_eq!(product, matmul::cpu(a.view(), b.view()));
    }
}

#[test]
fn both_entry_points_of_the_product_agree() {
    let Some(gpu) = gpu() else { return };
    // Over a tile's edge on every side, and over one step's depth.
    for (rows, depth, columns) in [(1, 1, 1), (65, 33, 130), (5, 8200, 3)] {
        let a = Array2::from_shape_fn((rows, depth), |(i, k)| ((i * 7 + k * 3) % 11) as f32 - 5.0);
        let b = Array2::from_shape_fn((depth, columns), |(k, j)| ((k * 5 + j) % 13) as f32 - 6.0);
        for entry in ["direct", "tiled"] {
            let product = matmul::gpu_by(entry, &gpu, a.view(), b.view(), &control()).unwrap();
            // Whole numbers below 2^24: exact in any order.
            assert_eq!(product, matmul::cpu(a.view(), b.view()), "{entry} {rows} {depth} {columns}");
        }
    }
}

#[test]
fn every_kernel_agrees_with_its_twin() {
    let gpu = gpu();
    for report in selftest::run(gpu.as_ref(), &control()).unwrap() {
        println!("{report:?}");
        assert!(report.passed(), "{report:?}");
        assert_eq!(report.worst.is_some(), gpu.is_some());
    }
}

#[test]
fn a_wrong_result_does_not_pass() {
    let mut report = selftest::run(None, &control()).unwrap().remove(0);
    for error in [report.tolerance * 2.0, f32::NAN] {
        report.worst = Some((error, String::new()));
        assert!(!report.passed());
    }
}

#[test]
fn no_adapter_is_said_so() {
    let off = Gpu::new(Choice::Off);
    let a = Array2::ones((2, 2));
    assert!(matches!(matmul::gpu(&off, a.view(), a.view(), &control()), Err(GpuError::Unavailable { .. })));
}

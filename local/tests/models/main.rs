//! Models made by the recipes of `tests/models`, and the answers of the reference implementations to the same questions, and a
//! hub to fetch models from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "programs of the system are what is tested")]

use std::fs;
use std::path::{Path, PathBuf};

mod adapter;
mod diffusion;
mod generate;
mod hub;
mod picture;
mod picture_nodes;
mod speech;
mod store;
mod voice;

/// Where the models and the references are.
fn models() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models");
    std::env::var_os("MILLWORK_TEST_MODELS").map_or(beside, PathBuf::from)
}

/// Shape and elements of an array of f32 in row-major order that numpy has saved.
fn npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(path).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let said = std::str::from_utf8(&bytes[10..header]).unwrap();
    assert!(said.contains("'<f4'") && said.contains("'fortran_order': False"), "{said}");
    let shape = said.split(['(', ')']).nth(1).unwrap();
    let shape = shape.split(',').filter_map(|length| length.trim().parse().ok()).collect();
    (shape, bytes[header..].chunks_exact(4).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect())
}

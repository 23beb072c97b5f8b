//! Nodes without code: folders of ONNX models and WGSL shaders as packages of a worker.
//! What a package.toml may say is in `millwork-package` and `docs/package-toml.md`.
//!
//! A node is checked and planned once, when its package is loaded (`node`); a request then runs the plan: its inputs are
//! prepared (`input`), models (`model`) and shaders (`shader`) run, and their results become what hosts read (`output`).

mod buffer;
mod check;
mod expression;
mod fallback;
mod fields;
mod files;
mod input;
mod load;
mod model;
mod node;
mod output;
mod scope;
mod shader;
mod value;

#[cfg(test)]
mod tests;

pub use load::{load, package};

//! Write model and compute nodes in Rust and serve them over the bridge protocol.

pub mod convert;
pub mod models;

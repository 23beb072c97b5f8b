//! Between what travels and what nodes work with.

pub mod tensor;

pub use tensor::{DType, Element, Tensor, TensorError};

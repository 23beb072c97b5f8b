//! Write model and compute nodes in Rust and serve them over the bridge protocol.
//!
//! A node is a struct whose fields are its inputs; a package is some nodes; a worker is a program that serves packages:
//!
//! ```no_run
//! use millwork_worker::prelude::*;
//!
//! /// Repeats a text.
//! #[derive(Node)]
//! #[node("acme.text.Repeat")]
//! struct Repeat {
//!     /// The text.
//!     text: String,
//!     /// How often.
//!     #[node(default = 2, min = 1, max = 1000)]
//!     times: usize,
//! }
//!
//! impl Run for Repeat {
//!     type Output = String;
//!
//!     fn run(self, _: &Context) -> Result<String> {
//!         Ok(self.text.repeat(self.times))
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Worker::new().package(package!["acme.text": Repeat]).serve()
//! }
//! ```
//!
//! The features `gpu` (WGSL kernels on wgpu) and `onnx` (models on tract) are on unless they are turned off: they are most of what
//! there is to compile.

// The derive macros name this crate from outside; inside it they must find it too.
extern crate self as millwork_worker;

mod blobs;
mod cancel;
pub mod child;
mod context;
pub mod convert;
mod dispatch;
mod dynamic;
mod emit;
mod error;
mod field;
#[cfg(feature = "gpu")]
pub mod gpu;
mod in_flight;
mod jobs;
mod log;
pub mod models;
pub mod node;
#[cfg(feature = "onnx")]
pub mod onnx;
mod output;
mod package;
mod panics;
mod pool;
mod provider;
mod registry;
mod responder;
mod serve;
mod shutdown;
mod stdio;
mod store;
mod system;
pub mod testing;
mod worker;
mod workspace;

pub use cancel::CancelToken;
pub use context::{Context, Identity, Services};
pub use error::{Error, Result, ResultExt};
// What pictures and tensors are made with, in the version that they are of here.
pub use image;
pub use millwork_protocol as protocol;
pub use millwork_protocol::message::ErrorKind;
pub use millwork_worker_macros::{Choice, Node, Outputs, Union};
pub use ndarray;
pub use package::Package;
pub use panics::{Panicked, contain};
pub use provider::{Answer, Call, Provider, ProviderInfo, unsupported};
pub use store::ModelStore;
pub use worker::{Options, Worker};
pub use workspace::Workspace;

/// What nearly every node needs.
pub mod prelude {
    pub use std::process::ExitCode;

    pub use bytes::Bytes;
    pub use indexmap::IndexMap;
    pub use millwork_protocol::{Map, Value, map};

    pub use crate::convert::{
        Asset, Audio, AudioBytes, Choice as _, ColumnDef, DType, DataFrame, FromWire as _, Image, ImageBytes, Inputs,
        IntoWire as _, Model3dBytes, ModelRef, Tensor, TextAsset, VideoBytes,
    };
    pub use crate::node::{Node as _, Outputs as _, Run, RunStream, Sink};
    pub use crate::{
        Choice, Context, Error, ErrorKind, Node, Outputs, Package, Result, ResultExt, Union, Worker, package,
    };
}

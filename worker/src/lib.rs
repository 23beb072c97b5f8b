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

// The derive macros name this crate from outside; inside it they must find it too.
extern crate self as millwork_worker;

mod blobs;
mod cancel;
mod context;
pub mod convert;
mod dispatch;
mod error;
pub mod gpu;
mod in_flight;
mod jobs;
mod log;
pub mod models;
pub mod node;
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
mod system;
pub mod testing;
mod worker;
mod workspace;

pub use cancel::CancelToken;
pub use context::{Context, Identity, Services};
pub use error::{Error, Result, ResultExt};
pub use millwork_protocol as protocol;
pub use millwork_protocol::message::ErrorKind;
pub use millwork_worker_macros::{Choice, Node, Outputs};
pub use package::Package;
pub use panics::{Panicked, contain};
pub use provider::{Answer, Call, Provider, ProviderInfo, unsupported};
pub use worker::{Options, Worker};
pub use workspace::Workspace;

/// What nearly every node needs.
pub mod prelude {
    pub use std::process::ExitCode;

    pub use bytes::Bytes;
    pub use millwork_protocol::{Map, Value, map};

    pub use crate::convert::{Asset, Audio, Choice as _, DType, Image, Tensor};
    pub use crate::node::{Node as _, Outputs as _, Run, RunStream, Sink};
    pub use crate::{Choice, Context, Error, ErrorKind, Node, Outputs, Package, Result, ResultExt, Worker, package};
}

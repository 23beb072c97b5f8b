//! Millwork's supervisor: keeps a fleet of worker processes alive, routes each request, and answers every one exactly once.
//!
//! As a library it serves Rust hosts through [`Fleet`] and [`Client`]; [`serve::stdio`] is the same behind a pipe.

pub mod client;
pub mod config;
mod core;
mod error;
mod fleet;
mod link;
pub mod observe;
mod process;
pub mod serve;
mod spare;

pub use core::WorkerState;

/// The former name of [`Fleet`].
pub use client::Fleet as Supervisor;
pub use client::{
    Builder, Changes, Chunks, Client, Event, Execute, Fleet, Pending, RequestError, WorkerChange, WorkerStatus,
};
pub use config::{Config, WorkerConfig};
pub use error::Error;
pub use millwork_protocol::message::ErrorKind;
pub use millwork_protocol::{Bytes, Map, Value};
/// For `millwork bench`, which measures worker commands from outside a fleet.
#[doc(hidden)]
pub use process::piped as spawn_piped;
pub use process::{Guardian, LogFormat, Logs};

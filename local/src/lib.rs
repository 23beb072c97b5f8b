//! The provider `local`: text, embeddings, speech and pictures from models on the user's disk, and the nodes on top of it.
//! Running an ONNX file is the worker's; what stands around one, from the files of a published model to an answer, is here.
//!
//! - `find` looks for models and tells what is wrong with the ones that cannot be used;
//! - a folder for each family has what its models need: `embed` for sentence encoders, `generate` for language
//!   models, `speech` for Whisper, `voice` for Piper, `picture` for Stable Diffusion;
//! - `adapter` has programs of the user's that answer what no model here can;
//! - `provider` takes the calls of hosts to them, `nodes` those of graphs.
//! - `store` fetches models from the hub into the user's cache and removes them; `look` tells people what is in one.

mod adapter;
mod embed;
mod find;
mod generate;
mod look;
mod model;
mod nodes;
mod onnx_file;
mod pace;
pub mod picture;
mod problem;
mod programs;
mod provider;
mod read;
pub mod speech;
mod store;
mod tokens;
mod voice;

use millwork_worker::{Options, Package};

pub use adapter::Adapter;
pub use find::{Found, Hub, Roots, models_in};
pub use generate::prompt;
pub use look::{Graph, Look, look, size_on_disk};
pub use model::{Kind, LocalModel};
pub use problem::Problem;
pub use provider::Local;
pub use store::{Checked, Finding, Patience, Pull, Settings, Store, StoreError, Watch, verify};

/// The package with the provider and its nodes, over the folders that the arguments name and the user's cache of the hub;
/// and with each adapter that the environment names.
#[must_use]
pub fn package(options: &Options) -> Package {
    let roots = Roots::new(&options.models);
    let problems = roots.scan().problems;
    let store = Store::new(&roots, Settings::from_env());
    let (adapters, broken) = Adapter::from_env();
    let errors = problems.iter().map(Problem::load_error).chain(broken);
    let package = nodes::add(Package::new("local"), &roots).load_errors(errors).provider(Local::new(roots));
    let package = adapters.into_iter().fold(package, Package::provider);
    match store {
        Some(store) => package.store(store),
        None => package,
    }
}

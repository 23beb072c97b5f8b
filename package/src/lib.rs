//! package.toml: what a package of nodes says about itself, where packages lie, and what is wrong with one. Nothing is run
//! here: folders of nodes are run by `millwork-folder`, programs by the supervisor.
//!
//! The file is described in `docs/package-toml.md`.

pub mod archive;
mod check;
pub mod find;
pub mod manifest;
mod nearest;
mod problem;
mod read;
mod schema;
mod source;

pub use manifest::{Manifest, Program};
pub use nearest::nearest;
pub use problem::{Kind, Phase, Place, Problem};
pub use read::{Broken, MANIFEST};
pub use schema::schema;

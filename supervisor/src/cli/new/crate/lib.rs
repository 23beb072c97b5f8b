//! Nodes for Millwork, a file each.

mod repeat;

use millwork_worker::{Package, package};

/// All of them, for a worker to serve.
#[must_use]
pub fn package() -> Package {
    package!["my_nodes": repeat::Repeat]
}

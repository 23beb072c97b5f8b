//! The stock node packages. A folder a namespace, a file a family; each folder's `package` lists what it holds.

mod control;

use millwork_worker::Package;

/// Every stock package.
#[must_use]
pub fn packages() -> Vec<Package> {
    vec![control::package()]
}

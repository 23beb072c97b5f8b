//! The stock node packages. A folder a namespace, a file a family; each folder's `package` lists what it holds.

pub mod audio;
mod control;
mod gpu;
mod image;
mod json;
mod onnx;
pub mod pixels;
mod tensor;
mod test;
mod text;

use millwork_worker::{Options, Package};

pub use image::enlarge;
pub use onnx::probabilities;

/// Every stock package; `test.*` only where it is asked for.
#[must_use]
pub fn packages(options: &Options) -> Vec<Package> {
    let mut packages = vec![
        audio::package(),
        control::package(),
        gpu::package(),
        image::package(),
        json::package(),
        onnx::package(),
        tensor::package(),
        text::package(),
    ];
    if options.test_nodes {
        packages.push(test::package());
    }
    packages
}

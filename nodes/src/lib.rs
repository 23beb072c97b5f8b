//! The stock node packages. A folder a namespace, a file a family; each folder's `package` lists what it holds.

mod audio;
mod control;
mod gpu;
mod image;
mod json;
mod onnx;
mod tensor;
mod test;
mod text;

use std::ffi::OsString;
use std::process::ExitCode;

use millwork_worker::{Options, Package, Worker};

/// The stock worker: serves every stock package with the arguments of a worker, the program's name not among them. The
/// name is what help texts call it.
#[must_use]
pub fn main(name: &'static str, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    Worker::new().name(name).packages(packages).serve_with(args)
}

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

//! The stock worker, put together. What it serves is in `nodes/`, `folder/` and `local/`.

use std::ffi::OsString;
use std::process::ExitCode;

/// The provider `local` and its store of models, for commands that need no worker.
pub use millwork_local as local;
use millwork_worker::Worker;

/// Serves every stock package, and the folder packages that `--package` names, with the arguments of a worker, the program's
/// name not among them. The name is what help texts call it.
#[must_use]
pub fn main(name: &'static str, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let worker = Worker::new().name(name).packages(millwork_nodes::packages);
    worker.packages(|options| vec![millwork_local::package(options)]).folders(millwork_folder::load).serve_with(args)
}

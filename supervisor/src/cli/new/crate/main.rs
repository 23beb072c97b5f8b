//! The worker: a program that serves the nodes of this crate.

use millwork_worker::prelude::*;

fn main() -> ExitCode {
    Worker::new().package(my_nodes::package()).serve()
}

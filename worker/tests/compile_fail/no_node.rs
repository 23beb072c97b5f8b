//! A package with something in it that is no node.

use millwork_worker::prelude::*;

struct Blur;

fn main() {
    let _ = package!["acme": Blur];
}

//! Models of no sort, and sorts of no model.

use millwork_worker::prelude::*;

#[derive(Node)]
#[node("acme.A")]
struct A {
    model: ModelRef,
}

#[derive(Node)]
#[node("acme.B")]
struct B {
    #[node(model = "language_model")]
    model: String,
}

fn main() {}

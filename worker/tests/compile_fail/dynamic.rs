//! What cannot be dynamic.

use millwork_worker::prelude::*;

#[derive(Node)]
#[node("acme.A")]
struct A {
    #[node(dynamic)]
    inputs: Vec<f64>,
}

#[derive(Node)]
#[node("acme.B")]
struct B {
    #[node(dynamic)]
    inputs: Map,
    #[node(dynamic)]
    others: Map,
}

#[derive(Node)]
#[node("acme.C")]
struct C {
    #[node(dynamic, default)]
    inputs: Map,
}

#[derive(Outputs)]
struct D {
    #[output(dynamic)]
    values: f64,
}

fn main() {}

//! What is wrong in an attribute.

use millwork_worker::prelude::*;

#[derive(Node)]
#[node("acme.A", steam)]
struct A;

#[derive(Node)]
#[node("acme.B")]
struct B {
    #[node(defualt = 1)]
    count: u32,
}

#[derive(Node)]
#[node("acme.C")]
struct C {
    #[node(colour = "red")]
    count: u32,
}

#[derive(Node)]
struct NoType;

#[derive(Node)]
#[node("Blur")]
struct NoNamespace;

#[derive(Node)]
#[node("acme.D")]
struct D {
    #[node(min)]
    count: u32,
}

#[derive(Node)]
#[node("acme.E")]
struct E(String);

#[derive(Node)]
#[node("acme.F")]
enum F {
    One,
}

#[derive(Outputs)]
struct G {
    #[output(dynamc)]
    rest: Map,
}

#[derive(Outputs)]
enum H {
    One,
}

fn main() {}

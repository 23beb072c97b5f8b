//! Defaults, bounds and names that cannot be.

use millwork_worker::prelude::*;

#[derive(Node)]
#[node("acme.A")]
struct A {
    #[node(default = 120.0, min = 0.0, max = 100.0)]
    sigma: f32,
}

#[derive(Node)]
#[node("acme.B")]
struct B {
    #[node(default = -1, min = 0)]
    count: i32,
}

#[derive(Node)]
#[node("acme.C")]
struct C {
    #[node(min = 10, max = 1)]
    count: u32,
}

#[derive(Node)]
#[node("acme.D")]
struct D {
    #[node(default = "two")]
    count: u32,
}

#[derive(Node)]
#[node("acme.E")]
struct E {
    size: u32,
    #[node(name = "size")]
    length: u32,
}

#[derive(Outputs)]
struct F {
    text: String,
    #[output("text")]
    summary: String,
}

#[derive(Choice)]
enum G {
    FloydSteinberg,
    #[choice("floyd_steinberg")]
    Other,
}

fn main() {}

//! Enums that are neither a choice nor a union.

use millwork_worker::prelude::*;

#[derive(Choice)]
enum A {
    Plain,
    Wide(u32),
}

#[derive(Union)]
enum B {
    Words(String),
    None,
}

#[derive(Choice)]
struct C;

#[derive(Union)]
struct D;

fn main() {}

//! The derive macros of `millwork-worker`: [`Node`], [`Outputs`], [`Choice`] and [`Union`]. They only write trait impls; what the traits mean stands there.

mod args;
mod check;
mod choice;
mod node;
mod outputs;
mod text;
mod union;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct a node: its fields are the node's inputs, its doc comments their descriptions.
///
/// On the struct: `#[node("namespace.path.Name")]`, and behind the name any of `title = "…"`, `stream` (implements
/// `RunStream` instead of `Run`), `quick` (takes microseconds and never blocks, so it may run on the protocol thread),
/// `idempotent` (a second run does no harm, so a supervisor may send a request again whose worker died), `settings("NAME", …)` (secrets it needs), `vram_gb = 2.0`.
///
/// On a field: `#[node(default = EXPR)]` or `#[node(default)]`, `min = …`, `max = …`, `name = "…"`, `model = "…"` (the sort
/// of model that a `ModelRef` is), and `dynamic` on one `Map` or `IndexMap<String, _>` that takes every field the node does
/// not declare. A field without default is required unless it is an `Option`.
#[proc_macro_derive(Node, attributes(node))]
pub fn derive_node(input: TokenStream) -> TokenStream {
    node::derive(&parse_macro_input!(input as DeriveInput)).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct the named outputs of a node: a slot a field, of its name or of the one in `#[output("…")]`. One field that
/// is a `Map` or an `IndexMap<String, _>` can be `#[output(dynamic)]`: each of its entries is a slot.
#[proc_macro_derive(Outputs, attributes(output))]
pub fn derive_outputs(input: TokenStream) -> TokenStream {
    outputs::derive(&parse_macro_input!(input as DeriveInput)).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum of plain variants a choice among texts: `FloydSteinberg` travels as `"floyd_steinberg"`, or as what
/// `#[choice("…")]` says.
#[proc_macro_derive(Choice, attributes(choice))]
pub fn derive_choice(input: TokenStream) -> TokenStream {
    choice::derive(&parse_macro_input!(input as DeriveInput)).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum a value of several types, one a variant: `enum Prompt { Words(String), Picture(Image) }`. A value is what
/// the first type that takes it makes of it; one that says its type, as a reference does, is only tried as that.
#[proc_macro_derive(Union)]
pub fn derive_union(input: TokenStream) -> TokenStream {
    union::derive(&parse_macro_input!(input as DeriveInput)).unwrap_or_else(syn::Error::into_compile_error).into()
}

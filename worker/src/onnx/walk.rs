//! Visits a graph with all its subgraphs: the branches of `If`, the bodies of `Loop` and `Scan`.
//!
//! Depth is bounded: the protobuf decoder gives up at 100 nested messages.

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

/// Calls `visit` for every node.
pub(super) fn nodes<'a>(graph: &'a GraphProto, visit: &mut dyn FnMut(&'a NodeProto)) {
    for node in &graph.node {
        visit(node);
        for inner in subgraphs(node) {
            nodes(inner, visit);
        }
    }
}

/// Calls `visit` for every constant: initializers and tensors in attributes.
pub(super) fn tensors<'a>(graph: &'a GraphProto, visit: &mut dyn FnMut(&'a TensorProto)) {
    graph.initializer.iter().for_each(&mut *visit);
    for node in &graph.node {
        node.attribute.iter().flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors)).for_each(&mut *visit);
        subgraphs(node).for_each(|inner| tensors(inner, visit));
    }
}

/// As [`tensors`], to change them.
pub(super) fn tensors_mut(graph: &mut GraphProto, visit: &mut dyn FnMut(&mut TensorProto)) {
    graph.initializer.iter_mut().for_each(&mut *visit);
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(&mut *visit);
        attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|inner| tensors_mut(inner, visit));
    }
}

fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

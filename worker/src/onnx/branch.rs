//! `If` nodes that hang on an input of the model: once that input is fixed, the branch that it chooses takes the node's place. tract
//! would keep both branches, and sees neither through the other.

use indexmap::IndexMap;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::names;
use crate::convert::{DType, Tensor};

/// The inputs on which `If` nodes hang.
pub(super) fn deciding(graph: &GraphProto) -> Vec<String> {
    let conditions = graph.node.iter().filter_map(condition);
    conditions.filter(|name| graph.input.iter().any(|input| input.name == **name)).map(str::to_owned).collect()
}

/// Puts the chosen branches in the place of the nodes that these constants decide.
pub(super) fn decide(graph: &mut GraphProto, constants: &IndexMap<String, Tensor>) {
    let chosen = |node: &NodeProto| {
        let constant = constants.get(condition(node)?).filter(|constant| constant.dtype == DType::Bool)?;
        Some(constant.data.first().is_some_and(|byte| *byte != 0))
    };
    for node in std::mem::take(&mut graph.node) {
        let branch = chosen(&node).map(|yes| if yes { "then_branch" } else { "else_branch" });
        let branch = branch.and_then(|name| node.attribute.iter().find(|attribute| attribute.name == name)?.g.clone());
        let Some(branch) = branch else {
            graph.node.push(node);
            continue;
        };
        graph.initializer.extend(branch.initializer);
        graph.node.extend(branch.node);
        // The names within a branch are its own: only its results get those of the node. Most exporters call both the same.
        let results = branch.output.iter().zip(&node.output).filter(|(inner, outer)| inner.name != **outer);
        graph.node.extend(results.map(|(inner, outer)| NodeProto {
            op_type: "Identity".to_owned(),
            name: format!("{outer} of the branch"),
            input: vec![inner.name.clone()],
            output: vec![outer.clone()],
            ..NodeProto::default()
        }));
    }
    names::settle(graph);
}

/// What decides an `If` node.
fn condition(node: &NodeProto) -> Option<&str> {
    (node.op_type == "If").then(|| node.input.first().map(String::as_str))?
}

//! The names of nodes, which are an exporter's to choose and which tract relies on: each must be another's, and those of random
//! numbers decide what is drawn.

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::supported::name_of;

/// Makes the names in a graph, and in each graph inside it, such that tract can rely on them. The results of nodes keep theirs.
pub(super) fn settle(graph: &mut GraphProto) {
    let mut taken: HashSet<String> = HashSet::new();
    for node in &mut graph.node {
        if let Some(name) = random_numbers(node) {
            node.name = name;
        }
        // Exporters count anew in each branch, and some twice within one; no two results have one name.
        if !node.name.is_empty() && !taken.insert(node.name.clone()) {
            node.name = format!("{} ({})", node.name, node.output.first().map_or("", String::as_str));
            taken.insert(node.name.clone());
        }
        let attributes = node.attribute.iter_mut();
        attributes.flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs)).for_each(settle);
    }
}

/// tract tells random numbers of a given shape from those of another tensor's shape by the end of the name and not by the
/// operator: gives the name that is right, where the node has another.
fn random_numbers(node: &NodeProto) -> Option<String> {
    let is_like = match node.op_type.as_str() {
        "RandomNormalLike" | "RandomUniformLike" => true,
        "RandomNormal" | "RandomUniform" => false,
        _ => return None,
    };
    let ending = if is_like { "Like" } else { "of a shape" };
    (node.name.ends_with("Like") != is_like).then(|| format!("{} {ending}", name_of(node)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(nodes: &[(&str, &str, &str)]) -> Vec<String> {
        let node = |(op, name, output): &(&str, &str, &str)| NodeProto {
            op_type: (*op).into(),
            name: (*name).into(),
            output: vec![(*output).into()],
            ..NodeProto::default()
        };
        let mut graph = GraphProto { node: nodes.iter().map(node).collect(), ..GraphProto::default() };
        settle(&mut graph);
        graph.node.into_iter().map(|node| node.name).collect()
    }

    #[test]
    fn random_numbers_are_named_after_their_operator() {
        let named = |op, name| settled(&[(op, name, "x")]).remove(0);
        assert_eq!(named("RandomNormalLike", "/dp/RandomNormalLike"), "/dp/RandomNormalLike");
        assert_eq!(named("RandomNormalLike", "/dp/RandomNormalLike_1"), "/dp/RandomNormalLike_1 Like");
        assert_eq!(named("RandomUniformLike", ""), "x Like");
        assert_eq!(named("RandomNormal", "noiseLike"), "noiseLike of a shape");
        assert_eq!(named("Add", "noiseLike"), "noiseLike");
    }

    #[test]
    fn no_two_nodes_have_one_name() {
        let nodes = [("Constant", "c", "a"), ("Constant", "c", "b"), ("Add", "", "d"), ("Add", "", "e")];
        assert_eq!(settled(&nodes), ["c", "c (b)", "", ""]);
    }
}

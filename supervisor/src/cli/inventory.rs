//! What `discover` reported, and finding a node in it.

use millwork::Client;
use millwork_protocol::message::LoadError;
use millwork_protocol::metadata::NodeMetadata;
use millwork_protocol::{Map, Value};

use super::failure::{Failure, Outcome};
use super::suggest;

/// The nodes of all workers, and what could not be loaded.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) nodes: Vec<NodeMetadata>,
    pub(crate) load_errors: Vec<LoadError>,
}

impl Inventory {
    /// Waits for the fleet and asks it.
    pub(crate) async fn of(client: &Client) -> Outcome<Self> {
        client.ready().await?;
        Ok(Self::from_map(client.discover().await?))
    }

    /// Reads the data of `discover`; what describes itself wrongly is among the load errors then.
    pub(crate) fn from_map(mut data: Map) -> Self {
        let mut list = |key: &str| match data.swap_remove(key) {
            Some(Value::List(items)) => items,
            _ => Vec::new(),
        };
        let mut inventory = Self::default();
        for node in list("nodes") {
            let name = node.get("node_type").and_then(Value::as_str).unwrap_or("a node without a type").to_owned();
            match NodeMetadata::from_value(node) {
                Ok(node) => inventory.nodes.push(node),
                Err(error) => {
                    let error = LoadError::new(name, "metadata", "TypeError", error.to_string());
                    inventory.load_errors.push(error);
                }
            }
        }
        inventory.load_errors.extend(list("load_errors").into_iter().filter_map(|e| LoadError::from_value(e).ok()));
        inventory.nodes.sort_by(|a, b| a.node_type.cmp(&b.node_type));
        inventory
    }

    /// The node of exactly this type.
    pub(crate) fn find(&self, node_type: &str) -> Outcome<&NodeMetadata> {
        self.nodes.iter().find(|node| node.node_type == node_type).ok_or_else(|| self.unknown(node_type))
    }

    fn unknown(&self, node_type: &str) -> Failure {
        let known = self.nodes.iter().map(|node| node.node_type.as_str());
        let failure = Failure::usage(format!("no node {node_type:?}{}", suggest::phrase(node_type, known)));
        let concerns = |error: &&LoadError| {
            let module = error.module.as_str();
            let is_its_own = !module.is_empty() && (node_type.starts_with(module) || module.contains(node_type));
            // A worker that has not come up may have had it.
            is_its_own || error.phase == "start"
        };
        let broken = self.load_errors.iter().find(concerns);
        match broken {
            Some(error) => failure.hint(format!("{} did not load: {}", error.module, error.error)),
            None if node_type.starts_with("test.") && !self.nodes.iter().any(|n| n.node_type.starts_with("test.")) => {
                failure.hint("the test.* nodes are there with --test-nodes")
            }
            None => failure.hint("`millwork nodes` lists what there is"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    fn inventory() -> Inventory {
        let node = |name: &str| Value::from(map! { "node_type" => name });
        Inventory::from_map(map! {
            "nodes" => Value::List(vec![node("text.Split"), node("image.Blur"), map! { "node_type" => "x.Y", "outputs" => 3 }.into()]),
            "load_errors" => Value::List(vec![LoadError::new("acme.gone", "import", "ImportError", "no such file").into()]),
        })
    }

    #[test]
    fn nodes_in_order_and_bad_ones_told() {
        let inventory = inventory();
        let names: Vec<&str> = inventory.nodes.iter().map(|node| node.node_type.as_str()).collect();
        assert_eq!(names, ["image.Blur", "text.Split"]);
        assert_eq!(inventory.load_errors[0].module, "x.Y");
        assert_eq!(inventory.load_errors.len(), 2);
    }

    #[test]
    fn a_missing_node_has_its_reason() {
        let error = |name: &str| format!("{:?}", inventory().find(name).unwrap_err());
        assert!(error("image.Blurr").contains("did you mean image.Blur?"));
        assert!(error("acme.gone.Node").contains("no such file"));
        assert!(error("test.Echo").contains("--test-nodes"));
    }
}

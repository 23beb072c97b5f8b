//! What `discover` reported, and finding a node in it.

use millwork::Client;
use millwork_protocol::message::LoadError;
use millwork_protocol::metadata::NodeMetadata;

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
        let found = client.inventory().await?;
        Ok(Self { nodes: found.nodes, load_errors: found.load_errors })
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

    fn inventory() -> Inventory {
        let node = |name: &str| NodeMetadata { node_type: name.to_owned(), ..NodeMetadata::default() };
        let missing = LoadError::new("acme.gone", "import", "ImportError", "no such file");
        Inventory { nodes: vec![node("image.Blur"), node("text.Split")], load_errors: vec![missing] }
    }

    #[test]
    fn a_missing_node_has_its_reason() {
        let error = |name: &str| format!("{:?}", inventory().find(name).unwrap_err());
        assert!(error("image.Blurr").contains("did you mean image.Blur?"));
        assert!(error("acme.gone.Node").contains("no such file"));
        assert!(error("test.Echo").contains("--test-nodes"));
    }
}

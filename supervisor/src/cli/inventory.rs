//! What `discover` reported, and finding a node in it.

use millwork::Client;
use millwork_protocol::Value;
use millwork_protocol::message::LoadError;
use millwork_protocol::metadata::NodeMetadata;

use super::failure::{Failure, Outcome};
use super::{problems, suggest};

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
        let mut inventory = Self { nodes: found.nodes, load_errors: found.load_errors };
        inventory.make_printable();
        Ok(inventory)
    }

    /// What workers say may hold anything, and a terminal obeys some of it.
    fn make_printable(&mut self) {
        for node in &mut self.nodes {
            printable(&mut node.node_type);
            printable(&mut node.title);
            printable(&mut node.description);
            node.properties.iter_mut().for_each(|property| printable(&mut property.name));
            node.properties.iter_mut().filter_map(|property| property.description.as_mut()).for_each(printable);
        }
        self.load_errors.iter_mut().for_each(printable_error);
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
            let first = node_type.split('.').next().unwrap_or_default();
            match error.extra.get("package").and_then(Value::as_str) {
                Some(package) => is_its_own || package.replace('-', "_") == first,
                // A worker that has not come up may have had it.
                None => is_its_own || matches!(error.phase.as_str(), "spawn" | "handshake"),
            }
        };
        let exact = self.load_errors.iter().find(|error| error.module == node_type);
        let broken = exact.or_else(|| self.load_errors.iter().find(concerns));
        match broken {
            Some(error) => failure.hint(format!("{} did not load: {}", error.module, problems::why(error, "; "))),
            None if node_type.starts_with("test.") && !self.nodes.iter().any(|n| n.node_type.starts_with("test.")) => {
                failure.hint("the test.* nodes are there with --test-nodes")
            }
            None => failure.hint("`millwork nodes` lists what there is"),
        }
    }
}

/// A load error without what a terminal would obey.
pub(crate) fn printable_error(error: &mut LoadError) {
    [&mut error.module, &mut error.phase, &mut error.error_type, &mut error.error].into_iter().for_each(printable);
    for value in error.extra.values_mut() {
        if let Value::Str(text) = value {
            let mut shown = text.to_string();
            printable(&mut shown);
            *value = shown.into();
        }
    }
}

/// Control characters, but for the ends of lines and tabs, as a mark.
fn printable(text: &mut String) {
    let is_odd = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if text.contains(is_odd) {
        *text = text.replace(is_odd, "\u{fffd}");
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

//! What there is and how it fares, as types: the nodes of all workers, and the workers.

use millwork_protocol::Value;
use millwork_protocol::message::{DiscoverData, ErrorData, ErrorKind, LoadError};
use millwork_protocol::metadata::NodeMetadata;
use millwork_protocol::{Map, typed};
use serde::Deserialize;

use super::{Client, RequestError};
use crate::core::WorkerState;

/// How one worker fares.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: WorkerState,
    /// Requests that it works on.
    pub in_flight: usize,
    /// Requests that wait for it.
    pub queued: usize,
    /// How often it has been started again.
    pub restarts: u64,
    /// How long it has been up, in seconds.
    pub uptime_s: Option<f64>,
    /// Its process.
    pub pid: Option<u32>,
    /// What it last went wrong with.
    pub last_error: Option<String>,
}

impl Client {
    /// The nodes of all workers in the order of their types, and what did not load. A node that describes itself wrongly is
    /// among the latter.
    ///
    /// # Errors
    /// Where the fleet has stopped.
    pub async fn inventory(&self) -> Result<DiscoverData, RequestError> {
        Ok(inventory(self.discover().await?))
    }

    /// The workers.
    ///
    /// # Errors
    /// Where the fleet has stopped.
    pub async fn workers(&self) -> Result<Vec<WorkerStatus>, RequestError> {
        let status = Value::Map(self.status().await?);
        let rows = status.get("extensions").and_then(|all| all.get("supervisor")?.get("workers")).cloned();
        typed::from_value(rows.unwrap_or_default())
            .map_err(|error| ErrorData::new(ErrorKind::Failed, format!("the workers' status: {error}")).into())
    }
}

fn inventory(mut data: Map) -> DiscoverData {
    let mut list = |key: &str| match data.swap_remove(key) {
        Some(Value::List(items)) => items,
        _ => Vec::new(),
    };
    let mut load_errors: Vec<LoadError> = Vec::new();
    let mut nodes: Vec<NodeMetadata> = Vec::new();
    for node in list("nodes") {
        let name = node.get("node_type").and_then(Value::as_str).unwrap_or("a node without a type").to_owned();
        match NodeMetadata::from_value(node) {
            Ok(node) => nodes.push(node),
            Err(error) => load_errors.push(LoadError::new(name, "metadata", "TypeError", error.to_string())),
        }
    }
    load_errors.extend(list("load_errors").into_iter().filter_map(|error| LoadError::from_value(error).ok()));
    nodes.sort_by(|a, b| a.node_type.cmp(&b.node_type));
    DiscoverData::new(nodes, load_errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    #[test]
    fn nodes_in_order_and_bad_ones_told() {
        let node = |name: &str| Value::from(map! { "node_type" => name });
        let bad = map! { "node_type" => "x.Y", "outputs" => 3 };
        let missing = LoadError::new("acme.gone", "import", "ImportError", "no such file");
        let found = inventory(map! {
            "nodes" => Value::List(vec![node("text.Split"), node("image.Blur"), bad.into()]),
            "load_errors" => Value::List(vec![missing.clone().into()]),
        });
        let names: Vec<&str> = found.nodes.iter().map(|node| node.node_type.as_str()).collect();
        assert_eq!(names, ["image.Blur", "text.Split"]);
        assert_eq!((found.load_errors[0].module.as_str(), &found.load_errors[1..]), ("x.Y", &[missing][..]));
    }
}

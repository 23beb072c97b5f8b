//! What a worker has: nodes and providers by name, and why others are missing. Running them is not done here.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::codec::Encoder;
use millwork_protocol::message::{DiscoverData, LoadError};

use crate::node::Entry;
use crate::provider::Provider;
use crate::store::ModelStore;
use crate::{Error, ErrorKind, Package, Result};

/// The inventory, complete before the first frame is read.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    nodes: IndexMap<String, Arc<Entry>>,
    providers: IndexMap<String, Box<dyn Provider>>,
    store: Option<Box<dyn ModelStore>>,
    load_errors: Vec<LoadError>,
    discover: OnceLock<Bytes>,
    idempotent: OnceLock<Vec<String>>,
}

impl Registry {
    /// The inventory of `packages`; with an allowlist, of the namespaces that it names. What cannot be taken becomes a
    /// load error and hides nothing else.
    pub(crate) fn new(packages: Vec<Package>, namespaces: Option<&[String]>) -> Self {
        let mut registry = Self::default();
        let allowed = |name: &str| namespaces.is_none_or(|list| list.iter().any(|n| n == namespace(name)));
        let mut owners = HashMap::new();
        let mut known = BTreeSet::new();
        for package in packages {
            let name = package.name;
            for entry in package.entries {
                let node_type = entry.metadata.node_type.clone();
                known.insert(namespace(&node_type).to_owned());
                if !allowed(&node_type) {
                    continue;
                }
                match owners.get(&node_type) {
                    Some(owner) => registry.load_errors.push(LoadError::new(
                        node_type.as_str(),
                        "metadata",
                        "DuplicateNode",
                        format!("the packages {owner:?} and {name:?} both have {node_type}; the first keeps it"),
                    )),
                    None => {
                        owners.insert(node_type.clone(), name.clone());
                        registry.nodes.insert(node_type, Arc::new(entry));
                    }
                }
            }
            for provider in package.providers {
                let id = provider.id();
                if registry.providers.contains_key(&id) {
                    let error =
                        format!("the package {name:?} has another provider of the id {id:?}; the first keeps it");
                    registry.load_errors.push(LoadError::new(id, "metadata", "DuplicateProvider", error));
                } else {
                    registry.providers.insert(id, provider);
                }
            }
            if registry.store.is_some() && package.store.is_some() {
                let error = format!("the package {name:?} has another model store; the first keeps its place");
                registry.load_errors.push(LoadError::new(name, "metadata", "DuplicateStore", error));
            }
            registry.store = registry.store.or(package.store);
            registry.load_errors.extend(package.load_errors.into_iter().filter(|e| allowed(&e.module)));
        }
        registry.miss(namespaces.unwrap_or_default(), &known);
        registry
    }

    /// Names the namespaces that were asked for and are nowhere: mistyped, or another worker's.
    fn miss(&mut self, asked: &[String], known: &BTreeSet<String>) {
        let there = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        for name in asked.iter().filter(|name| !known.contains(*name)) {
            // Its nodes may be there and broken.
            if !self.load_errors.iter().any(|error| namespace(&error.module) == name) {
                let text = format!("this worker has no such namespace; it has {there}");
                self.load_errors.push(LoadError::new(name.as_str(), "namespaces", "UnknownNamespace", text));
            }
        }
    }

    pub(crate) fn node(&self, node_type: &str) -> Result<&Arc<Entry>> {
        self.nodes.get(node_type).ok_or_else(|| {
            // The same story as `discover` tells.
            let reason = self.load_errors.iter().find(|e| {
                e.module == node_type || node_type.strip_prefix(&e.module).is_some_and(|rest| rest.starts_with('.'))
            });
            let reason = reason.map(|e| format!(" (it did not load: {})", e.error)).unwrap_or_default();
            Error::new(ErrorKind::UnknownNode, format!("Unknown node type: {node_type}{reason}"))
        })
    }

    pub(crate) fn provider(&self, id: &str) -> Result<&dyn Provider> {
        self.providers.get(id).map(AsRef::as_ref).ok_or_else(|| {
            let known: Vec<&str> = self.providers.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "this worker has none".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            Error::new(ErrorKind::UnknownProvider, format!("Unknown provider: {id} ({known})"))
        })
    }

    pub(crate) fn providers(&self) -> impl Iterator<Item = &dyn Provider> {
        self.providers.values().map(AsRef::as_ref)
    }

    pub(crate) fn store(&self) -> Option<&dyn ModelStore> {
        self.store.as_deref()
    }

    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn provider_count(&self) -> usize {
        self.providers.len()
    }

    pub(crate) fn load_errors(&self) -> &[LoadError] {
        &self.load_errors
    }

    /// The first segments of the node types, in order.
    pub(crate) fn namespaces(&self) -> Vec<String> {
        let mut names: Vec<String> = self.nodes.keys().map(|node_type| namespace(node_type).to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// What may run a second time without harm: whole namespaces where all of it may, else node types.
    pub(crate) fn idempotent_nodes(&self) -> &[String] {
        self.idempotent.get_or_init(|| self.find_idempotent())
    }

    fn find_idempotent(&self) -> Vec<String> {
        let mut names = self.namespaces();
        let all_of =
            |name: &String| self.nodes.iter().filter(|(node, _)| namespace(node) == name).all(|(_, e)| e.idempotent);
        names.retain(all_of);
        let single =
            self.nodes.iter().filter(|(node, entry)| entry.idempotent && !names.iter().any(|n| n == namespace(node)));
        let single: Vec<String> = single.map(|(node, _)| node.clone()).collect();
        names.extend(single);
        names
    }

    /// The data of the `discover` frame, encoded once.
    pub(crate) fn discover(&self) -> &Bytes {
        self.discover.get_or_init(|| {
            let nodes = self.nodes.values().map(|entry| entry.metadata.clone()).collect();
            let mut encoder = Encoder::default();
            encoder.entries(&DiscoverData::new(nodes, self.load_errors.clone()).into_map());
            encoder.into_bytes()
        })
    }
}

fn namespace(node_type: &str) -> &str {
    node_type.split('.').next().unwrap_or(node_type)
}

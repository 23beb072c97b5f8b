//! Which worker a request belongs to, from what all workers have told. Whether that worker has room is the queue's business.

use std::collections::HashMap;
use std::sync::Arc;

use millwork_package::{Kind, MANIFEST, Problem};
use millwork_protocol::message::{ErrorData, ErrorKind, REQUESTS};
use millwork_protocol::{MIN_PROTOCOL_VERSION, Map, PROTOCOL_VERSION, Value, map};

use super::absent::{Unloaded, failed_successor, load_error, of_package, still_starting};
use super::pool::{Group, Home};
use super::requests::Request;
use super::state::{Worker, WorkerState};
use super::{Answer, Core};

/// Where a request goes.
#[derive(Debug)]
pub(super) enum Decision {
    /// To a worker of these groups.
    Home(Home),
    /// To every ready worker; their answers are merged.
    Gather,
    /// Nowhere yet: workers are still starting.
    Wait,
    /// It is answered at once.
    Answer(Answer),
}

/// What all workers have, merged.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    nodes: HashMap<Arc<str>, Home>,
    providers: HashMap<Arc<str>, Home>,
    /// The answer to `discover`.
    pub(super) discover: Map,
    /// The entries of `provider.list`.
    pub(super) provider_list: Vec<Value>,
    pub(super) load_errors: Vec<Value>,
    /// Those of the load errors that stand for a package.
    pub(super) absent: Vec<Unloaded>,
}

impl Inventory {
    /// Merges what the workers have told. The first worker that has a node or a provider keeps it, and shares it with others
    /// of its pool.
    pub(super) fn build(workers: &[Worker], groups: &[Group], unloaded: &[Unloaded]) -> Self {
        let mut merged = Self::default();
        unloaded.iter().cloned().for_each(|unloaded| merged.miss(unloaded));
        let mut nodes = Vec::new();
        let mut version = i64::from(PROTOCOL_VERSION);
        for group in groups.iter().filter(|group| !group.is_removed) {
            let mut members = group.members(workers);
            // Where one is being replaced, its successor knows better.
            let by_age = |worker: &&Worker| (worker.state == WorkerState::Ready, worker.ready_at);
            let newest = members.clone().filter(|worker| worker.known.is_some()).max_by_key(by_age);
            let Some(known) = newest.and_then(|w| w.known.as_ref()).filter(|_| group.counts(workers)) else {
                if let Some(failed) = members.find(|w| w.attempted) {
                    merged.miss(Unloaded::worker(group, failed));
                }
                continue;
            };
            if let Some(failed) = failed_successor(group, workers) {
                merged.miss(Unloaded::worker(group, failed));
            }
            let discover = known.discover.as_ref();
            let list = |key: &str| discover.and_then(|d| d.get(key)).and_then(Value::as_list).unwrap_or_default();
            version = version.min(protocol_version(discover));
            for error in list("load_errors") {
                let error = of_package(error.clone(), group);
                if error.get("module").and_then(Value::as_str) == Some(&group.policy.name) {
                    merged.absent.extend(Unloaded::all_of(group, &error));
                }
                // Alternatives lack the same.
                if !merged.load_errors.contains(&error) {
                    merged.load_errors.push(error);
                }
            }
            for node in list("nodes") {
                let Some(node_type) = node.get("node_type").and_then(Value::as_str) else { continue };
                if !group.policy.may_have(node_type) {
                    merged.load_errors.push(stray(node_type, group));
                    continue;
                }
                match merged.nodes.get_mut(node_type) {
                    Some(home) => {
                        if !home.join(group.home) {
                            merged.load_errors.push(duplicate(Kind::DuplicateNode, node_type, *home, group, groups));
                        }
                    }
                    None => {
                        merged.nodes.insert(node_type.into(), group.home);
                        nodes.push(node.clone());
                    }
                }
            }
            for provider in known.providers.iter().flatten() {
                let Some(id) = provider.get("id").and_then(Value::as_str) else { continue };
                match merged.providers.get_mut(id) {
                    Some(home) => {
                        if !home.join(group.home) {
                            merged.load_errors.push(duplicate(Kind::DuplicateProvider, id, *home, group, groups));
                        }
                    }
                    None => {
                        merged.providers.insert(id.into(), group.home);
                        merged.provider_list.push(provider.clone());
                    }
                }
            }
        }
        merged.discover = map! {
            "protocol_version" => version,
            "nodes" => nodes,
            "load_errors" => merged.load_errors.clone(),
        };
        merged
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    fn miss(&mut self, unloaded: Unloaded) {
        self.load_errors.push(unloaded.error.clone());
        self.absent.push(unloaded);
    }
}

/// The version that an answer to `discover` states; the first where it states none.
pub(super) fn protocol_version(discover: Option<&Map>) -> i64 {
    discover.and_then(|d| d.get("protocol_version")).and_then(Value::as_i64).unwrap_or(MIN_PROTOCOL_VERSION.into())
}

/// A node that is none of the package's.
fn stray(node_type: &str, group: &Group) -> Value {
    let namespaces = group.policy.package.as_ref().map(|package| package.namespaces.join(", ")).unwrap_or_default();
    let name = &group.policy.name;
    let text = format!("{node_type} is outside of the namespaces of package `{name}`: {namespaces}");
    let problem = Problem::new(Kind::WrongNamespace, text).of(node_type).at(MANIFEST, None);
    of_package(load_error(problem.hint("`namespaces` in [package] lists the first segments of its node types")), group)
}

fn duplicate(kind: Kind, name: &str, first: Home, group: &Group, groups: &[Group]) -> Value {
    let keeper = groups.iter().find(|g| g.home.pool == first.pool && first.members.has(g.home.members));
    let (keeper, name_of) = (keeper.map_or("", |g| &g.policy.name), &group.policy.name);
    let what = if kind == Kind::DuplicateProvider { "provider" } else { "node type" };
    let text = format!("{what} {name} comes from worker `{keeper}` already; that of `{name_of}` is not used");
    of_package(load_error(Problem::new(kind, text).of(name)), group)
}

impl Core {
    /// Where a request goes as things stand.
    pub(super) fn decide(&self, request: &Request) -> Decision {
        match &*request.kind {
            "execute" | "execute.stream" => self.by_node(request),
            "discover" if self.all_attempted() => {
                Decision::Answer(Answer::Message("discover", self.inventory.discover.clone()))
            }
            "worker.status" if self.has_ready() || self.all_attempted() => Decision::Gather,
            "discover" | "worker.status" => Decision::Wait,
            "models.list_cached" | "models.delete" if self.all_attempted() && self.only_rests() => {
                self.first(request, has_store)
            }
            "provider.list" | "models.list_cached" | "models.delete" | "models.evict" | "job.start" | "job.end" => {
                if self.all_attempted() {
                    Decision::Gather
                } else {
                    Decision::Wait
                }
            }
            "models.download" => self.first(request, has_store),
            "models.prepare" => self.first(request, |status| {
                let backends = status.get("model_prepare_backends").and_then(Value::as_list);
                let wanted = request.route.backend.as_deref();
                backends.into_iter().flatten().any(|backend| backend.as_str() == wanted)
            }),
            kind => match kind.split_once('.') {
                Some(("provider", _)) if REQUESTS.iter().any(|known| known.kind == kind) => self.by_provider(request),
                Some(("provider", _)) => {
                    refuse(ErrorKind::UnknownMessage, format!("Unknown provider message type: {kind}"))
                }
                Some((program @ ("comfy" | "blender"), _)) => self.first(request, |status| {
                    status.get(program).and_then(|s| s.get("enabled")).and_then(Value::as_bool) == Some(true)
                }),
                _ => refuse(ErrorKind::UnknownMessage, format!("Unknown message type: {kind}")),
            },
        }
    }

    fn by_node(&self, request: &Request) -> Decision {
        let Some(node_type) = &request.route.node_type else {
            return refuse(ErrorKind::InvalidInput, format!("{}: `node_type` is missing from the data", request.kind));
        };
        match self.inventory.nodes.get(node_type) {
            Some(home) => self.fitting(request, *home),
            None if !self.all_attempted() => Decision::Wait,
            None => {
                let text = format!("Unknown node type: {node_type}");
                let could_have = |group: &Group| group.policy.may_have(node_type);
                match (self.inventory.explain(node_type), self.absent(could_have)) {
                    (Some((kind, why)), _) => refuse(kind, format!("{text} ({why})")),
                    // It may be that worker's.
                    (None, Some(why)) => refuse(ErrorKind::Unavailable, format!("{text} ({why})")),
                    (None, None) => refuse(ErrorKind::UnknownNode, text),
                }
            }
        }
    }

    fn by_provider(&self, request: &Request) -> Decision {
        let Some(provider) = &request.route.provider else {
            return refuse(ErrorKind::InvalidInput, format!("{}: `provider` is missing from the data", request.kind));
        };
        match self.inventory.providers.get(provider) {
            Some(home) => Decision::Home(*home),
            None if !self.all_attempted() => Decision::Wait,
            None => {
                let text = format!("Unknown provider: {provider}");
                if let Some(why) = self.absent(|_| true) {
                    return refuse(ErrorKind::Unavailable, format!("{text} ({why})"));
                }
                let known: Vec<&str> =
                    self.inventory.provider_list.iter().filter_map(|p| p.get("id")?.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                refuse(ErrorKind::UnknownProvider, format!("{text} (there are {known})"))
            }
        }
    }

    /// The first group with a worker whose status fits.
    fn first(&self, request: &Request, fits: impl Fn(&Map) -> bool) -> Decision {
        if !self.all_attempted() {
            return Decision::Wait;
        }
        let fitting = |worker: &&Worker| {
            (worker.counts() || worker.can_rest())
                && worker.known.as_ref().and_then(|known| known.status.as_ref()).is_some_and(&fits)
        };
        match self.workers.iter().find(fitting).and_then(|worker| self.groups.get(worker.group)) {
            Some(group) => Decision::Home(group.home),
            None => {
                let text = format!("{} is not available: no worker offers it", request.kind);
                let mut error = ErrorData::new(ErrorKind::Unavailable, text);
                match self.absent(|_| true) {
                    Some(why) => error.error = format!("{} ({why})", error.error),
                    None => error.retryable = Some(false),
                }
                Decision::Answer(Answer::Error(error))
            }
        }
    }

    /// Whether no worker with a model store is up, but one would be if it were asked.
    fn only_rests(&self) -> bool {
        let keeps =
            |worker: &&Worker| worker.known.as_ref().and_then(|known| known.status.as_ref()).is_some_and(has_store);
        let mut all = self.workers.iter().filter(keeps);
        let is_up = all.clone().any(|worker| worker.state == WorkerState::Ready);
        !is_up && all.any(Worker::can_rest)
    }

    /// Why some worker cannot tell what it has: it has never come up, or does not any more.
    fn absent(&self, could_have: impl Fn(&Group) -> bool) -> Option<String> {
        let is_known = |group: &Group| group.members(&self.workers).any(|worker| worker.known.is_some());
        let mut groups = self.groups.iter().filter(|group| !group.is_removed && could_have(group));
        let group = groups.find(|group| !group.counts(&self.workers) || !is_known(group))?;
        let why = group.members(&self.workers).find_map(|worker| worker.last_error.clone());
        Some(why.unwrap_or_else(|| format!("worker `{}` is not ready", group.policy.name)))
    }

    /// The inventory, with workers that are still starting as load errors.
    pub(super) fn inventory_so_far(&self) -> Map {
        let mut discover = self.inventory.discover.clone();
        let late = self.workers.iter().filter(|worker| !worker.attempted);
        let errors: Vec<Value> = late.map(still_starting).collect();
        if let Some(Value::List(all)) = discover.get_mut("load_errors") {
            all.extend(errors);
        }
        discover
    }

    /// Merges the inventories again after one has changed.
    pub(super) fn rebuild_inventory(&mut self) {
        self.inventory = Inventory::build(&self.workers, &self.groups, &self.unloaded);
    }
}

/// Whether a worker fetches and removes models. One that does not say so may; Millwork's own say it.
pub(super) fn has_store(status: &Map) -> bool {
    let said = status.get("extensions").and_then(|extensions| extensions.get("model_store")).and_then(Value::as_bool);
    said != Some(false)
}

fn refuse(kind: ErrorKind, text: String) -> Decision {
    Decision::Answer(Answer::Error(ErrorData::new(kind, text)))
}

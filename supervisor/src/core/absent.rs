//! What should be there and is not: packages that did not load, workers that did not come up, and which of them it is that a
//! node is missed for. What is there is in [`routing`](super::routing).

use std::fmt;

use millwork_package::{Kind, MANIFEST, Phase, Problem};
use millwork_protocol::Value;
use millwork_protocol::message::{ErrorKind, LoadError};

use super::pool::Group;
use super::routing::Inventory;
use super::state::{Worker, WorkerState};

/// A package that is not there, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unloaded {
    /// First segments of all node types that are missing because of it; none where it is about one node.
    pub(crate) namespaces: Vec<String>,
    /// The load error.
    pub(crate) error: Value,
}

impl Unloaded {
    fn is_about(&self, node_type: &str) -> bool {
        let first = node_type.split('.').next().unwrap_or_default();
        self.namespaces.iter().any(|namespace| namespace == first)
    }

    /// What a package says of all of itself.
    pub(super) fn all_of(group: &Group, error: &Value) -> Option<Self> {
        let package = group.policy.package.as_ref()?;
        Some(Self { namespaces: package.namespaces.clone(), error: error.clone() })
    }

    /// The load error of a group whose worker did not come up.
    pub(super) fn worker(group: &Group, worker: &Worker) -> Self {
        let kind = if worker.never_ran { Kind::SpawnFailed } else { Kind::WorkerFailed };
        let text = worker.last_error.as_deref().unwrap_or("it is not ready");
        let problem = Problem::new(kind, text).of(&*group.policy.name).passing();
        let Some(package) = &group.policy.package else {
            return Self { namespaces: Vec::new(), error: load_error(problem.of(&*worker.name)) };
        };
        let problem = problem.at(MANIFEST, package.place);
        let problem = match &package.build {
            Some(build) => problem.hint(format!("try `{build}`")),
            None => problem,
        };
        let error = of_package(load_error(problem), group);
        Self { namespaces: package.namespaces.clone(), error }
    }
}

/// The package and what is wrong.
impl fmt::Display for Unloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", text(&self.error, "module"), with_place(&self.error))
    }
}

/// A load error's text, with the place in its file.
fn with_place(error: &Value) -> String {
    let said = text(error, "error");
    let number = |key: &str| error.get(key).and_then(Value::as_i64);
    let between = if said.contains('\n') { "\n" } else { ", " };
    match (error.get("file").and_then(Value::as_str), number("line"), number("column")) {
        (Some(file), Some(line), Some(column)) => format!("{said}{between}{file} line {line}, column {column}"),
        (Some(file), ..) if !said.contains(file) => format!("{said}{between}{file}"),
        _ => said.to_owned(),
    }
}

/// The same load error with the name of the package that it is about: its file is relative to that.
pub(super) fn of_package(mut error: Value, group: &Group) -> Value {
    if let (Value::Map(error), Some(_)) = (&mut error, &group.policy.package) {
        error.entry("package".to_owned()).or_insert_with(|| group.policy.name.as_str().into());
    }
    error
}

/// As it travels.
pub(super) fn load_error(problem: Problem) -> Value {
    LoadError::from(problem).into_map().into()
}

/// The load error of a worker whose first attempt has not ended.
pub(super) fn still_starting(worker: &Worker) -> Value {
    let phase = Phase::Handshake.as_str();
    LoadError::new(&*worker.name, phase, "StillStarting", "it is still starting").into_map().into()
}

/// Whether it is about a worker that did not come up, and so about all that it may have.
fn is_of_worker(error: &Value) -> bool {
    let phase = text(error, "phase");
    phase == Phase::Spawn.as_str() || phase == Phase::Handshake.as_str()
}

fn text<'a>(error: &'a Value, key: &str) -> &'a str {
    error.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A group's worker that was to take another's place and did not come up.
pub(super) fn failed_successor<'a>(group: &Group, workers: &'a [Worker]) -> Option<&'a Worker> {
    let successor = workers.get(group.successor?)?;
    matches!(successor.state, WorkerState::BackingOff | WorkerState::Failed).then_some(successor)
}

impl Inventory {
    /// Why a node type is not there, where a load error says so; and whether it may come.
    pub(super) fn explain(&self, node_type: &str) -> Option<(ErrorKind, String)> {
        let namespace = node_type.rsplit_once('.').map_or(node_type, |(namespace, _)| namespace);
        let concerns = |module: &str| {
            // A module is named after the node, its namespace, or in Python the namespace under a package.
            module == namespace
                || node_type.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'))
                || module.strip_suffix(namespace).is_some_and(|rest| rest.ends_with('.'))
        };
        // That of a worker which did not start is about all that it may have.
        let mut errors = self.load_errors.iter().filter(|error| !is_of_worker(error));
        let exact = errors.clone().find(|error| text(error, "module") == node_type);
        let of_package = || self.absent.iter().find(|absent| absent.is_about(node_type)).map(|absent| &absent.error);
        let error = exact.or_else(of_package).or_else(|| errors.find(|error| concerns(text(error, "module"))))?;
        let may_come = is_of_worker(error) && error.get("deterministic").and_then(Value::as_bool) == Some(false);
        let kind = if may_come { ErrorKind::Unavailable } else { ErrorKind::UnknownNode };
        Some((kind, format!("{} did not load: {}", text(error, "module"), with_place(error))))
    }
}

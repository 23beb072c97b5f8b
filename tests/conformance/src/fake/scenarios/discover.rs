//! The answer to `discover`: versions, load errors, and answers that are none.

use millwork_protocol::message::LoadError;
use millwork_protocol::{PROTOCOL_VERSION, Value, map};

use super::super::nodes;
use super::super::scenario::{Scenario, Twist};
use super::super::worker::Worker;

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "version-below-floor",
        "Says that it speaks protocol version 0, below the lowest that there ever was.",
        "Refuses it, and names both versions.",
        Twist::Discover(|worker, id| with_version(worker, id, Some(Value::Int(0)))),
    ),
    Scenario::new(
        "version-above",
        "Says that it speaks protocol version 99.",
        "Warns once and goes on: newer versions add to older ones.",
        Twist::Discover(|worker, id| with_version(worker, id, Some(Value::Int(99)))),
    ),
    Scenario::new(
        "version-missing",
        "Leaves protocol_version out.",
        "Takes it as version 1, the only one that did not say.",
        Twist::Discover(|worker, id| with_version(worker, id, None)),
    ),
    Scenario::new(
        "version-as-float",
        "Sends protocol_version as a double, as some encoders send every number.",
        "Takes a double without a fraction for the whole number that it is.",
        Twist::Discover(|worker, id| with_version(worker, id, Some(Value::Float(PROTOCOL_VERSION.into())))),
    ),
    Scenario::new(
        "load-errors",
        "Has its nodes, and two load errors: a module that is missing and metadata that is wrong.",
        "Offers the nodes that there are, and shows what did not load and why.",
        Twist::Discover(|worker, id| {
            let errors = vec![
                LoadError::new("acme.video", "import", "ModuleNotFoundError", "No module named 'torch'"),
                LoadError::new("acme.audio.Mix", "metadata", "ValueError", "two outputs are called `output`"),
            ];
            worker.out.send("discover", Some(id), &nodes::discover_with(errors));
        }),
    ),
    Scenario::new(
        "duplicate-node",
        "Lists every node twice.",
        "Offers each once, and reports the second as a load error.",
        Twist::Discover(|worker, id| {
            let mut data = nodes::discover();
            if let Some(Value::List(nodes)) = data.get_mut("nodes") {
                nodes.extend(nodes.clone());
            }
            worker.out.send("discover", Some(id), &data);
        }),
    ),
    Scenario::new(
        "discover-malformed",
        "Answers discover with text where the list of nodes belongs.",
        "Says that this is no inventory, instead of reporting a worker without nodes.",
        Twist::Discover(|worker, id| {
            let data = map! { "protocol_version" => PROTOCOL_VERSION, "nodes" => "all of them" };
            worker.out.send("discover", Some(id), &data);
        }),
    ),
    Scenario::new(
        "discover-no-map",
        "Answers discover with a list where the map `data` belongs.",
        "Says so; nothing in the list is looked at.",
        Twist::Discover(|worker, id| {
            let data: Vec<Value> = vec![PROTOCOL_VERSION.into()];
            worker.out.value(map! { "type" => "discover", "request_id" => id, "data" => data });
        }),
    ),
    Scenario::new(
        "discover-error",
        "Answers discover with an error.",
        "Shows that error; without an inventory there is nothing to run.",
        Twist::Discover(|worker, id| worker.out.error(Some(id), "the package index is corrupt")),
    ),
    Scenario::new(
        "discover-silence",
        "Answers every question but discover.",
        "Ends it when the limit on discover is over; that it answers others does not extend it.",
        Twist::Discover(|_, _| {}),
    ),
];

fn with_version(worker: &Worker, id: &str, version: Option<Value>) {
    let mut data = nodes::discover();
    match version {
        Some(version) => drop(data.insert("protocol_version".to_owned(), version)),
        None => drop(data.shift_remove("protocol_version")),
    }
    worker.out.send("discover", Some(id), &data);
}

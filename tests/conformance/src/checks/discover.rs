//! discover and its metadata.

use std::collections::HashSet;

use millwork_protocol::{Map, Value, map};

use super::common::{found, json};
use super::raw::texts;
use crate::check::{Check, Outcome, ensure, fail, not_applicable};
use crate::message::text;
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("DIS-001", |w| {
        let id = w.send("discover", Map::new());
        let frames = w.frames(&id)?;
        ensure!(frames.len() == 1, "{} frames came for one discover", frames.len());
        frames[0].expect_kind("discover")?.get("nodes").map(|_| ())
    }),
    Check::new("DIS-002", |w| {
        let answer = discover(w)?;
        let Some(version) = answer.get("protocol_version") else {
            return Err(not_applicable("the worker reports no version, and so is one of version 1"));
        };
        let is_whole = matches!(version, Value::Int(1..)) || version.as_i64().is_some_and(|n| n >= 1);
        ensure!(is_whole, "protocol_version is {}", json(version));
        Ok(())
    }),
    Check::new("DIS-003", |w| {
        each_node(w, |node| {
            let name = node.get("node_type").and_then(Value::as_str).unwrap_or_default();
            ensure!(name.contains('.') && name.split('.').all(|part| !part.is_empty()), "the node type {:?}", name);
            Ok(())
        })
    }),
    Check::new("DIS-004", |w| {
        let nodes = nodes(w)?;
        unique(texts(&nodes, "node_type"), "node type")
    }),
    Check::new("DIS-005", |w| {
        each_node(w, |node| {
            for key in ["title", "description"] {
                ensure!(node.get(key).and_then(Value::as_str).is_some(), "{} has no text `{}`", name(node), key);
            }
            Ok(())
        })
    }),
    Check::new("DIS-006", |w| each_node(w, |node| named_and_typed(node, "properties"))),
    Check::new("DIS-007", |w| each_node(w, |node| named_and_typed(node, "outputs"))),
    Check::new("DIS-008", |w| {
        each_node(w, |node| {
            let settings = node.get("required_settings").and_then(Value::as_list);
            let fine = settings.is_some_and(|settings| settings.iter().all(|setting| setting.as_str().is_some()));
            ensure!(fine, "`required_settings` of {} is {}", name(node), found(node.get("required_settings")));
            Ok(())
        })
    }),
    Check::new("DIS-009", |w| {
        each_node(w, |node| {
            let is_list = node.get("recommended_models").and_then(Value::as_list).is_some();
            ensure!(is_list, "`recommended_models` of {} is {}", name(node), found(node.get("recommended_models")));
            Ok(())
        })
    }),
    Check::new("DIS-010", |w| {
        each_node(w, |node| {
            for key in ["is_streaming_output", "is_streaming_input", "is_dynamic"] {
                let is_bool = node.get(key).and_then(Value::as_bool).is_some();
                ensure!(is_bool, "`{}` of {} is {}", key, name(node), found(node.get(key)));
            }
            Ok(())
        })
    }),
    Check::new("DIS-011", |w| {
        each_node(w, |node| {
            let Some(vram) = node.get("requires_vram_gb").filter(|vram| !vram.is_nil()) else { return Ok(()) };
            ensure!(vram.as_f64().is_some_and(|gb| gb > 0.0), "`requires_vram_gb` of {} is {}", name(node), json(vram));
            Ok(())
        })
    }),
    Check::new("DIS-012", |w| {
        let answer = discover(w)?;
        let errors = answer.get("load_errors").and_then(Value::as_list).unwrap_or_default();
        if errors.is_empty() {
            return Err(not_applicable("the worker has no load errors to show"));
        }
        for error in errors {
            for key in ["module", "phase", "error_type", "error"] {
                ensure!(
                    error.get(key).and_then(Value::as_str).is_some(),
                    "a load error without a text `{}`: {:?}",
                    key,
                    error
                );
            }
        }
        Ok(())
    }),
    Check::new("DIS-013", |w| {
        let (first, second) = (nodes(w)?, nodes(w)?);
        let same = first.iter().map(name).collect::<HashSet<_>>() == second.iter().map(name).collect::<HashSet<_>>();
        ensure!(same, "the first discover lists {} nodes, the second {}", first.len(), second.len());
        let differs = first.iter().find(|node| !second.contains(node));
        ensure!(differs.is_none(), "{} differs between two answers", differs.map(name).unwrap_or_default());
        Ok(())
    }),
    Check::new("DIS-014", |w| {
        each_node(w, |node| {
            for key in ["properties", "outputs"] {
                unique(texts(maps(node, key), "name"), &format!("name among the {key} of {}", name(node)))?;
            }
            Ok(())
        })
    }),
    Check::new("DIS-015", |w| {
        each_type(w, |node, kind| {
            let has_values = kind.get("values").and_then(Value::as_list).is_some_and(|values| !values.is_empty());
            ensure!(
                kind.get("type").and_then(Value::as_str) != Some("enum") || has_values,
                "an enum of {} has no values: {}",
                name(node),
                text(kind)
            );
            Ok(())
        })
    }),
    Check::new("DIS-016", |w| {
        each_type(w, |node, kind| {
            ensure!(
                kind.get("type").and_then(Value::as_str).is_some(),
                "a type of {} without `type`: {}",
                name(node),
                text(kind)
            );
            let parts = kind.get("type_args").filter(|parts| !parts.is_nil());
            let fine = parts.is_none_or(|parts| {
                parts.as_list().is_some_and(|parts| parts.iter().all(|part| part.as_map().is_some()))
            });
            ensure!(fine, "`type_args` of {} are no types: {}", name(node), text(kind));
            Ok(())
        })
    }),
    Check::new("DIS-017", |w| {
        let node = w.node("test.Stream")?;
        let marked = node.get("is_streaming_output").and_then(Value::as_bool);
        ensure!(
            marked == Some(true),
            "`is_streaming_output` of test.Stream is {}",
            found(node.get("is_streaming_output"))
        );
        Ok(())
    }),
    Check::new("DIS-018", |w| {
        let node = w.node("test.NeedsSecret")?;
        let settings = node.get("required_settings").and_then(Value::as_list).unwrap_or_default();
        let listed = settings.iter().any(|setting| setting.as_str() == Some("TEST_SECRET"));
        ensure!(
            listed,
            "`required_settings` of test.NeedsSecret is {}, without TEST_SECRET",
            found(node.get("required_settings"))
        );
        Ok(())
    }),
    Check::new("DIS-019", |w| while_busy(w, "discover")),
    Check::new("DIS-020", |w| {
        let answer = discover(w)?;
        let errors = answer.get("load_errors");
        ensure!(errors.and_then(Value::as_list).is_some(), "`load_errors` is {}", found(errors));
        Ok(())
    }),
];

fn discover(w: &mut Worker) -> Outcome<Map> {
    let answer = w.call("discover", Map::new())?;
    answer.expect_kind("discover")?;
    Ok(answer.data)
}

fn nodes(w: &mut Worker) -> Outcome<Vec<Map>> {
    Ok(maps(&discover(w)?, "nodes").cloned().collect())
}

fn maps<'a>(map: &'a Map, key: &str) -> impl Iterator<Item = &'a Map> {
    map.get(key).and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_map)
}

fn name(node: &Map) -> &str {
    node.get("node_type").and_then(Value::as_str).unwrap_or("(a node without a type)")
}

fn each_node(w: &mut Worker, check: impl Fn(&Map) -> Outcome) -> Outcome {
    let nodes = nodes(w)?;
    if nodes.is_empty() {
        return Err(not_applicable("the worker has no nodes"));
    }
    nodes.iter().try_for_each(check)
}

fn named_and_typed(node: &Map, key: &str) -> Outcome {
    let Some(entries) = node.get(key).and_then(Value::as_list) else {
        return Err(fail(format!("{} has no list `{key}`", name(node))));
    };
    for entry in entries {
        let has_name = entry.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        let has_type = entry.get("type").and_then(|kind| kind.get("type")).and_then(Value::as_str).is_some();
        ensure!(
            has_name && has_type,
            "an entry of `{}` of {} lacks a name or a type: {}",
            key,
            name(node),
            json(entry)
        );
    }
    Ok(())
}

/// Every type in the metadata of every node, at any depth.
fn each_type(w: &mut Worker, check: impl Fn(&Map, &Map) -> Outcome) -> Outcome {
    each_node(w, |node| {
        let slots = maps(node, "properties").chain(maps(node, "outputs"));
        let mut left: Vec<&Map> = slots.filter_map(|slot| slot.get("type")?.as_map()).collect();
        while let Some(kind) = left.pop() {
            check(node, kind)?;
            left.extend(maps(kind, "type_args"));
        }
        Ok(())
    })
}

fn unique(names: Vec<String>, what: &str) -> Outcome {
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(fail(format!("the {what} {twice:?} stands twice"))),
        None => Ok(()),
    }
}

/// This request is answered although a node runs.
pub(super) fn while_busy(w: &mut Worker, kind: &str) -> Outcome {
    w.node("test.Sleep")?;
    let busy = w.send("execute", map! { "node_type" => "test.Sleep", "fields" => map! { "ms" => 60_000 } });
    let answer = w.call(kind, Map::new()).map_err(|stop| {
        stop.cause("The worker seems to read nothing while a node runs: a host then takes it for dead.")
    });
    w.cancel(&busy);
    let answer = answer?;
    w.terminal(&busy)?;
    ensure!(answer.kind != "error", "{} is refused while a node runs: {:?}", kind, answer.error().unwrap_or_default());
    Ok(())
}

//! worker.status.

use std::collections::BTreeSet;

use millwork_protocol::{Map, Value};

use super::common::{found, json};
use super::discover::while_busy;
use super::raw::texts;
use crate::check::{Check, Outcome, ensure, not_applicable};
use crate::worker::{Worker, whole};

pub(super) const CHECKS: &[Check] = &[
    Check::new("STA-001", |w| {
        let id = w.send("worker.status", Map::new());
        let frames = w.frames(&id)?;
        ensure!(frames.len() == 1, "{} frames came for one worker.status", frames.len());
        frames[0].expect_kind("result").map(|_| ())
    }),
    Check::new("STA-002", |w| {
        let (status, discover) = both(w)?;
        let (here, there) = (status.get("protocol_version"), whole(&discover, "protocol_version").unwrap_or(1));
        ensure!(here.and_then(Value::as_i64) == Some(there), "worker.status says {}, discover {}", found(here), there);
        Ok(())
    }),
    Check::new("STA-003", |w| {
        let (status, discover) = both(w)?;
        let (counted, listed) = (status.get("node_count"), list(&discover, "nodes").len() as i64);
        let same = counted.and_then(Value::as_i64) == Some(listed);
        ensure!(same, "node_count is {}, and discover lists {}", found(counted), listed);
        Ok(())
    }),
    Check::new("STA-004", |w| {
        let (status, discover) = both(w)?;
        let nodes = list(&discover, "nodes").iter().filter_map(Value::as_map);
        let of_nodes: BTreeSet<String> =
            texts(nodes, "node_type").iter().filter_map(|name| name.split('.').next()).map(str::to_owned).collect();
        let named: BTreeSet<String> =
            list(&status, "namespaces").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let missing: Vec<_> = of_nodes.difference(&named).collect();
        ensure!(missing.is_empty(), "`namespaces` {:?} lacks {:?}", named, missing);
        Ok(())
    }),
    Check::new("STA-005", |w| {
        let transport = status(w)?.get("transport").cloned().unwrap_or_default();
        ensure!(transport.as_str() == Some("stdio"), "`transport` is {}", json(&transport));
        Ok(())
    }),
    Check::new("STA-006", |w| {
        let size = status(w)?.get("max_frame_size").cloned().unwrap_or_default();
        ensure!(size.as_f64().is_some_and(|size| size > 0.0), "`max_frame_size` is {}", json(&size));
        Ok(())
    }),
    Check::new("STA-007", |w| {
        let (status, discover) = both(w)?;
        let (here, there) = (status.get("load_errors"), discover.get("load_errors"));
        let same = here.and_then(Value::as_list) == Some(list(&discover, "load_errors"));
        ensure!(same, "`load_errors` of worker.status is {}, of discover {}", found(here), found(there));
        Ok(())
    }),
    Check::new("STA-008", |w| {
        let counted = status(w)?.get("provider_count").cloned();
        let answer = w.call("provider.list", Map::new())?;
        answer.expect_kind("result")?;
        let listed = list(&answer.data, "providers").len() as i64;
        let same = counted.as_ref().and_then(Value::as_i64) == Some(listed);
        ensure!(same, "provider_count is {}, and provider.list names {}", found(counted.as_ref()), listed);
        Ok(())
    }),
    Check::new("STA-009", |w| while_busy(w, "worker.status")),
    Check::new("STA-010", |w| {
        let status = status(w)?;
        for key in ["comfy", "blender"] {
            let enabled = status.get(key).and_then(|value| value.get("enabled")).and_then(Value::as_bool);
            ensure!(enabled.is_some(), "`{}` is {}", key, found(status.get(key)));
        }
        Ok(())
    }),
    Check::new("STA-011", |w| {
        let status = status(w)?;
        let backends = status.get("model_prepare_backends");
        let names = backends.and_then(Value::as_list);
        let fine = names.is_some_and(|names| names.iter().all(|name| name.as_str().is_some()));
        ensure!(fine, "`model_prepare_backends` is {}", found(backends));
        Ok(())
    }),
];

fn status(w: &mut Worker) -> Outcome<Map> {
    let answer = w.call("worker.status", Map::new())?;
    answer.expect_kind("result")?;
    Ok(answer.data)
}

/// The answers to `worker.status` and to `discover`.
fn both(w: &mut Worker) -> Outcome<(Map, Map)> {
    let status = status(w)?;
    let discover = w.call("discover", Map::new())?;
    if discover.kind != "discover" {
        return Err(not_applicable("discover is not answered: see DIS-001"));
    }
    Ok((status, discover.data))
}

fn list<'a>(map: &'a Map, key: &str) -> &'a [Value] {
    map.get(key).and_then(Value::as_list).unwrap_or_default()
}

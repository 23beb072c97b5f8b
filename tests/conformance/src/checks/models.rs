//! MOD: what a worker keeps on disk and in memory. Nothing here downloads or deletes anything that exists.

use millwork_protocol::{Map, Value, map};

use super::common::{error_names, found, json, list_in, payload};
use crate::check::{Check, Outcome, ensure, not_applicable};
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("MOD-001", |w| {
        let answer = w.call("models.list_cached", map! {})?;
        answer.expect_kind("result")?;
        for model in list_in(&answer, "models")? {
            let text = |key| model.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            ensure!(text("id") && text("name"), "a model without the texts `id` and `name`: {}", json(model));
            let downloaded = model.get("downloaded").and_then(Value::as_bool);
            ensure!(downloaded == Some(true), "a cached model is not `downloaded: true`: {}", json(model));
        }
        Ok(())
    }),
    Check::new("MOD-002", |w| {
        let answer = w.call("models.delete", map! { "repo_id" => "millwork-conformance/no-such-model" })?;
        answer.expect_kind("result")?;
        let deleted = answer.get("deleted")?;
        ensure!(deleted.as_bool() == Some(false), "`deleted` of a model that is not there is {}", json(deleted));
        Ok(())
    }),
    Check::new("MOD-003", |w| refuses(w, "models.delete", &[map! {}, map! { "repo_id" => 5 }])),
    Check::new("MOD-004", |w| refuses(w, "models.download", &[map! {}, map! { "repo_id" => 5 }])),
    Check::new("MOD-005", |w| {
        let answer = w.call("models.dance", map! {})?;
        error_names(&answer, "models.dance")
    }),
    Check::new("MOD-006", |w| {
        for repo in ["../../x", "/no/such/folder", "a/../../..", ".."] {
            let answer = w.call("models.delete", map! { "repo_id" => repo })?;
            let deleted = answer.data.get("deleted");
            let kept = deleted.and_then(Value::as_bool) == Some(false);
            ensure!(answer.kind == "error" || kept, "`deleted` for {repo:?} is {}", found(deleted));
        }
        Ok(())
    }),
    Check::new("MOD-007", |w| {
        for message in [
            map! { "type" => "models.list_cached", "request_id" => "mod-007/absent" },
            map! { "type" => "models.list_cached", "request_id" => "mod-007/nil", "data" => Value::Nil },
        ] {
            let id = message.get("request_id").and_then(Value::as_str).unwrap_or_default().to_owned();
            w.send_payload(payload(message));
            w.terminal(&id)?.expect_kind("result")?;
        }
        Ok(())
    }),
    Check::new("MOD-020", |w| evicted(w, map! {}).map(|_| ())),
    Check::new("MOD-021", |w| evicts_nothing(w, map! { "node_ids" => vec!["no-such-node"] })),
    Check::new("MOD-022", |w| evicts_nothing(w, map! { "job_id" => "no-such-job" })),
    Check::new("MOD-023", |w| {
        evicted(w, map! {})?;
        evicts_nothing(w, map! {})
    }),
    Check::new("MOD-030", |w| {
        let status = w.session().facts().map(|facts| facts.status.clone()).unwrap_or_default();
        let listed = status.get("model_prepare_backends").and_then(Value::as_list).unwrap_or_default();
        if listed.iter().any(|backend| backend.as_str() == Some("no-such-backend")) {
            return Err(not_applicable("the worker lists a backend `no-such-backend`"));
        }
        let data = map! { "backend" => "no-such-backend", "model_type" => "image" };
        w.call("models.prepare", data)?.expect_error().map(|_| ())
    }),
    Check::new("MOD-031", |w| refuses(w, "models.prepare", &[map! {}, map! { "backend" => 5 }])),
];

fn refuses(w: &mut Worker, kind: &str, requests: &[Map]) -> Outcome {
    for data in requests {
        w.call(kind, data.clone())?.expect_error()?;
    }
    w.is_well()
}

fn evicted(w: &mut Worker, data: Map) -> Outcome<Vec<Value>> {
    let answer = w.call("models.evict", data)?;
    answer.expect_kind("result")?;
    let evicted = list_in(&answer, "evicted")?;
    ensure!(evicted.iter().all(|id| id.as_str().is_some()), "`evicted` holds what is no text");
    let freed = answer.data.get("freed_vram_gb");
    ensure!(freed.is_none_or(|freed| freed.as_f64().is_some()), "`freed_vram_gb` is no number: {freed:?}");
    Ok(evicted.to_vec())
}

fn evicts_nothing(w: &mut Worker, data: Map) -> Outcome {
    let evicted = evicted(w, data)?;
    ensure!(evicted.is_empty(), "these were evicted: {}", json(&Value::List(evicted.clone())));
    Ok(())
}

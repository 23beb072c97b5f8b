//! The report for programs.

use serde_json::{Value, json};

use super::Counts;
use crate::baseline::Known;
use crate::requirement::Requirement;
use crate::runner::Report;

/// The requirements as a list.
pub fn requirements_json<'a>(requirements: impl IntoIterator<Item = &'a Requirement>) -> String {
    let all: Vec<Value> = requirements.into_iter().map(entry).collect();
    format!("{:#}", json!({ "requirements": all }))
}

fn entry(requirement: &Requirement) -> Value {
    json!({
        "id": requirement.id,
        "area": requirement.area(),
        "level": requirement.level.to_string(),
        "text": requirement.text,
        "where": requirement.section,
        "since": requirement.since,
    })
}

/// The whole report: counts, then every requirement with its verdict.
#[must_use]
pub fn json(report: &Report, known: &Known) -> Value {
    let counts = Counts::of(&report.judged);
    let results = report.judged.iter().map(|one| {
        let mut entry = entry(one.requirement);
        entry["seconds"] = one.elapsed.as_secs_f64().into();
        if let (Some(entry), Ok(Value::Object(verdict))) = (entry.as_object_mut(), serde_json::to_value(&one.verdict)) {
            entry.extend(verdict);
            if let Some(reason) = known.reason(&one.requirement.id) {
                entry.insert("known".to_owned(), reason.into());
            }
        }
        entry
    });
    json!({
        "command": report.command,
        "protocol": report.protocol,
        "seconds": report.elapsed.as_secs_f64(),
        "pass": counts.pass,
        "fail": counts.fail,
        "warn": counts.warn,
        "not_applicable": counts.not_applicable,
        "known_unchecked": known.unchecked(report),
        "results": results.collect::<Vec<_>>(),
    })
}

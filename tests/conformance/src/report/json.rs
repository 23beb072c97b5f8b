//! The report for programs.

use serde_json::{Value, json};

use super::Counts;
use crate::baseline::Known;
use crate::runner::Report;

/// The whole report: counts, then every requirement with its verdict.
#[must_use]
pub fn json(report: &Report, known: &Known) -> Value {
    let counts = Counts::of(&report.judged);
    let results = report.judged.iter().map(|one| {
        let mut entry = json!({
            "id": one.requirement.id,
            "area": one.requirement.area(),
            "level": one.requirement.level.to_string(),
            "text": one.requirement.text,
            "where": one.requirement.section,
            "since": one.requirement.since,
            "seconds": one.elapsed.as_secs_f64(),
        });
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
        "results": results.collect::<Vec<_>>(),
    })
}

//! What the scenarios found, as a table for people and as JSON.

use std::any::Any;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, TableStyle};
use serde_json::json;

use crate::Settings;

/// One figure.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What was done.
    pub(crate) what: String,
    /// What was measured.
    pub(crate) measured: String,
    /// What it may be.
    pub(crate) limit: String,
    /// Whether it is; nothing where that is not judged in this run.
    pub(crate) ok: Option<bool>,
}

impl Row {
    pub(crate) fn new(
        what: impl Into<String>,
        measured: impl Into<String>,
        limit: impl Into<String>,
        ok: bool,
    ) -> Self {
        Self { what: what.into(), measured: measured.into(), limit: limit.into(), ok: Some(ok) }
    }

    /// Judged only in a long run: short ones are made on machines that are busy, and with a debug build.
    pub(crate) fn judged(self, settings: &Settings) -> Self {
        Self { ok: self.ok.filter(|_| settings.long), ..self }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.ok == Some(false)
    }

    /// A scenario that did not come to its end.
    pub(crate) fn broken(why: String) -> Self {
        Self::new("the scenario runs to its end", why, "", false)
    }
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").chars().take(400).collect()
}

/// A time with a sensible unit.
pub(crate) fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

/// Bytes in MiB.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// The value below which so many of a hundred lie; the largest at 100.
pub(crate) fn percentile(times: &mut [Duration], percent: f64) -> Duration {
    times.sort_unstable();
    let at = (times.len() as f64 * percent / 100.0).ceil() as usize;
    times.get(at.clamp(1, times.len().max(1)) - 1).copied().unwrap_or_default()
}

pub(crate) fn table(rows: &[(&str, Row)]) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["scenario", "what", "measured", "limit", ""]);
    for (scenario, row) in rows {
        let verdict = row.ok.map_or("not judged", |ok| if ok { "ok" } else { "FAILED" });
        table.add_row([*scenario, &row.what, &row.measured, &row.limit, verdict]);
    }
    table.trim_fmt()
}

pub(crate) fn json(rows: &[(&str, Row)]) -> String {
    let rows = rows.iter().map(|(scenario, row)| {
        json!({ "scenario": scenario, "what": row.what, "measured": row.measured, "limit": row.limit, "ok": row.ok })
    });
    format!("{:#}", json!({ "rows": rows.collect::<Vec<_>>() }))
}

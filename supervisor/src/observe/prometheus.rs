//! Figures in Prometheus' text format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write;

use millwork_protocol::{Map, Value};

use crate::core::{BOUNDS, Snapshot};

/// Everything, a family after the other.
pub(super) fn text(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let mut one = |name: &str, kind: &str, help: &str, value: u64| {
        family(&mut text, name, kind, help);
        let _ = writeln!(text, "millwork_{name} {value}");
    };
    one("requests_open", "gauge", "Requests of hosts that have not ended.", snapshot.open as u64);
    one("queue_length", "gauge", "Requests of hosts that wait for a worker.", snapshot.queued as u64);
    one("dropped_frames_total", "counter", "Frames from workers that belonged to no request.", snapshot.dropped);
    of_workers(&mut text, snapshot);
    requests(&mut text, snapshot);
    durations(&mut text, snapshot);
    text
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP millwork_{name} {help}\n# TYPE millwork_{name} {kind}");
}

/// What stands in the workers' lines.
fn of_workers(text: &mut String, snapshot: &Snapshot) {
    let families = [
        ("worker_in_flight", "gauge", "Requests of hosts that the worker has.", "in_flight"),
        ("worker_restarts_total", "counter", "How often its process was started again.", "restarts"),
        ("worker_uptime_seconds", "gauge", "For how long its process has run.", "uptime_s"),
        ("worker_resident_bytes", "gauge", "Resident memory of its process.", "rss_bytes"),
    ];
    for (name, kind, help, key) in families {
        family(text, name, kind, help);
        for row in &snapshot.rows {
            if let Some(value) = row.get(key).and_then(Value::as_f64) {
                let _ = writeln!(text, "millwork_{name}{{worker={}}} {value}", label(row_name(row)));
            }
        }
    }
    family(text, "worker_state", "gauge", "1 for the state that the worker is in.");
    for row in &snapshot.rows {
        let state = row.get("state").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "millwork_worker_state{{worker={},state={}}} 1", label(row_name(row)), label(state));
    }
}

fn requests(text: &mut String, snapshot: &Snapshot) {
    family(text, "requests_total", "counter", "Requests of hosts that have ended, by the worker that had them.");
    for (name, figures) in &snapshot.figures {
        let worker = label(name);
        for (outcome, value) in [("ok", figures.requests - figures.errors), ("error", figures.errors)] {
            let _ = writeln!(text, "millwork_requests_total{{worker={worker},outcome=\"{outcome}\"}} {value}");
        }
    }
}

fn durations(text: &mut String, snapshot: &Snapshot) {
    let help = "From handing a request to a worker to its terminal frame.";
    family(text, "request_duration_seconds", "histogram", help);
    for (name, figures) in &snapshot.figures {
        let (worker, mut sum) = (label(name), 0);
        for (bound, count) in BOUNDS.iter().zip(&figures.buckets) {
            sum += count;
            let le = *bound as f64 / 1000.0;
            let _ = writeln!(text, "millwork_request_duration_seconds_bucket{{worker={worker},le=\"{le}\"}} {sum}");
        }
        let (count, total) = (figures.requests, figures.total_ms as f64 / 1000.0);
        let _ = writeln!(text, "millwork_request_duration_seconds_bucket{{worker={worker},le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "millwork_request_duration_seconds_sum{{worker={worker}}} {total}");
        let _ = writeln!(text, "millwork_request_duration_seconds_count{{worker={worker}}} {count}");
    }
}

fn row_name(row: &Map) -> &str {
    row.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn label(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use millwork_protocol::map;

    use super::*;
    use crate::core::Figures;

    #[test]
    fn every_line_is_a_comment_or_a_sample() {
        let mut figures = Figures::default();
        (figures.requests, figures.errors, figures.total_ms) = (3, 1, 1500);
        let row =
            map! { "name" => "a \"b\"", "state" => "ready", "in_flight" => 2, "restarts" => 1, "rss_bytes" => 1024 };
        let snapshot =
            Snapshot { rows: vec![row], figures: vec![("a".to_owned(), figures)], open: 5, queued: 4, dropped: 0 };
        let text = text(&snapshot);
        for line in [
            "millwork_queue_length 4",
            "millwork_worker_in_flight{worker=\"a \\\"b\\\"\"} 2",
            "millwork_worker_state{worker=\"a \\\"b\\\"\",state=\"ready\"} 1",
            "millwork_requests_total{worker=\"a\",outcome=\"ok\"} 2",
            "millwork_request_duration_seconds_bucket{worker=\"a\",le=\"0.005\"} 0",
            "millwork_request_duration_seconds_bucket{worker=\"a\",le=\"+Inf\"} 3",
            "millwork_request_duration_seconds_sum{worker=\"a\"} 1.5",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        for line in text.lines() {
            let is_sample =
                line.starts_with("millwork_") && line.rsplit(' ').next().is_some_and(|n| n.parse::<f64>().is_ok());
            assert!(line.starts_with("# ") || is_sample, "{line}");
        }
    }
}

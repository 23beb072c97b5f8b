//! Rows of numbers, as a table and as JSON. How they were measured is not known here.

use serde_json::{Value as Json, json};

use crate::cli::table;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds; fewer is better.
    Time,
    /// Events a second; more is better.
    Rate,
    /// Bytes a second, counted one way; more is better.
    Throughput,
    /// Bytes; fewer is better.
    Memory,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) label: String,
    pub(crate) unit: Unit,
    pub(crate) worker: Option<f64>,
    pub(crate) reference: Option<f64>,
    pub(crate) other: Option<f64>,
}

/// All of it.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) pinned: Option<usize>,
    pub(crate) worker: String,
    pub(crate) other: Option<String>,
    pub(crate) rows: Vec<Row>,
}

impl Unit {
    fn show(self, value: f64) -> String {
        const MIB: f64 = (1 << 20) as f64;
        match self {
            Self::Time if value < 1e-3 => format!("{} µs", digits(value * 1e6)),
            Self::Time if value < 1.0 => format!("{} ms", digits(value * 1e3)),
            Self::Time => format!("{} s", digits(value)),
            Self::Rate if value >= 1e6 => format!("{} M/s", digits(value / 1e6)),
            Self::Rate if value >= 1e4 => format!("{} k/s", digits(value / 1e3)),
            Self::Rate => format!("{} /s", digits(value)),
            Self::Throughput => format!("{} MB/s", digits(value / 1e6)),
            Self::Memory => format!("{} MiB", digits(value / MIB)),
        }
    }

    fn is_less_better(self) -> bool {
        matches!(self, Self::Time | Self::Memory)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Time => "seconds",
            Self::Rate => "per second",
            Self::Throughput => "bytes per second",
            Self::Memory => "bytes",
        }
    }
}

impl Row {
    /// The worker against the reference: as many times the time, as large a part of the rate.
    pub(crate) fn ratio(&self) -> Option<f64> {
        divide(self.worker?, self.reference?)
    }

    /// How many times better the worker is than the other one.
    pub(crate) fn advantage(&self) -> Option<f64> {
        if self.unit.is_less_better() { divide(self.other?, self.worker?) } else { divide(self.worker?, self.other?) }
    }
}

impl Report {
    /// For a person.
    pub(crate) fn to_text(&self) -> String {
        let mut header = vec!["measure", "worker", "reference", "ratio"];
        if self.other.is_some() {
            header.extend(["other", "worker is better by"]);
        }
        let mut table = table::new(&header);
        for row in &self.rows {
            let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| row.unit.show(value));
            let ratio = match row.ratio() {
                Some(ratio) if row.unit.is_less_better() => format!("{}×", digits(ratio)),
                Some(ratio) => format!("{} %", digits(ratio * 100.0)),
                None => "–".to_owned(),
            };
            let mut cells = vec![row.label.clone(), show(row.worker), show(row.reference), ratio];
            if self.other.is_some() {
                cells.push(show(row.other));
                cells.push(row.advantage().map_or_else(|| "–".to_owned(), |by| format!("{}×", digits(by))));
            }
            table.add_row(cells);
        }
        for column in 1..header.len() {
            table::align_right(&mut table, column);
        }
        let pinned = self.pinned.map_or_else(|| "not pinned".to_owned(), |cpu| format!("pinned to core {cpu}"));
        let other = self.other.as_ref().map_or_else(String::new, |other| format!("other:     {other}\n"));
        format!(
            "worker:    {}\n{other}reference: a child that echoes raw bytes; for the start, /bin/true\nmachine:   {}; {pinned}\n\n{}",
            self.worker,
            self.machine,
            table::text(&table)
        )
    }

    /// Whether the worker does not have the node that most rows are about.
    pub(crate) fn lacks_echo(&self) -> bool {
        self.rows.iter().any(|row| row.key == "execute_p50" && row.worker.is_none())
    }

    /// For a program: seconds, bytes and events a second, unrounded.
    pub(crate) fn to_json(&self) -> Json {
        let rows = self.rows.iter().map(|row| {
            json!({
                "key": row.key, "label": row.label, "unit": row.unit.name(),
                "worker": row.worker, "reference": row.reference, "ratio": row.ratio(),
                "other": row.other, "advantage": row.advantage(),
            })
        });
        json!({
            "machine": self.machine, "pinned": self.pinned, "worker": self.worker, "other": self.other,
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

fn divide(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then(|| a / b)
}

/// Three figures that count.
fn digits(value: f64) -> String {
    match value.abs() {
        v if v >= 99.95 => group(value.round()),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A whole number with a comma between thousands.
fn group(value: f64) -> String {
    let text = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index) % 3 == 0 && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: Unit, worker: f64, reference: f64, other: f64) -> Row {
        let (worker, reference, other) = (Some(worker), Some(reference), Some(other));
        Row { key: "k".into(), label: "l".into(), unit, worker, reference, other }
    }

    #[test]
    fn ratios_read_the_right_way_round() {
        let time = row(Unit::Time, 2.0, 1.0, 80.0);
        assert_eq!((time.ratio(), time.advantage()), (Some(2.0), Some(40.0)));
        let rate = row(Unit::Rate, 50.0, 100.0, 5.0);
        assert_eq!((rate.ratio(), rate.advantage()), (Some(0.5), Some(10.0)));
        assert_eq!(row(Unit::Rate, 1.0, 0.0, 0.0).ratio(), None);
    }

    #[test]
    fn an_echo_that_was_not_measured_is_missed() {
        let lacks = |key: &str, worker| {
            let row = Row { key: key.into(), worker, ..row(Unit::Time, 0.0, 1.0, 1.0) };
            let (machine, command) = ("m".to_owned(), "w".to_owned());
            Report { machine, pinned: None, worker: command, other: None, rows: vec![row] }.lacks_echo()
        };
        assert!(lacks("execute_p50", None));
        assert!(!lacks("execute_p50", Some(1.0)) && !lacks("cancel", None));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(Unit::Time.show(0.000_004_567), "4.57 µs");
        assert_eq!(Unit::Rate.show(1_234_000.0), "1.23 M/s");
        assert_eq!(Unit::Throughput.show(3_456e6), "3,456 MB/s");
        assert_eq!(digits(1_234_567.0), "1,234,567");
        assert_eq!(digits(9.996), "10.0");
    }
}

//! The report for people: a table by area, the story of each failure, and a last line that sums up.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};

use super::Counts;
use crate::baseline::Known;
use crate::requirement::{AREAS, Requirement};
use crate::runner::{Judged, Report, Story, Verdict};
use crate::transcript::Direction;

/// One line under the header, and nothing else that gets in the way of `grep`.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// So many entries of a story's evidence show their bytes: the last ones matter.
const WITH_BYTES: usize = 3;

/// The whole report. Known failures are told apart from new ones.
#[must_use]
pub fn text(report: &Report, known: &Known) -> String {
    let mut text = areas(report);
    let reasons = reasons(report);
    if !reasons.is_empty() {
        text += "\nNot applicable:\n";
        for (reason, ids) in reasons {
            let _ = writeln!(text, "  {reason}: {}", ids.join(" "));
        }
    }
    for one in &report.judged {
        let (word, story) = match &one.verdict {
            Verdict::Fail(story) => ("FAIL", story),
            Verdict::Warn(story) => ("WARN", story),
            _ => continue,
        };
        text += &story_text(word, one.requirement, story, known.reason(&one.requirement.id));
    }
    let unchecked = known.unchecked(report);
    if !unchecked.is_empty() {
        let _ = writeln!(text, "\nKnown failures that were not checked: {}", unchecked.join(" "));
    }
    text + "\n" + &summary(report, known)
}

/// The last line.
#[must_use]
pub fn summary(report: &Report, known: &Known) -> String {
    let counts = Counts::of(&report.judged);
    let expected = report.failures().filter(|one| known.reason(&one.requirement.id).is_some()).count();
    let failed = counts.fail - expected;
    let verdict = if counts.total() == counts.not_applicable {
        "nothing could be checked"
    } else if failed == 0 {
        "conforms"
    } else {
        "does not conform"
    };
    let mut parts = vec![format!("{} passed", counts.pass)];
    for (count, what) in [
        (failed, "failed"),
        (expected, "failed as known"),
        (counts.warn, "warned"),
        (counts.not_applicable, "not applicable"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!(
        "protocol {}: {verdict} · {} · {:.1} s · {}",
        report.protocol,
        parts.join(", "),
        report.elapsed.as_secs_f64(),
        report.command
    )
}

fn areas(report: &Report) -> String {
    let mut table = new(&["area", "", "pass", "fail", "warn", "n/a"]);
    for area in AREAS {
        let counts = Counts::of(report.judged.iter().filter(|one| one.requirement.area() == area.prefix));
        if counts.total() == 0 {
            continue;
        }
        let number = |n: usize, color: Color| {
            let cell = Cell::new(if n == 0 { "–".to_owned() } else { n.to_string() });
            if n == 0 { cell } else { cell.fg(color) }
        };
        table.add_row([
            Cell::new(area.prefix),
            Cell::new(area.title),
            number(counts.pass, Color::Green),
            number(counts.fail, Color::Red),
            number(counts.warn, Color::Yellow),
            number(counts.not_applicable, Color::Reset),
        ]);
    }
    for column in 2..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

fn new(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    table
}

/// What could not be checked, by the reason.
fn reasons(report: &Report) -> BTreeMap<&str, Vec<&str>> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Judged { requirement, verdict, .. } in &report.judged {
        if let Verdict::NotApplicable { reason } = verdict {
            reasons.entry(reason).or_default().push(&requirement.id);
        }
    }
    reasons
}

fn story_text(word: &str, requirement: &Requirement, story: &Story, known: Option<&str>) -> String {
    let mut text = format!("\n{word} {} ({}, {})\n", requirement.id, requirement.level, requirement.section);
    let mut say = |name: &str, what: &str| {
        // Further lines, such as the end of a stderr, stand below the first.
        _ = writeln!(text, "  {name:<9} {}", what.replace('\n', "\n              | "));
    };
    say("rule", &requirement.text);
    say("seen", &story.what);
    if let Some(cause) = &story.cause {
        say("likely", cause);
    }
    if let Some(during) = &story.during {
        say("during", &format!("the check of {during}"));
    }
    if let Some(reason) = known {
        say("known", reason);
    }
    let with_bytes = story.evidence.len().saturating_sub(WITH_BYTES);
    for (index, entry) in story.evidence.iter().enumerate() {
        let arrow = match entry.direction {
            Direction::Sent => "→",
            Direction::Received => "←",
            Direction::Note => "·",
        };
        let _ = writeln!(text, "  {:>7.3} s {arrow} {}", entry.seconds, entry.text);
        if index >= with_bytes {
            entry.hex.iter().for_each(|line| _ = writeln!(text, "              {line}"));
        }
    }
    text
}

/// The requirements as a list.
pub fn requirements<'a>(requirements: impl IntoIterator<Item = &'a Requirement>) -> String {
    let mut table = new(&["id", "v", "level", "text"]);
    for requirement in requirements {
        table.add_row([
            &requirement.id,
            &requirement.since.to_string(),
            &requirement.level.to_string(),
            &requirement.text,
        ]);
    }
    table.trim_fmt()
}

//! The report for CI: one test suite an area, one test case a requirement.

use std::fmt::Write;

use super::Counts;
use crate::baseline::Known;
use crate::requirement::AREAS;
use crate::runner::{Report, Story, Verdict};

/// JUnit XML. A known failure counts as skipped, and so does a warning.
#[must_use]
pub fn junit(report: &Report, known: &Known) -> String {
    let mut text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"millwork conformance\">\n".to_owned();
    for area in AREAS {
        let here: Vec<_> = report.judged.iter().filter(|one| one.requirement.area() == area.prefix).collect();
        if here.is_empty() {
            continue;
        }
        let counts = Counts::of(here.iter().copied());
        let expected = here.iter().filter(|one| known.reason(&one.requirement.id).is_some()).count().min(counts.fail);
        let _ = writeln!(
            text,
            "  <testsuite name=\"{} {}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
            area.prefix,
            escape(area.title),
            counts.total(),
            counts.fail - expected,
            counts.not_applicable + counts.warn + expected,
        );
        for one in here {
            let (id, name) = (&one.requirement.id, escape(&one.requirement.text));
            let _ = write!(
                text,
                "    <testcase classname=\"{id}\" name=\"{name}\" time=\"{:.3}\">",
                one.elapsed.as_secs_f64()
            );
            text += &match (&one.verdict, known.reason(id)) {
                (Verdict::Pass, _) => String::new(),
                (Verdict::Fail(story), Some(reason)) => skipped(&format!("known: {reason} ({})", story.what)),
                (Verdict::Fail(story), None) => failure(story),
                (Verdict::Warn(story), _) => skipped(&format!("warning: {}", story.what)),
                (Verdict::NotApplicable { reason }, _) => skipped(&format!("not applicable: {reason}")),
            };
            text += "</testcase>\n";
        }
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

fn skipped(message: &str) -> String {
    format!("<skipped message=\"{}\"/>", escape(message))
}

fn failure(story: &Story) -> String {
    let mut body = story.cause.clone().unwrap_or_default();
    for entry in &story.evidence {
        let _ = write!(body, "\n{:.3} s {:?} {}", entry.seconds, entry.direction, entry.text);
        entry.hex.iter().for_each(|line| _ = write!(body, "\n    {line}"));
    }
    format!("<failure message=\"{}\">{}</failure>", escape(&story.what), escape(&body))
}

/// For XML, without the control characters that it forbids.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\n' | '\t' => safe.push(character),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_can_break_the_document() {
        assert_eq!(escape("a<b> & \"c\"\u{0}\u{1b}[1m"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}\u{fffd}[1m");
    }
}

//! A report as text for people, JSON for programs, and JUnit for CI. What is in it, the runner decided.

mod fuzz;
mod json;
mod junit;
mod table;

pub use fuzz::{fuzz_json, fuzz_text};
pub use json::{json, requirements_json};
pub use junit::junit;
pub use table::{requirements, summary, text};

use crate::runner::{Judged, Verdict};

/// How many requirements fared how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) pass: usize,
    pub(crate) fail: usize,
    pub(crate) warn: usize,
    pub(crate) not_applicable: usize,
}

impl Counts {
    pub(crate) fn of<'a>(judged: impl IntoIterator<Item = &'a Judged>) -> Self {
        judged.into_iter().fold(Self::default(), |mut counts, one| {
            match one.verdict {
                Verdict::Pass => counts.pass += 1,
                Verdict::Fail(_) => counts.fail += 1,
                Verdict::Warn(_) => counts.warn += 1,
                Verdict::NotApplicable { .. } => counts.not_applicable += 1,
            }
            counts
        })
    }

    pub(crate) fn total(self) -> usize {
        self.pass + self.fail + self.warn + self.not_applicable
    }
}

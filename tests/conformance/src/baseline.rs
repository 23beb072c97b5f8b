//! Known failures of one worker: a file that CI holds it to, and that has to shrink as the worker gets better.

use std::path::Path;

use serde::Deserialize;

use crate::requirement;
use crate::runner::{Report, Verdict};

/// The entries of a baseline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    #[serde(default)]
    known: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    reason: String,
    #[serde(default)]
    evidence: String,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// It cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Its path.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is no baseline.
    #[error(
        "{path} is no baseline: {error}\n hint: it has entries [[known]] with `id`, `reason` and, for people, `evidence`"
    )]
    Malformed {
        /// Its path.
        path: String,
        /// Why.
        error: toml::de::Error,
    },
    /// It names a requirement in two entries.
    #[error("{path}: {id} stands twice; one entry for each requirement")]
    Twice {
        /// Its path.
        path: String,
        /// The id.
        id: String,
    },
    /// It names what does not exist.
    #[error("{path}: there is no requirement {id}; `--list` shows them")]
    Unknown {
        /// Its path.
        path: String,
        /// The id.
        id: String,
    },
}

impl Known {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, is no baseline, or names a requirement that does not exist.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| BaselineError::Unreadable { path: name(), error })?;
        let known: Self = toml::from_str(&text).map_err(|error| BaselineError::Malformed { path: name(), error })?;
        for (index, Entry { id, .. }) in known.known.iter().enumerate() {
            if requirement::find(id).is_none() {
                return Err(BaselineError::Unknown { path: name(), id: id.clone() });
            }
            if known.known.iter().take(index).any(|earlier| earlier.id == *id) {
                return Err(BaselineError::Twice { path: name(), id: id.clone() });
            }
        }
        Ok(known)
    }

    /// The ids that are known as failures, and of which this report cannot say anything.
    #[must_use]
    pub fn unchecked<'a>(&'a self, report: &Report) -> Vec<&'a str> {
        let was_checked = |id: &str| {
            let mut judged = report.judged.iter().filter(|one| one.requirement.id == id);
            judged.any(|one| !matches!(one.verdict, Verdict::NotApplicable { .. }))
        };
        self.known.iter().map(|entry| entry.id.as_str()).filter(|id| !was_checked(id)).collect()
    }

    /// Why this requirement is known not to be met; nothing where it is not known.
    #[must_use]
    pub fn reason(&self, id: &str) -> Option<&str> {
        self.known.iter().find(|entry| entry.id == id).map(|entry| entry.reason.as_str())
    }

    /// The ids that are known as failures and pass.
    #[must_use]
    pub fn fixed<'a>(&self, report: &'a Report) -> Vec<&'a str> {
        let passed = report.judged.iter().filter(|one| one.verdict == Verdict::Pass);
        passed.map(|one| one.requirement.id.as_str()).filter(|id| self.reason(id).is_some()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runner::{Judged, Story};

    fn report(verdicts: [(&str, Verdict); 2]) -> Report {
        let judged = verdicts.map(|(id, verdict)| Judged {
            requirement: requirement::find(id).unwrap(),
            verdict,
            elapsed: Duration::ZERO,
        });
        Report { command: "it".to_owned(), protocol: 1, judged: judged.into(), elapsed: Duration::ZERO }
    }

    #[test]
    fn a_known_failure_that_passes_is_told_and_one_that_fails_is_not() {
        let known: Known = toml::from_str("[[known]]\nid = \"FRM-001\"\nreason = \"old\"").unwrap();
        let fixed = report([("FRM-001", Verdict::Pass), ("FRM-002", Verdict::Pass)]);
        assert_eq!(known.fixed(&fixed), ["FRM-001"]);
        let broken = report([("FRM-001", Verdict::Fail(Story::default())), ("FRM-002", Verdict::Pass)]);
        assert_eq!((known.fixed(&broken), known.reason("FRM-001")), (vec![], Some("old")));
        assert!(toml::from_str::<Known>("[[known]]\nid = \"FRM-001\"").is_err());
    }
}

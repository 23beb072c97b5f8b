//! What a worker is held to: the entries of `requirements/v1.toml … v6.toml`, loaded and looked up. How each is checked is in
//! [`crate::checks`].

use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

/// How binding a requirement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A worker that does otherwise breaks hosts.
    Must,
    /// A worker that does otherwise is harder to live with.
    Should,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "must",
            Self::Should => "should",
        })
    }
}

/// One sentence that a worker is held to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its name for ever, such as `FRM-007`.
    pub id: String,
    /// How binding it is.
    pub level: Level,
    /// What the worker does, in one sentence.
    pub text: String,
    /// The section of the protocol page that says so.
    #[serde(rename = "where")]
    pub section: String,
    /// The protocol version that it came with.
    #[serde(skip)]
    pub since: u32,
}

impl Requirement {
    /// The three letters before the number.
    #[must_use]
    pub fn area(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }
}

/// One area: its prefix and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// The three letters that ids begin with.
    pub prefix: &'static str,
    /// What it is about.
    pub title: &'static str,
}

/// Every area, in the order in which they are checked and shown.
pub const AREAS: &[Area] = &[
    area("FRM", "framing"),
    area("ENV", "envelope"),
    area("ENC", "encodings of hosts"),
    area("RDY", "READY and start-up"),
    area("DIS", "discover"),
    area("STA", "status"),
    area("EXE", "execute"),
    area("STR", "streams"),
    area("CAN", "cancel"),
    area("PRG", "progress and updates"),
    area("BLB", "blobs"),
    area("RUN", "run identity"),
    area("JOB", "jobs"),
    area("MOD", "models"),
    area("PRV", "providers"),
    area("ERR", "errors"),
    area("BAD", "bad input"),
    area("LIM", "limits"),
    area("OUT", "stdout and stderr"),
    area("END", "the end"),
    area("CON", "concurrency"),
    area("LEK", "leaks between requests"),
];

const fn area(prefix: &'static str, title: &'static str) -> Area {
    Area { prefix, title }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    requirement: Vec<Requirement>,
}

const FILES: [&str; 6] = [
    include_str!("../requirements/v1.toml"),
    include_str!("../requirements/v2.toml"),
    include_str!("../requirements/v3.toml"),
    include_str!("../requirements/v4.toml"),
    include_str!("../requirements/v5.toml"),
    include_str!("../requirements/v6.toml"),
];

/// Every requirement, by version and then in the order of its file. A worker of version N is held to those of 1 to N.
pub fn all() -> &'static [Requirement] {
    static ALL: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
        let files = FILES.iter().zip(1..);
        // The files are part of this crate: a test proves that each can be read.
        files.flat_map(|(text, version)| parse(text, version).unwrap_or_default()).collect()
    });
    &ALL
}

fn parse(text: &str, version: u32) -> Result<Vec<Requirement>, toml::de::Error> {
    let mut entries = toml::from_str::<File>(text)?.requirement;
    entries.iter_mut().for_each(|entry| entry.since = version);
    Ok(entries)
}

/// The requirement with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Requirement> {
    all().iter().find(|requirement| requirement.id == id)
}

/// Set in the environment, it has the tests write what they would only compare.
#[cfg(test)]
pub(crate) const UPDATE: &str = "MILLWORK_FREEZE_REQUIREMENTS";

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use sha2::{Digest, Sha256};

    use super::*;

    const FROZEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/requirements/FROZEN");

    #[test]
    fn every_file_can_be_read() {
        for (text, version) in FILES.iter().zip(1..) {
            parse(text, version).unwrap_or_else(|error| panic!("requirements/v{version}.toml: {error}"));
        }
    }

    #[test]
    fn ids_are_unique_well_formed_and_in_a_known_area() {
        let mut seen = HashSet::new();
        for requirement in all() {
            let id = requirement.id.as_str();
            assert!(seen.insert(id), "{id} stands twice");
            assert!(AREAS.iter().any(|area| area.prefix == requirement.area()), "{id}: no such area");
            let number = id.split_once('-').map(|(_, number)| number).unwrap_or_default();
            assert!(number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()), "{id}: not of the form ABC-123");
            assert!(
                requirement.text.ends_with('.') && !requirement.section.is_empty(),
                "{id}: a sentence and a section"
            );
        }
    }

    fn digest(requirement: &Requirement) -> String {
        let digest = Sha256::digest(format!("{}{}", requirement.level, requirement.text));
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_released_requirement_never_changes() {
        let text = std::fs::read_to_string(FROZEN).unwrap_or_default();
        let mut frozen: BTreeMap<&str, String> =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(id, hash)| (id, hash.to_owned())).collect();
        let fresh: BTreeMap<&str, String> = all().iter().map(|r| (r.id.as_str(), digest(r))).collect();
        if std::env::var_os(UPDATE).is_some() {
            for (id, hash) in &fresh {
                frozen.entry(*id).or_insert_with(|| hash.clone());
            }
            let lines: String = frozen.iter().map(|(id, hash)| format!("{id} {hash}\n")).collect();
            std::fs::write(FROZEN, lines).unwrap();
        }
        for (id, hash) in &frozen {
            match fresh.get(id) {
                None => panic!("{id} was released and has vanished: it stays; what replaces it gets a new id"),
                Some(now) => assert_eq!(now, hash, "{id} was released and has changed: write a new one under a new id"),
            }
        }
        let missing: Vec<_> = fresh.keys().filter(|id| !frozen.contains_key(*id)).collect();
        assert!(missing.is_empty(), "not frozen yet: {missing:?}; run `{UPDATE}=1 cargo test -p millwork-conformance`");
    }
}

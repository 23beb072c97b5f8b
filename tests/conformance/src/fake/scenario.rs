//! What a scenario is, and finding one. The scenarios themselves are in [`scenarios`](super::scenarios).

use super::call::Call;
use super::scenarios;
use super::worker::Worker;

/// One way to be wrong.
#[derive(Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// What it is asked for by.
    pub name: &'static str,
    /// What the worker does, in one sentence.
    pub does: &'static str,
    /// What a good host does about it, in one sentence.
    pub host: &'static str,
    pub(super) twist: Twist,
}

/// Where a scenario leaves the path of a correct worker.
#[derive(Debug)]
pub(super) enum Twist {
    /// Nowhere.
    Nothing,
    /// In the place of saying READY. Frames are read once it returns.
    Start(fn(&Worker)),
    /// In the place of the answer to `discover`, whose request id it gets.
    Discover(fn(&Worker, &str)),
    /// When the first bytes of a request have been read, and no more.
    HalfRead(fn(&Worker)),
    /// When a request has been read, on the thread that reads. The request begins once it returns.
    Read(fn(&Worker)),
    /// In the place of running a request, on the request's own thread.
    Request(fn(&Call)),
    /// Input is closed by the worker once a request has been read.
    CloseInput,
    /// Neither the end of input nor SIGTERM ends it.
    IgnoreEverything,
    /// The end of input does not end it.
    IgnoreEnd,
}

impl Scenario {
    pub(super) const fn new(name: &'static str, does: &'static str, host: &'static str, twist: Twist) -> Self {
        Self { name, does, host, twist }
    }

    /// When it leaves the right path: `never`, `start`, `discover`, `request` or `end`.
    #[must_use]
    pub fn when(&self) -> &'static str {
        match self.twist {
            Twist::Nothing => "never",
            Twist::Start(_) => "start",
            Twist::Discover(_) => "discover",
            Twist::HalfRead(_) | Twist::Read(_) | Twist::Request(_) | Twist::CloseInput => "request",
            Twist::IgnoreEverything | Twist::IgnoreEnd => "end",
        }
    }

    /// Whether it happens at a certain request, which can be chosen.
    #[must_use]
    pub fn counts_requests(&self) -> bool {
        self.when() == "request"
    }
}

/// The scenarios in groups with a title, from the start of a worker's life to its end.
#[must_use]
pub fn groups() -> &'static [(&'static str, &'static [Scenario])] {
    &scenarios::GROUPS
}

/// Every scenario.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    groups().iter().flat_map(|(_, scenarios)| *scenarios)
}

/// The scenario of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    all().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_scenario_has_a_name_of_its_own_and_says_what_it_is() {
        let mut names = HashSet::new();
        for scenario in all() {
            let name = scenario.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
            for text in [scenario.does, scenario.host] {
                assert!(text.ends_with('.') && text.starts_with(char::is_uppercase), "{name}: {text}");
            }
        }
        assert!(names.len() >= 34, "{}", names.len());
        assert!(find("well-behaved").is_some() && find("Well-behaved").is_none());
    }
}

//! Every check, a file an area. What a check is, is in [`crate::check`].

mod bad_input;
mod blobs;
mod cancel;
mod chunked;
mod common;
mod concurrency;
mod discover;
mod encodings;
mod end;
mod envelope;
mod errors;
mod execute;
mod framing;
mod jobs;
mod leaks;
mod limits;
mod models;
mod output;
mod progress;
mod providers;
mod raw;
mod ready;
mod run_identity;
mod status;
mod stream;

use crate::check::Check;
use crate::requirement::{self, AREAS, Requirement};

/// In the order of [`AREAS`].
const ALL: &[&[Check]] = &[
    framing::CHECKS,
    envelope::CHECKS,
    encodings::CHECKS,
    ready::CHECKS,
    discover::CHECKS,
    status::CHECKS,
    execute::CHECKS,
    stream::CHECKS,
    cancel::CHECKS,
    progress::CHECKS,
    blobs::CHECKS,
    chunked::CHECKS,
    run_identity::CHECKS,
    jobs::CHECKS,
    models::CHECKS,
    providers::CHECKS,
    errors::CHECKS,
    bad_input::CHECKS,
    limits::CHECKS,
    output::CHECKS,
    end::CHECKS,
    concurrency::CHECKS,
    leaks::CHECKS,
];

/// Every check with its requirement: by area, then by number.
pub(crate) fn in_order() -> impl Iterator<Item = (&'static Requirement, &'static Check)> {
    AREAS.iter().flat_map(|area| {
        let mut found: Vec<_> = requirement::all().iter().filter(|r| r.area() == area.prefix).collect();
        found.sort_by_key(|requirement| &requirement.id);
        found.into_iter().filter_map(|requirement| Some((requirement, find(&requirement.id)?)))
    })
}

fn find(id: &str) -> Option<&'static Check> {
    ALL.iter().copied().flatten().find(|check| check.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_has_one_check_and_the_other_way_round() {
        for requirement in requirement::all() {
            let found = ALL.iter().copied().flatten().filter(|check| check.id == requirement.id).count();
            assert_eq!(found, 1, "checks of {}", requirement.id);
        }
        for check in ALL.iter().copied().flatten() {
            assert!(
                requirement::find(check.id).is_some(),
                "{} has a check, and stands in no requirements/vN.toml",
                check.id
            );
        }
        assert_eq!(in_order().count(), requirement::all().len());
    }
}

//! The pages that tell of requirements say what the requirements say, and who changes the protocol has looked at them. Tests
//! only; `MILLWORK_FREEZE_REQUIREMENTS=1 cargo test -p millwork-conformance` writes what can be written.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::digest::sha256_hex;
use crate::requirement::{AREAS, Area, Level, Requirement, UPDATE, all};

/// What a worker is held to stands in these.
const SOURCES: [&str; 6] = [
    "docs/protocol.md",
    "protocol/schema/answers.json",
    "protocol/schema/frames.json",
    "protocol/schema/requests.json",
    "protocol/src/limits.rs",
    "protocol/src/version.rs",
];
/// Their digests when the requirements were last looked at for them.
const SEEN: &str = "tests/conformance/requirements/SOURCES";
/// Begins the line that ends a section of the page.
const HELD_TO: &str = "Requirements: ";
/// Sections that say nothing a worker could be held to.
const UNCHECKED: [&str; 1] = ["update"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// The file says this, or does from now on.
fn says(path: &str, text: &str) {
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(root().join(path), text).unwrap();
    }
    let how = format!("`{UPDATE}=1 cargo test -p millwork-conformance` writes it");
    assert!(read(path) == text, "{path} does not say what the requirements say; {how}");
}

fn heading(area: &Area) -> String {
    format!("{}: {}", area.prefix, area.title)
}

/// As web pages name the place of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

/// Every requirement of a section, as ranges of ids that link to their area.
fn held_to(section: &str) -> String {
    let mut ranges: Vec<(&Requirement, &Requirement)> = Vec::new();
    let number = |requirement: &Requirement| requirement.id[4..].parse::<u32>().unwrap_or_default();
    for area in AREAS {
        let mut ours: Vec<_> = all().iter().filter(|r| r.section == section && r.area() == area.prefix).collect();
        ours.sort_by_key(|requirement| &requirement.id);
        for requirement in ours {
            match ranges.last_mut() {
                Some((_, last)) if last.area() == area.prefix && number(last) + 1 == number(requirement) => {
                    *last = requirement;
                }
                _ => ranges.push((requirement, requirement)),
            }
        }
    }
    let links = ranges.iter().map(|(first, last)| {
        let area = AREAS.iter().find(|area| area.prefix == first.area()).unwrap();
        let ids = if first.id == last.id { first.id.clone() } else { format!("{} to {}", first.id, last.id) };
        format!("[{ids}](requirements.md#{})", anchor(&heading(area)))
    });
    links.collect::<Vec<_>>().join(", ")
}

/// The page with the line of requirements at the end of each section that has some.
fn with_requirements(page: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut section = String::new();
    let mut in_code = false;
    let close = |out: &mut Vec<String>, section: &str| {
        while out.last().is_some_and(String::is_empty) {
            out.pop();
        }
        let held = held_to(section);
        if !held.is_empty() {
            out.push(String::new());
            out.push(format!("{HELD_TO}{held}"));
        }
    };
    for line in page.lines().filter(|line| !line.starts_with(HELD_TO)) {
        in_code ^= line.starts_with("```");
        if let Some(title) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")).filter(|_| !in_code) {
            close(&mut out, &section);
            out.push(String::new());
            section = title.replace('`', "");
        }
        out.push(line.to_owned());
    }
    close(&mut out, &section);
    out.join("\n") + "\n"
}

fn sections(page: &str) -> Vec<String> {
    let titles = page.lines().filter_map(|line| line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")));
    titles.map(|title| title.replace('`', "")).collect()
}

#[test]
fn every_requirement_stands_in_a_section_of_the_protocol_and_every_section_has_some() {
    let sections = sections(&read("docs/protocol.md"));
    for requirement in all() {
        assert!(sections.contains(&requirement.section), "{}: no section {:?}", requirement.id, requirement.section);
    }
    for section in sections.iter().filter(|section| !UNCHECKED.contains(&section.as_str())) {
        assert!(!held_to(section).is_empty(), "nothing holds a worker to the section {section:?}");
    }
}

#[test]
fn the_page_of_the_protocol_lists_them() {
    says("docs/protocol.md", &with_requirements(&read("docs/protocol.md")));
}

#[test]
fn the_page_of_requirements_lists_them() {
    let mut page = format!(
        "# What a worker is held to\n\nThe {} requirements that [`millwork conformance`](conformance.md) checks, by area; `millwork conformance\n\
         --list` prints them too. An id never changes its meaning. *must*: hosts rely on it; *should*: a host can live without it.\n\
         The number is the version of the protocol that brought it. This page is written by a test from\n\
         [`tests/conformance/requirements`](../tests/conformance/requirements).\n",
        all().len()
    );
    for area in AREAS {
        let mut ours: Vec<_> = all().iter().filter(|requirement| requirement.area() == area.prefix).collect();
        ours.sort_by_key(|requirement| &requirement.id);
        let _ = write!(
            page,
            "\n## {}\n\n| id | | since | requirement | stands in |\n| --- | --- | --- | --- | --- |\n",
            heading(area)
        );
        for Requirement { id, level, since, text, section } in ours {
            let level = if *level == Level::Must { "must" } else { "should" };
            let text = text.replace('|', "\\|");
            let _ =
                writeln!(page, "| {id} | {level} | {since} | {text} | [{section}](protocol.md#{}) |", anchor(section));
        }
    }
    says("docs/requirements.md", &page);
}

/// A change of the protocol that no requirement was looked at for does not land.
#[test]
fn who_changes_the_protocol_looks_at_the_requirements() {
    let page = with_requirements(&read("docs/protocol.md"));
    let prose: String = page.lines().filter(|line| !line.starts_with(HELD_TO)).collect();
    let mut sources: BTreeMap<&str, String> = SOURCES.iter().map(|path| (*path, read(path))).collect();
    sources.insert("docs/protocol.md", prose);
    let line = |(path, text): (&&str, &String)| format!("{path} {}\n", sha256_hex(text.as_bytes()));
    if std::env::var_os(UPDATE).is_some() {
        return says(SEEN, &sources.iter().map(line).collect::<String>());
    }
    let seen = read(SEEN);
    let changed: Vec<_> =
        sources.iter().filter(|source| !seen.contains(&line(*source))).map(|(path, _)| path).collect();
    assert!(
        changed.is_empty(),
        "{changed:?} changed: does a requirement in tests/conformance/requirements go with it? A new one gets a new id. \
         Then run `{UPDATE}=1 cargo test -p millwork-conformance`"
    );
}

#[test]
fn the_page_of_the_command_has_every_option() {
    let page = read("docs/conformance.md");
    let command = <crate::cli::Args as clap::Args>::augment_args(clap::Command::new("conformance"));
    for option in command.get_arguments().filter_map(clap::Arg::get_long) {
        assert!(page.contains(&format!("`--{option}")), "docs/conformance.md has no `--{option}`");
    }
}

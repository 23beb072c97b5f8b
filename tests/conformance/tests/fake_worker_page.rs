//! docs/fake-worker.md has every scenario as `millwork fake-worker --list` has it. `MILLWORK_UPDATE_DOCS=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use millwork_conformance::fake::groups;

const BEGIN: &str = "<!-- scenarios: begin -->\n";
const END: &str = "<!-- scenarios: end -->\n";

/// The part of the page between the marks.
fn tables() -> String {
    let mut text = String::new();
    for (title, scenarios) in groups() {
        text += &format!("\n### {title}\n\n| scenario | the worker | a good host |\n| --- | --- | --- |\n");
        for scenario in *scenarios {
            text += &format!("| `{}` | {} | {} |\n", scenario.name, scenario.does, scenario.host);
        }
    }
    text + "\n"
}

#[test]
fn the_page_has_every_scenario() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fake-worker.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the page has the first mark");
    let (current, after) = rest.split_once(END).expect("the page has the second mark");
    let wanted = tables();
    if std::env::var_os("MILLWORK_UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).expect("the page can be written");
        return;
    }
    let differs = current.lines().zip(wanted.lines()).find(|(page, list)| page != list);
    assert!(current == wanted, "the page differs from the list (MILLWORK_UPDATE_DOCS=1 writes it anew): {differs:?}");
}

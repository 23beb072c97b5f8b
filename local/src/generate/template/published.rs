//! Chat templates that others have published, rendered as transformers renders them.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value as Json;

#[test]
fn published_templates_render_as_in_python() {
    let Some(folder) = std::env::var_os("MILLWORK_TEMPLATE_CASES") else {
        return eprintln!("skipped: MILLWORK_TEMPLATE_CASES names no folder made by tests/models/templates.py");
    };
    let (mut same, mut other, mut whole) = (0, Vec::new(), 0);
    for file in fs::read_dir(folder).unwrap() {
        let cases: Vec<Json> = serde_json::from_str(&fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        let before = other.len();
        for case in cases.iter().filter(|case| case["expected"].is_string()) {
            // 2026-02-03T04:05:06, as the cases say.
            let now = UNIX_EPOCH + Duration::from_secs(1_770_091_506);
            let template = case["template"].as_str().unwrap();
            match super::render(template, case["context"].as_object().unwrap(), now) {
                Ok(text) if text == case["expected"] => same += 1,
                Ok(_) => other.push(case["name"].to_string()),
                Err(why) => other.push(format!("{}: {why}", case["name"])),
            }
        }
        whole += usize::from(before == other.len());
    }
    eprintln!(
        "{same} of {} renderings are the same; {whole} templates in all that they were asked",
        same + other.len()
    );
    other.iter().for_each(|name| eprintln!("not the same: {name}"));
    // One template relies on how Python escapes HTML: its cases are a fiftieth of all.
    assert!(whole >= 30 && other.len() * 50 <= same);
}

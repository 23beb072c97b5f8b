//! What fuzzing found, for people and for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::fuzz::Fuzzed;
use crate::hex;

/// One line where nothing was found; else the smallest frame.
#[must_use]
pub fn fuzz_text(fuzzed: &Fuzzed) -> String {
    let Some(finding) = &fuzzed.finding else {
        return format!("fuzz: nothing found in {} frames, seed {}", fuzzed.frames, fuzzed.seed);
    };
    let alone = if finding.reproduced { "by these bytes alone" } else { "after these bytes, but not by them alone" };
    let mut text = format!("FUZZ seed {}, after {} frames\n", fuzzed.seed, fuzzed.frames);
    let _ = writeln!(text, "  seen      {}", finding.what);
    let _ = writeln!(text, "  brought   {alone}");
    match &finding.file {
        Ok(path) => _ = writeln!(text, "  replay    millwork conformance --replay {} -- …", path.display()),
        Err(error) => _ = writeln!(text, "  replay    {error}"),
    }
    for line in hex::annotate(&finding.bytes, finding.bytes.len()) {
        let _ = writeln!(text, "    {line}");
    }
    text
}

/// The same for programs.
#[must_use]
pub fn fuzz_json(fuzzed: &Fuzzed) -> Value {
    let finding = fuzzed.finding.as_ref().map(|finding| {
        json!({
            "what": finding.what,
            "reproduced": finding.reproduced,
            "bytes": finding.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "file": finding.file.as_ref().ok().map(|path| path.display().to_string()),
        })
    });
    json!({ "frames": fuzzed.frames, "seed": fuzzed.seed, "finding": finding })
}

//! Any text is a manifest or says where it is none, and every place is in the text.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use millwork_package::Manifest;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read = Manifest::parse(Path::new("/nowhere"), "folder", text, &|name| name.len() % 2 == 0);
    let problems = read.map_or_else(|broken| broken.problems, |manifest| manifest.problems);
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems {
        assert!(!problem.module.is_empty() && !problem.text.is_empty(), "{problem:?}");
        if let Some(place) = problem.place {
            let (line, column) = (place.line as usize, place.column as usize);
            let line = lines.get(line - 1).expect("a line of the text");
            // Far behind in a line it counts bytes.
            assert!((1..=line.len() + 1).contains(&column), "{problem:?}");
        }
    }
});

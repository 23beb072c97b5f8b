//! The one door to stdout. A reader that has gone (`millwork nodes | head`) ends the command without a word.

use std::io::{ErrorKind, Write};

use super::failure::{Failure, Outcome};

/// Writes a text and the end of a line.
pub(crate) fn line(text: &str) -> Outcome {
    write(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
}

/// Writes JSON, indented, and the end of a line.
pub(crate) fn json(value: &serde_json::Value) -> Outcome {
    line(&format!("{value:#}"))
}

/// Writes bytes as they are.
pub(crate) fn write(bytes: &[u8]) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|error| Failure::failed(format!("cannot write to stdout: {error}"))),
    }
}

//! The chunks of a streaming node as they come: onto stdout, or into numbered files.

use std::path::{Path, PathBuf};

use millwork_protocol::{Map, Value};

use super::failure::Outcome;
use super::outputs::{Destinations, Outputs};
use super::{files, out};

/// Where chunks go.
pub(crate) struct Sink<'a> {
    destinations: &'a Destinations,
    json: bool,
    count: usize,
    /// Text was written without the end of its line, as language models send it.
    open_line: bool,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(destinations: &'a Destinations, json: bool) -> Self {
        Self { destinations, json, count: 0, open_line: false }
    }

    /// Takes the data of one chunk.
    pub(crate) fn chunk(&mut self, data: Map) -> Outcome {
        self.count += 1;
        let mut outputs = Outputs::from_data(data);
        // A slot that this chunk has nothing for.
        outputs.0.retain(|output| output.bytes.is_some() || !output.value.is_nil());
        let mut written = Vec::new();
        for output in &outputs.0 {
            if let Some(path) = self.destinations.of(&output.slot) {
                let path = numbered(path, self.count);
                files::write(&path, &output.encode(&path)?)?;
                written.push((output.slot.clone(), path));
            }
        }
        if self.json {
            // One line a chunk.
            return out::line(&outputs.to_json(&written).to_string());
        }
        for output in &outputs.0 {
            let is_written = written.iter().any(|(slot, _)| *slot == output.slot);
            match (&output.value, &output.bytes) {
                _ if is_written || self.destinations.is_stdout() => {}
                (Value::Str(text), None) => {
                    self.open_line = !text.ends_with('\n');
                    out::write(text.as_bytes())?;
                }
                _ => {
                    self.end()?;
                    out::line(&output.show())?;
                }
            }
        }
        Ok(())
    }

    /// Ends the line, where one is open.
    pub(crate) fn end(&mut self) -> Outcome {
        if std::mem::take(&mut self.open_line) { out::line("") } else { Ok(()) }
    }
}

/// `frame.png` as `frame-0001.png`; stdout stays stdout.
fn numbered(path: &Path, number: usize) -> PathBuf {
    if path.as_os_str() == "-" {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|ext| format!(".{}", ext.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{number:04}{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_numbered() {
        assert_eq!(numbered("out/frame.png".as_ref(), 3), Path::new("out/frame-0003.png"));
        assert_eq!(numbered("frame".as_ref(), 12345), Path::new("frame-12345"));
        assert_eq!(numbered("-".as_ref(), 1), Path::new("-"));
    }
}

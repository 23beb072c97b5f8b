//! The chunks of a streaming node as they come: onto stdout, or into numbered files.

use std::path::{Path, PathBuf};

use millwork_protocol::metadata::NodeMetadata;
use millwork_protocol::{Map, Value};

use super::destinations::{Destinations, is_stdout};
use super::failure::Outcome;
use super::outputs::Outputs;
use super::{files, out};

/// Where chunks go.
pub(crate) struct Sink<'a> {
    destinations: &'a Destinations,
    json: bool,
    /// There are several slots: each value needs its name beside it.
    named: bool,
    count: usize,
    /// Text was written without the end of its line, as language models send it.
    open_line: bool,
    /// For each slot: the first file, the last one, and how many.
    written: Vec<(String, PathBuf, PathBuf, usize)>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(node: &NodeMetadata, destinations: &'a Destinations, json: bool) -> Self {
        let named = node.outputs.len() > 1;
        Self { destinations, json, named, count: 0, open_line: false, written: Vec::new() }
    }

    /// Takes the data of one chunk.
    pub(crate) fn chunk(&mut self, data: Map) -> Outcome {
        self.count += 1;
        let mut outputs = Outputs::from_data(data);
        // A slot that this chunk has nothing for.
        outputs.0.retain(|output| output.bytes.is_some() || !output.value.is_nil());
        let mut written = Vec::new();
        for output in &outputs.0 {
            let Some(path) = self.destinations.of(&output.slot) else { continue };
            for (path, piece) in output.pieces(&files::with(path, &format!("{:04}", self.count)))? {
                files::write(&path, &piece.encode(&path)?)?;
                self.remember(&output.slot, &path);
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
                (Value::Str(text), None) if !self.named => {
                    self.open_line = !text.ends_with('\n');
                    out::write(text.as_bytes())?;
                }
                _ => {
                    self.end_line()?;
                    out::line(&output.show_as(self.named.then_some(&output.slot)))?;
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, slot: &str, path: &Path) {
        match self.written.iter_mut().find(|(known, ..)| known == slot) {
            _ if is_stdout(path) => {}
            Some((_, _, last, count)) => (*last, *count) = (path.to_owned(), *count + 1),
            None => self.written.push((slot.to_owned(), path.to_owned(), path.to_owned(), 1)),
        }
    }

    /// Ends the line, where one is open, and tells of the files.
    pub(crate) fn end(&mut self) -> Outcome {
        self.end_line()?;
        for text in self.told() {
            eprintln!("{text}");
        }
        Ok(())
    }

    fn end_line(&mut self) -> Outcome {
        if std::mem::take(&mut self.open_line) { out::line("") } else { Ok(()) }
    }

    fn told(&mut self) -> Vec<String> {
        let tell = |(_, first, last, count): (String, PathBuf, PathBuf, usize)| match count {
            1 => format!("wrote {}", first.display()),
            _ => format!("wrote {} … {} ({count})", first.display(), last.display()),
        };
        self.written.drain(..).map(tell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    #[test]
    fn chunks_go_to_numbered_files_that_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.json");
        let node = NodeMetadata::default();
        let destinations = Destinations::parse(&node, &[path.display().to_string()]).unwrap();
        let mut sink = Sink::new(&node, &destinations, false);
        for number in 1..=3 {
            sink.chunk(map! { "outputs" => map! { "output" => number } }).unwrap();
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("s-0002.json")).unwrap(), "2\n");
        let (first, last) = (folder.path().join("s-0001.json"), folder.path().join("s-0003.json"));
        assert_eq!(sink.told(), [format!("wrote {} … {} (3)", first.display(), last.display())]);
    }
}

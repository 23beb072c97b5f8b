//! A session in a file: a line of JSON for each frame, with the payload in base64, and one before them that says what it is.
//!
//! ```json
//! {"millwork_recording":1,"command":["python","worker.py"],"blobs":"as they were"}
//! {"us":1204,"from":"host","type":"discover","id":"1","size":46,"payload":"g6R0eXBl…"}
//! ```

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use millwork_protocol::Bytes;
use serde_json::{Value as Json, json};

use super::LookError;
use super::redact::Shown;
use super::tap::Side;

const KEY: &str = "millwork_recording";
const HASHED: &str = "hashed";

/// Writes a recording.
#[derive(Debug)]
pub(super) struct Recorder<W: Write> {
    out: W,
}

impl<W: Write> Recorder<W> {
    pub(super) fn new(mut out: W, command: &[String], hash_blobs: bool) -> io::Result<Self> {
        let blobs = if hash_blobs { HASHED } else { "as they were" };
        writeln!(out, "{}", json!({ KEY: 1, "command": command, "blobs": blobs }))?;
        Ok(Self { out })
    }

    pub(super) fn frame(&mut self, at: Duration, from: Side, shown: &Shown) -> io::Result<()> {
        let payload = shown.payload.as_ref().map(|payload| STANDARD.encode(payload));
        let line = json!({
            "us": at.as_micros() as u64, "from": from.as_str(), "type": shown.kind, "id": shown.id, "size": shown.size,
            "payload": payload,
        });
        writeln!(self.out, "{line}")
    }

    /// What was seen and is no frame.
    pub(super) fn note(&mut self, at: Duration, from: Side, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", json!({ "us": at.as_micros() as u64, "from": from.as_str(), "note": text }))
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One recorded frame.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) from: Side,
    pub(super) kind: String,
    pub(super) id: Option<String>,
    pub(super) payload: Bytes,
}

/// A whole recording.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) has_hashed_blobs: bool,
    pub(super) frames: Vec<Recorded>,
}

/// Reads a recording.
pub(super) fn read(path: &Path) -> Result<Recording, LookError> {
    let unreadable = |source| LookError::Unreadable { path: path.to_owned(), source };
    let wrong = |line: usize, text: String| LookError::NotARecording { path: path.to_owned(), line, text };
    let file = File::open(path).map_err(unreadable)?;
    let mut recording: Option<Recording> = None;
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        let json: Json = serde_json::from_str(&line).map_err(|error| wrong(index + 1, error.to_string()))?;
        match &mut recording {
            None if json.get(KEY) == Some(&json!(1)) => {
                let has_hashed_blobs = json.get("blobs") == Some(&json!(HASHED));
                recording = Some(Recording { has_hashed_blobs, frames: Vec::new() });
            }
            None => {
                return Err(wrong(index + 1, "the first one has to say so".to_owned()));
            }
            Some(_) if json.get("note").is_some() => {}
            Some(recording) => recording.frames.push(frame(&json).map_err(|text| wrong(index + 1, text))?),
        }
    }
    recording.ok_or_else(|| wrong(1, "the file is empty".to_owned()))
}

fn frame(json: &Json) -> Result<Recorded, String> {
    let text = |key: &str| json.get(key).and_then(Json::as_str);
    let from = match text("from") {
        Some("host") => Side::Host,
        Some("worker") => Side::Worker,
        _ => return Err("`from` must be \"host\" or \"worker\"".to_owned()),
    };
    let payload = text("payload").ok_or("the payload was left out, since it could not be read")?;
    let payload = STANDARD.decode(payload).map_err(|error| format!("`payload` is no base64: {error}"))?;
    let kind = text("type").ok_or("`type` is missing")?.to_owned();
    Ok(Recorded { from, kind, id: text("id").map(str::to_owned), payload: payload.into() })
}

#[cfg(test)]
mod tests {
    use super::super::redact::Redactor;
    use super::*;
    use millwork_protocol::{Frame, map};

    #[test]
    fn what_was_written_is_read() {
        let payload = Frame::message("execute", Some("r"), &map! { "node_type" => "a.B" }).to_payload();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut recorder = Recorder::new(&mut file, &["x".to_owned()], false).unwrap();
        recorder.note(Duration::ZERO, Side::Worker, "stray bytes").unwrap();
        let shown = Redactor::new(false).frame(&payload);
        recorder.frame(Duration::from_micros(7), Side::Host, &shown).unwrap();
        recorder.end().unwrap();
        let recording = read(file.path()).unwrap();
        let [frame] = &recording.frames[..] else { panic!("{recording:?}") };
        assert_eq!((&*frame.kind, frame.id.as_deref(), frame.from), ("execute", Some("r"), Side::Host));
        assert_eq!(frame.payload, payload);
    }

    #[test]
    fn what_is_no_recording_is_named_with_its_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"millwork_recording\":1}\n{\"from\":\"moon\"}\n").unwrap();
        let text = read(file.path()).unwrap_err().to_string();
        assert!(text.ends_with("is no recording: line 2: `from` must be \"host\" or \"worker\""), "{text}");
        let text = read(Path::new("/no/such/file")).unwrap_err().to_string();
        assert!(text.starts_with("cannot read /no/such/file: "), "{text}");
    }
}

//! The files of one run: what the request has in bytes goes out as files, and the result comes back from one.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use millwork_worker::prelude::*;
use serde_json::{Map as JsonMap, Value as Json};

/// The largest result: more fits in no answer.
const MOST: u64 = 1 << 30;

/// Puts a call's data into the request: parameters under `params`, bytes as files of the folder. The file of `image` is
/// `image_path`, those of `reference_images` are `reference_image_paths`.
pub(super) fn give(mut data: Map, folder: &Path, request: &mut Json) -> Result<()> {
    let params = data.shift_remove("params").and_then(Value::into_map).unwrap_or_default();
    data.shift_remove("blob_transfer");
    let mut plain = JsonMap::new();
    // Older hosts send parameters at the top level; those under `params` are the newer word.
    for (name, value) in data.into_iter().chain(params) {
        let media = match &value {
            Value::Bytes(_) => true,
            Value::List(all) => !all.is_empty() && all.iter().all(|one| matches!(one, Value::Bytes(_))),
            _ => false,
        };
        if media {
            let (key, paths) = write(&snake_case(&name), value, folder)?;
            request[key] = paths;
        } else if !value.is_nil() {
            plain.insert(name, value.to_json());
        }
    }
    request["params"] = plain.into();
    request["output_folder"] = text_of(folder)?.into();
    Ok(())
}

/// Writes one file or several; gives the key of the request and its value.
fn write(name: &str, value: Value, folder: &Path) -> Result<(String, Json)> {
    let file = |name: String, value: Value| {
        let bytes = value.into_bytes().unwrap_or_default();
        if bytes.is_empty() {
            return Err(Error::invalid(format!("`{name}` has no bytes")));
        }
        let path = folder.join(format!("{name}.{}", extension(&bytes)));
        fs::write(&path, &bytes).context(path.display())?;
        text_of(&path).map(Json::from)
    };
    match value {
        Value::List(all) => {
            let name = name.strip_suffix('s').unwrap_or(name);
            let paths = all.into_iter().enumerate().map(|(i, one)| file(format!("{name}-{i}"), one));
            Ok((format!("{name}_paths"), paths.collect::<Result<Vec<_>>>()?.into()))
        }
        one => Ok((format!("{name}_path"), file(name.to_owned(), one)?)),
    }
}

/// `referenceAudio` as `reference_audio`. It becomes part of a file name, so nothing else stays of it.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64) {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// How the name of a file ends that begins like this.
fn extension(bytes: &[u8]) -> &'static str {
    let at = |at: usize, word: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(word));
    match () {
        () if at(0, b"\x89PNG") => "png",
        () if at(0, b"\xff\xd8\xff") => "jpg",
        () if at(0, b"GIF8") => "gif",
        () if at(0, b"RIFF") && at(8, b"WEBP") => "webp",
        () if at(0, b"RIFF") && at(8, b"WAVE") => "wav",
        () if at(0, b"fLaC") => "flac",
        () if at(0, b"OggS") => "ogg",
        () if at(0, b"ID3") || at(0, b"\xff\xfb") || at(0, b"\xff\xf3") => "mp3",
        () if at(4, b"ftyp") => "mp4",
        () if at(0, b"\x1a\x45\xdf\xa3") => "webm",
        () => "bin",
    }
}

fn text_of(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::failed(format!("the path {} is no UTF-8", path.display())))
}

/// Reads a result, and removes it. It must lie in the folder of the run or in the adapter's own.
pub(super) fn take(path: &str, folder: &Path, own: Option<&Path>) -> Result<Bytes, String> {
    if path.is_empty() {
        return Err("ends with a result that has no `path`".to_owned());
    }
    let found = folder.join(path).canonicalize();
    let found = found.map_err(|error| format!("names a result that is not there, {path:?}: {error}"))?;
    let is_inside = |folder: &Path| folder.canonicalize().is_ok_and(|folder| found.starts_with(folder));
    if !is_inside(folder) && !own.is_some_and(is_inside) {
        let text = "must write its result into `output_folder`, or into the folder of its OUTPUT variable";
        return Err(format!("{text}, and names {path:?}"));
    }
    let unreadable = |error: std::io::Error| format!("names a result that cannot be read, {path:?}: {error}");
    let metadata = found.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(format!("names a result that is no file, {path:?}"));
    }
    if metadata.len() > MOST {
        return Err(format!("made a result of {} bytes, more than the {MOST} that fit in an answer", metadata.len()));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(&found).map_err(unreadable)?;
    file.take(MOST).read_to_end(&mut bytes).map_err(unreadable)?;
    // In the adapter's own folder nobody else removes it.
    if let Err(error) = fs::remove_file(&found) {
        tracing::warn!(%error, path = %found.display(), "the result of an adapter cannot be removed");
    }
    if bytes.is_empty() { Err(format!("made an empty result, {path:?}")) } else { Ok(bytes.into()) }
}

//! The small files beside a model: JSON, within a size that such files have, and errors that name the file.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::Problem;

/// The largest JSON file that is read: tokenizers with a quarter of a million words take some 35 MB.
const MOST: u64 = 256 * 1024 * 1024;

/// The contents of a text file.
pub(crate) fn text(path: &Path) -> Result<String, Problem> {
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound if path.is_symlink() => {
            Problem::new(path, "is a link to nothing").hint("fetch the model again: a part of it is missing")
        }
        _ => Problem::new(path, format!("cannot be read: {error}")),
    };
    // Before it is opened: a pipe would wait for somebody to write.
    let metadata = fs::metadata(path).map_err(broken)?;
    if !metadata.is_file() {
        return Err(Problem::new(path, "is no file"));
    }
    if metadata.len() > MOST {
        return Err(Problem::new(path, format!("has {} bytes, more than such a file can have", metadata.len())));
    }
    let mut text = String::new();
    File::open(path).map_err(broken)?.take(MOST).read_to_string(&mut text).map_err(broken)?;
    Ok(text)
}

/// A JSON file.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> Result<T, Problem> {
    let text = text(path)?;
    serde_json::from_str(&text).map_err(|error| Problem::new(path, format!("is not as such a file should be: {error}")))
}

/// A JSON file that need not be there.
pub(crate) fn json_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Problem> {
    if is_there(path) { json(path).map(Some) } else { Ok(None) }
}

/// Whether there is anything of that name. A link that leads nowhere is a part that got lost, not one that was never there.
pub(crate) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_got_lost_is_told_from_what_was_never_there() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("modules.json");
        let read = || json_if_there::<serde_json::Value>(&file);
        assert!(read().unwrap().is_none());
        symlink("gone", &file).unwrap();
        assert!(read().unwrap_err().to_string().contains("modules.json: is a link to nothing"));
        fs::remove_file(&file).unwrap();
        let _listener = UnixListener::bind(&file).unwrap();
        assert!(read().unwrap_err().to_string().contains("modules.json: is no file"));
    }
}

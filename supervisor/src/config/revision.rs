//! A number that stands for a folder's files as they are: it is another one where any of them is. What no package loads is left
//! out, so that whoever builds or edits there does not seem to change it.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::UNIX_EPOCH;

use walkdir::{DirEntry, WalkDir};

/// More files are not looked at: such a folder has something in it that is no part of the package.
const MOST: usize = 20_000;

/// Whether a file or folder of this name does not count: hidden, a backup, a cache, or what a build leaves.
pub(crate) fn is_aside(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.')
        || name.ends_with(['~', '#'])
        || name.ends_with(".pyc")
        || matches!(&*name, "__pycache__" | "target" | "node_modules" | "venv")
}

/// What counts in a folder, itself first.
pub(crate) fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> {
    let counts = |entry: &DirEntry| entry.depth() == 0 || !is_aside(entry.file_name());
    WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(counts).filter_map(Result::ok).take(MOST)
}

/// The revision of a folder.
pub(super) fn of(folder: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    for entry in entries(folder) {
        // Where it is a link, the file that it leads to.
        let Ok(about) = std::fs::metadata(entry.path()) else { continue };
        if about.is_file() {
            let changed = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            (entry.path(), about.len(), changed).hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_changes_with_what_a_package_loads() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            of(folder.path())
        };
        let first = write("package.toml", "a");
        assert_eq!(first, of(folder.path()));
        assert_eq!(first, write(".git/index", "a"));
        assert_eq!(first, write("__pycache__/x.pyc", "a"));
        let second = write("models/a.onnx", "a");
        assert!(first != second && second != write("models/a.onnx", "ab"));
    }
}

//! Where files that a request names may lie. What is in them is not known here.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// A folder for a worker's files, and the other folders that requests may read.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    allowed: Vec<PathBuf>,
}

impl Workspace {
    /// A workspace at `root`, with more folders that may be reached; ones that do not exist are left out.
    #[must_use]
    pub fn new(root: &Path, allowed: &[PathBuf]) -> Self {
        let canonical = |path: &Path| path.canonicalize().ok();
        let root = canonical(root).unwrap_or_else(|| root.to_path_buf());
        let mut folders = vec![root.clone()];
        folders.extend(allowed.iter().filter_map(|path| canonical(path)));
        Self { root, allowed: folders }
    }

    /// The folder that relative paths start from.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The whole path of a file to read or write, links followed.
    ///
    /// # Errors
    /// `invalid_input` where it lies outside of every folder that is allowed, or its folder does not exist.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf> {
        let whole = self.root.join(path);
        let resolved = match whole.canonicalize() {
            Ok(found) => found,
            Err(_) => Self::resolve_new(&whole)?,
        };
        if self.allowed.iter().any(|folder| resolved.starts_with(folder)) {
            return Ok(resolved);
        }
        Err(Error::invalid(format!(
            "{} is outside the workspace {}; start the worker with --allow-path to allow its folder",
            path.display(),
            self.root.display()
        )))
    }

    /// A file that does not exist yet: its folder must, and its name must be a plain one.
    fn resolve_new(whole: &Path) -> Result<PathBuf> {
        let missing = || Error::invalid(format!("no such file or folder: {}", whole.display()));
        if whole.is_symlink() {
            // A dangling link could lead anywhere once its target exists.
            return Err(missing());
        }
        let folder = whole.parent().and_then(|folder| folder.canonicalize().ok()).ok_or_else(missing)?;
        match whole.components().next_back() {
            Some(Component::Normal(name)) => Ok(folder.join(name)),
            _ => Err(missing()),
        }
    }
}

/// Opens a file to be read, and nothing else: a pipe or a device could be waited for without end.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_waited_for_without_end_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::write(&file, "text").unwrap();
        assert!(open_file(&file).is_ok());
        for path in [pipe.as_path(), folder.path()] {
            assert_eq!(open_file(path).unwrap_err().to_string(), "not a file");
        }
    }

    #[test]
    fn nothing_outside_is_reached() {
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        std::fs::write(folder.path().join("mine"), "m").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("not-yet"), folder.path().join("dangling")).unwrap();
        let workspace = Workspace::new(folder.path(), &[]);
        assert!(workspace.resolve(Path::new("mine")).is_ok());
        assert!(workspace.resolve(Path::new("new.npy")).is_ok());
        for bad in ["../secret", "link/secret", "link/new", "/etc/passwd", "no/such/file", "..", "dangling"] {
            assert!(workspace.resolve(Path::new(bad)).is_err(), "{bad}");
        }
        let both = Workspace::new(folder.path(), &[outside.path().to_path_buf()]);
        assert!(both.resolve(Path::new("link/secret")).is_ok());
    }
}
